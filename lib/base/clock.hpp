// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <ctime>

// Time is handed in, never fetched, by protocol machines: they take `now_ns` arguments.
namespace chaincast {

using TimeNs = uint64_t;  // monotonic nanoseconds since an arbitrary origin

inline constexpr TimeNs ns_per_us = 1'000;
inline constexpr TimeNs ns_per_ms = 1'000'000;
inline constexpr TimeNs ns_per_s = 1'000'000'000;
inline constexpr TimeNs time_never = ~TimeNs{0};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeNs now_ns() const noexcept = 0;
};

// CLOCK_MONOTONIC; about 25 ns a call.
class MonotonicClock final : public Clock {
 public:
  TimeNs now_ns() const noexcept override {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<TimeNs>(t.tv_sec) * ns_per_s + static_cast<TimeNs>(t.tv_nsec);
  }
};

// Set by hand: tests and the simulator.
class ManualClock final : public Clock {
 public:
  TimeNs now_ns() const noexcept override { return now_; }
  void advance(TimeNs by_ns) { now_ += by_ns; }
  void set(TimeNs now_ns) { now_ = now_ns; }

 private:
  TimeNs now_ = ns_per_s;
};

}  // namespace chaincast
