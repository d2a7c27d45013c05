// SPDX-License-Identifier: BSD-3-Clause
#include "local/ring.hpp"

#include <bit>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::local {

namespace {

static_assert(std::endian::native == std::endian::little);

// A record's header as it lies in the ring.
struct Head {
  uint32_t bytes;
  uint8_t type;
  uint8_t zero[3];
  uint64_t stream;
  uint64_t first_seq;
  uint64_t last_seq;
};
static_assert(sizeof(Head) == ring_record_header_bytes);

// The reader gives room back in steps, so that the two ends seldom touch the same cache line.
constexpr uint32_t give_back_parts = 8;

}  // namespace

RingWriter::RingWriter(RingControl& control, uint8_t* data, uint32_t data_bytes)
    : control_(control), data_(data), data_bytes_(data_bytes) {
  CC_ASSERT(std::has_single_bit(data_bytes));
  control_.magic = ring_magic;
  control_.data_bytes = data_bytes;
  control_.tail.store(0, std::memory_order_relaxed);
  control_.head.store(0, std::memory_order_relaxed);
  control_.asleep.store(0, std::memory_order_release);
}

uint64_t RingWriter::read_bytes() {
  const uint64_t head = control_.head.load(std::memory_order_acquire);
  if (head < head_ || head > committed_) {
    is_damaged_ = true;
  } else {
    head_ = head;
  }
  return head_;
}

bool RingWriter::has_room(size_t bytes) {
  if (bytes > data_bytes_ - (tail_ - head_)) read_bytes();
  return !is_damaged_ && bytes <= data_bytes_ - (tail_ - head_);
}

bool RingWriter::write(const RingRecord& record) {
  const size_t bytes = ring_record_bytes(record.bytes.size());
  if (!has_room(bytes)) return false;
  uint8_t* at = data_ + (tail_ & (data_bytes_ - 1));
  const Head head{static_cast<uint32_t>(record.bytes.size()),
                  static_cast<uint8_t>(record.type),
                  {},
                  record.stream.value,
                  record.first_seq,
                  record.last_seq};
  std::memcpy(at, &head, sizeof head);
  if (!record.bytes.empty()) {
    std::memcpy(at + sizeof head, record.bytes.data(), record.bytes.size());
  }
  tail_ += bytes;
  return true;
}

// Sequential consistency on both sides: either the reader sees the new tail when it looks again, or
// the writer sees that it sleeps.
bool RingWriter::commit() {
  if (committed_ == tail_) return false;
  committed_ = tail_;
  control_.tail.store(tail_, std::memory_order_seq_cst);
  if (control_.asleep.load(std::memory_order_seq_cst) == 0) return false;
  return control_.asleep.exchange(0, std::memory_order_seq_cst) != 0;
}

RingReader::RingReader(RingControl& control, const uint8_t* data, uint32_t data_bytes)
    : control_(control), data_(data), data_bytes_(data_bytes) {
  CC_ASSERT(std::has_single_bit(data_bytes));
}

void RingReader::give_back() {
  if (given_back_ == head_) return;
  given_back_ = head_;
  control_.head.store(head_, std::memory_order_release);
}

RingReader::Step RingReader::next(RingRecord& out) {
  head_ += held_bytes_;
  held_bytes_ = 0;
  if (head_ - given_back_ >= data_bytes_ / give_back_parts) give_back();
  if (head_ == tail_) {
    give_back();
    const uint64_t tail = control_.tail.load(std::memory_order_acquire);
    // Also where it went backwards.
    if (tail - head_ > data_bytes_) return Step::damaged;
    tail_ = tail;
    if (head_ == tail_) return Step::empty;
  }
  const uint64_t left = tail_ - head_;
  if (left < ring_record_header_bytes) return Step::damaged;
  const uint8_t* at = data_ + (head_ & (data_bytes_ - 1));
  Head head;
  std::memcpy(&head, at, sizeof head);
  const size_t bytes = ring_record_bytes(head.bytes);
  if (bytes > left) return Step::damaged;
  out.type = static_cast<Type>(head.type);
  if (!is_event(out.type)) return Step::damaged;
  out.stream.value = head.stream;
  out.first_seq = head.first_seq;
  out.last_seq = head.last_seq;
  out.bytes = ByteSpan(at + sizeof head, head.bytes);
  held_bytes_ = bytes;
  return Step::record;
}

bool RingReader::fall_asleep() {
  if (head_ + held_bytes_ != tail_) return false;
  control_.asleep.store(1, std::memory_order_seq_cst);
  return control_.tail.load(std::memory_order_seq_cst) == tail_;
}

}  // namespace chaincast::local
