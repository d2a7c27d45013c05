// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

// Counters with one writer. They are never reset: `clear` commands remember a base and subtract.
namespace chaincast::stats {

// Written by one thread, read by any. An increment is a plain load, add and store (no lock prefix).
class Counter {
 public:
  void add(uint64_t by = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void raise_to(uint64_t value) noexcept {
    if (value > value_.load(std::memory_order_relaxed))
      value_.store(value, std::memory_order_relaxed);
  }
  uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One Counter per enumerator; Enum ends with `count_`.
template <typename Enum>
class CounterSet {
 public:
  static constexpr size_t size = static_cast<size_t>(Enum::count_);
  void add(Enum which, uint64_t by = 1) noexcept { counters_[static_cast<size_t>(which)].add(by); }
  uint64_t read(Enum which) const noexcept { return counters_[static_cast<size_t>(which)].read(); }

 private:
  std::array<Counter, size> counters_{};
};

}  // namespace chaincast::stats
