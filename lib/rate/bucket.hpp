// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/clock.hpp"

namespace chaincast::rate {

// Token bucket in bytes, shared by the workers that send to one peer, or receive from it. Consumed
// before stamping, or once the link check has passed, whole datagrams. Over any interval of length
// t the bytes of successful takes are at most rate * t + burst, whatever the number of workers;
// bulk may use 7/8 of the burst only, so that control and routes find room while bulk is at its
// limit.
//
// It is the virtual scheduling form of the GCRA (ITU-T I.371 annex A) on a clock that counts bytes:
// `ready_` is the virtual byte at which everything taken so far will have been earned, one
// compare-and-swap moves it. Cost: `unlimited` one load, else one multiplication and one CAS.
class Bucket {
 public:
  enum class Class : uint8_t { priority, bulk };

  // Control. rate_bytes_per_s 0: unlimited; at most 2^44. `burst_bytes` bounds what an idle link
  // saves up; bulk datagrams above 7/8 of it never pass. Starts with a full bucket; a take that
  // races with it may still follow the old settings.
  void configure(uint64_t rate_bytes_per_s, uint64_t burst_bytes) noexcept {
    const uint64_t rate = std::min(rate_bytes_per_s, rate_max_bytes_per_s);
    rate_.store(0, std::memory_order_relaxed);
    burst_.store(burst_bytes, std::memory_order_relaxed);
    ready_.store(0, std::memory_order_relaxed);
    step_.store(static_cast<uint64_t>((Wide{rate} << step_shift) / ns_per_s),
                std::memory_order_relaxed);
    rate_.store(rate, std::memory_order_release);
  }

  // Any worker. False: not affordable now (count as Drop::rate or Drop::link_budget). `now_ns` may
  // lag behind other workers' by less than a second.
  bool take(uint32_t bytes, Class traffic, TimeNs now_ns) noexcept {
    const uint64_t rate = rate_.load(std::memory_order_acquire);
    if (rate == 0) return true;
    const uint64_t earned =
        static_cast<uint64_t>((Wide{now_ns} * step_.load(std::memory_order_relaxed)) >> step_shift);
    const uint64_t burst = burst_.load(std::memory_order_relaxed);
    const uint64_t room = traffic == Class::bulk ? burst - burst / 8 : burst;
    uint64_t ready = ready_.load(std::memory_order_relaxed);
    for (;;) {
      // Further ahead than any take leaves it: written on the byte clock of an older rate.
      const bool is_foreign = ready > earned + burst + rate;
      const uint64_t start = is_foreign ? earned : std::max(ready, earned);
      if (start + bytes > earned + room) return false;
      if (ready_.compare_exchange_weak(ready, start + bytes, std::memory_order_relaxed))
        return true;
    }
  }

  uint64_t rate_bytes_per_s() const noexcept { return rate_.load(std::memory_order_relaxed); }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr unsigned step_shift = 48;
  static constexpr uint64_t rate_max_bytes_per_s = uint64_t{1} << 44;

  std::atomic<uint64_t> rate_{0};
  std::atomic<uint64_t> step_{0};  // bytes per ns, 2^-48 units, rounded down
  std::atomic<uint64_t> burst_{0};
  std::atomic<uint64_t> ready_{0};
};

}  // namespace chaincast::rate
