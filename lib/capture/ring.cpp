// SPDX-License-Identifier: BSD-3-Clause
#include "capture/ring.hpp"

#include <bit>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::capture {

namespace {

constexpr size_t head_bytes = 8;

constexpr uint64_t padded(uint64_t bytes) noexcept {
  return (bytes + 7) & ~uint64_t{7};
}

}  // namespace

RecordRing::RecordRing(size_t bytes_min)
    : mask_(std::bit_ceil(bytes_min) - 1), memory_(std::make_unique<uint8_t[]>(mask_ + 1)) {
  static_assert(sizeof(Head) == head_bytes);
  CC_ASSERT(bytes_min >= 2 * head_bytes);
}

void RecordRing::put_head(uint64_t at, Head head) noexcept {
  std::memcpy(&memory_[at & mask_], &head, sizeof head);
}

RecordRing::Head RecordRing::head_at(uint64_t at) const noexcept {
  Head head;
  std::memcpy(&head, &memory_[at & mask_], sizeof head);
  return head;
}

uint8_t* RecordRing::reserve(size_t bytes) noexcept {
  const size_t size = mask_ + 1;
  if (bytes > size - head_bytes) return nullptr;
  const uint64_t needed = head_bytes + padded(bytes);
  const uint64_t to_end = size - (next_ & mask_);
  const uint64_t gap = to_end < needed ? to_end : 0;
  const uint64_t end = next_ + gap + needed;
  if (end - head_cached_ > size) {
    head_cached_ = head_.load(std::memory_order_acquire);
    if (end - head_cached_ > size) return nullptr;
  }
  if (gap > 0) put_head(next_, {static_cast<uint32_t>(gap - head_bytes), 1});
  const uint64_t at = next_ + gap;
  put_head(at, {static_cast<uint32_t>(bytes), 0});
  next_ = end;
  return &memory_[at & mask_] + head_bytes;
}

void RecordRing::rewind(uint64_t mark) noexcept {
  CC_ASSERT(mark <= next_ && mark >= published_.load(std::memory_order_relaxed));
  next_ = mark;
}

void RecordRing::publish() noexcept {
  published_.store(next_, std::memory_order_release);
}

std::span<const uint8_t> RecordRing::front() noexcept {
  for (;;) {
    const uint64_t at = head_.load(std::memory_order_relaxed);
    if (at == published_cached_) {
      published_cached_ = published_.load(std::memory_order_acquire);
      if (at == published_cached_) return {};
    }
    const Head head = head_at(at);
    if (head.is_gap == 0) return {&memory_[at & mask_] + head_bytes, head.bytes};
    head_.store(at + head_bytes + head.bytes, std::memory_order_release);
  }
}

void RecordRing::pop() noexcept {
  const uint64_t at = head_.load(std::memory_order_relaxed);
  head_.store(at + head_bytes + padded(head_at(at).bytes), std::memory_order_release);
}

}  // namespace chaincast::capture
