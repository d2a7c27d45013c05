// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/ring.hpp"

// A bounded queue of records of any length from one thread to one other. A record lies in one piece
// and may be changed or taken back until it is published.
namespace chaincast::capture {

// Neither side waits or allocates after construction. Each record costs 8 bytes more and is padded
// to 8; what does not fit before the end of the memory begins at its start.
// Invariant: head_ <= published_ <= next_ <= head_ + size; all are byte counts since the start.
class RecordRing {
 public:
  // The memory, rounded up to a power of two.
  explicit RecordRing(size_t bytes_min);

  // ---- producer ----
  // Room for a record, aligned to 8; null: the ring is full.
  uint8_t* reserve(size_t bytes) noexcept;
  // Where the next record will begin.
  uint64_t mark() const noexcept { return next_; }
  // Takes back all that was reserved since `mark`, none of which is published.
  void rewind(uint64_t mark) noexcept;
  // Hands all that was reserved to the consumer.
  void publish() noexcept;

  // ---- consumer ----
  // The oldest record, or nothing; valid until pop().
  std::span<const uint8_t> front() noexcept;
  void pop() noexcept;

  size_t size_bytes() const noexcept { return mask_ + 1; }

 private:
  struct Head {
    uint32_t bytes = 0;  // of the record, or of the gap
    uint32_t is_gap = 0;
  };
  void put_head(uint64_t at, Head head) noexcept;
  Head head_at(uint64_t at) const noexcept;

  const size_t mask_;
  const std::unique_ptr<uint8_t[]> memory_;
  alignas(base::cache_line_bytes) std::atomic<uint64_t> head_{0};       // written by the consumer
  uint64_t published_cached_ = 0;                                       // consumer only
  alignas(base::cache_line_bytes) std::atomic<uint64_t> published_{0};  // written by the producer
  uint64_t next_ = 0;                                                   // producer only
  uint64_t head_cached_ = 0;                                            // producer only
};

}  // namespace chaincast::capture
