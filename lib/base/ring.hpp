// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/assert.hpp"

// Bounded queues between threads. Neither waits, allocates after construction, or drops silently:
// push returns false when full and the caller counts it. Clean under the thread sanitizer.
namespace chaincast::base {

inline constexpr size_t cache_line_bytes = 64;

// One producer thread, one consumer thread. Capacity is rounded up to a power of two.
// Invariants: 1. head_ is written by the consumer only, tail_ by the producer only.
//             2. slots [head_, tail_) belong to the consumer, the others to the producer.
template <typename T>
class SpscRing {
 public:
  explicit SpscRing(size_t capacity_min)
      : mask_(std::bit_ceil(capacity_min) - 1), slots_(std::make_unique<T[]>(mask_ + 1)) {
    CC_ASSERT(capacity_min > 0);
  }

  // Producer. False: full, and `item` is untouched.
  bool push(T&& item) noexcept {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_cached_ > mask_) {
      head_cached_ = head_.load(std::memory_order_acquire);
      if (tail - head_cached_ > mask_) return false;
    }
    slots_[tail & mask_] = std::move(item);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer. False: empty.
  bool pop(T& item) noexcept {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_cached_) {
      tail_cached_ = tail_.load(std::memory_order_acquire);
      if (head == tail_cached_) return false;
    }
    item = std::move(slots_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  // Any thread; a snapshot.
  size_t size() const noexcept {
    const size_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }
  size_t capacity() const noexcept { return mask_ + 1; }

 private:
  const size_t mask_;
  std::unique_ptr<T[]> slots_;
  alignas(cache_line_bytes) std::atomic<size_t> head_{0};  // written by consumer
  size_t tail_cached_ = 0;                                 // consumer only
  alignas(cache_line_bytes) std::atomic<size_t> tail_{0};  // written by producer
  size_t head_cached_ = 0;                                 // producer only
};

// Any number of producers and consumers (Vyukov's bounded queue). A push or pop costs one
// compare-and-swap; per-producer order is kept.
template <typename T>
class MpmcRing {
 public:
  explicit MpmcRing(size_t capacity_min)
      : mask_(std::bit_ceil(capacity_min < 2 ? size_t{2} : capacity_min) - 1),
        cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    for (size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  bool push(T&& item) noexcept {
    size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const size_t turn = cell.turn.load(std::memory_order_acquire);
      if (turn == position) {
        if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
          cell.item = std::move(item);
          cell.turn.store(position + 1, std::memory_order_release);
          return true;
        }
      } else if (static_cast<ptrdiff_t>(turn - position) < 0) {
        return false;
      } else {
        position = tail_.load(std::memory_order_relaxed);
      }
    }
  }

  bool pop(T& item) noexcept {
    size_t position = head_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const size_t turn = cell.turn.load(std::memory_order_acquire);
      if (turn == position + 1) {
        if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
          item = std::move(cell.item);
          cell.turn.store(position + mask_ + 1, std::memory_order_release);
          return true;
        }
      } else if (static_cast<ptrdiff_t>(turn - (position + 1)) < 0) {
        return false;
      } else {
        position = head_.load(std::memory_order_relaxed);
      }
    }
  }

  // Any thread; a snapshot.
  size_t size() const noexcept {
    const size_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }
  size_t capacity() const noexcept { return mask_ + 1; }

 private:
  struct Cell {
    std::atomic<size_t> turn{0};
    T item{};
  };
  const size_t mask_;
  std::unique_ptr<Cell[]> cells_;
  alignas(cache_line_bytes) std::atomic<size_t> head_{0};
  alignas(cache_line_bytes) std::atomic<size_t> tail_{0};
};

}  // namespace chaincast::base
