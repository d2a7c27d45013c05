// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>

namespace chaincast::stats {

// Log-linear histogram of nanoseconds (or any unsigned value): 16 sub-buckets per power of two, so
// a quantile is at most 6.25 % above the true value. One writer, any reader. 8 KiB.
class Histogram {
 public:
  void record(uint64_t value) noexcept {
    auto& bucket = buckets_[index(value)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  // Adds what another histogram holds now; by this one's writer.
  void merge(const Histogram& other) noexcept {
    uint64_t added = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const uint64_t more = other.buckets_[i].load(std::memory_order_relaxed);
      buckets_[i].store(buckets_[i].load(std::memory_order_relaxed) + more,
                        std::memory_order_relaxed);
      added += more;
    }
    count_.store(count() + added, std::memory_order_relaxed);
    sum_.store(sum() + other.sum(), std::memory_order_relaxed);
    if (other.max() > max()) max_.store(other.max(), std::memory_order_relaxed);
  }

  uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  // Of all values, modulo 2^64.
  uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

  // Upper edge of the bucket that holds the q-quantile, 0 < q <= 1; 0 if empty.
  uint64_t quantile(double q) const noexcept {
    const uint64_t total = count();
    if (total == 0) return 0;
    const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(total)));
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i].load(std::memory_order_relaxed);
      if (seen >= rank) {
        const uint64_t edge = upper_edge(i);
        return edge < max() ? edge : max();
      }
    }
    return max();
  }

  // visit(upper edge, count) for each bucket that holds something, smallest first.
  template <typename Visit>
  void visit(Visit&& each) const {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const uint64_t held = buckets_[i].load(std::memory_order_relaxed);
      if (held > 0) each(upper_edge(i), held);
    }
  }

 private:
  static constexpr int sub_bits = 4;
  static size_t index(uint64_t value) noexcept {
    if (value < (1u << sub_bits)) return static_cast<size_t>(value);
    const int shift = 63 - std::countl_zero(value) - sub_bits;
    return (static_cast<size_t>(shift + 1) << sub_bits) +
           static_cast<size_t>((value >> shift) & ((1u << sub_bits) - 1));
  }
  static uint64_t upper_edge(size_t index) noexcept {
    if (index < (1u << sub_bits)) return index;
    const int shift = static_cast<int>(index >> sub_bits) - 1;
    const uint64_t base = (1u << sub_bits) + (index & ((1u << sub_bits) - 1));
    return ((base + 1) << shift) - 1;
  }

  std::array<std::atomic<uint64_t>, (64 - sub_bits + 1) << sub_bits> buckets_{};
  std::atomic<uint64_t> count_{0};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
};

}  // namespace chaincast::stats
