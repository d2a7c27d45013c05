// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "local/message.hpp"

// The shared-memory ring from a node to one reader in another process (docs/socket.md, "The ring").
// A RingWriter and a RingReader, one thread each, over memory that both have mapped; neither waits
// or makes a system call. Records are copied in once and read in place.
//
// Neither side believes the other: a position or length that cannot be is `damaged`, and nothing
// outside the ring is ever touched. The writer reads two words that the reader writes, `head` and
// `asleep`, and none of its own from shared memory.
namespace chaincast::local {

inline constexpr uint32_t ring_magic = 0x31524343;  // "CCR1" in memory
inline constexpr size_t ring_data_offset = 4096;
inline constexpr uint32_t ring_bytes_min = 64 * 1024;
inline constexpr uint32_t ring_bytes_max = 64 * 1024 * 1024;
inline constexpr size_t ring_record_header_bytes = 32;

// The first page. Little-endian.
struct RingControl {
  uint32_t magic;                          // these two: the node, once
  uint32_t data_bytes;                     // a power of two
  alignas(64) std::atomic<uint64_t> tail;  // bytes ever written: the node
  alignas(64) std::atomic<uint64_t> head;  // bytes ever read: the reader
  std::atomic<uint32_t> asleep;            // 1: the reader waits on the socket; see commit
};
static_assert(offsetof(RingControl, tail) == 64 && offsetof(RingControl, head) == 128 &&
              offsetof(RingControl, asleep) == 136 && sizeof(RingControl) <= ring_data_offset);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

struct RingRecord {
  Type type = Type::object;  // object, lost, closed, origin_lost or origin_back
  StreamId stream;
  Seq first_seq = 0;
  Seq last_seq = 0;
  ByteSpan bytes;  // the object, or the text of `closed`
};

// Of a record with so many bytes: header, bytes, and padding to a multiple of 8.
constexpr size_t ring_record_bytes(size_t bytes) {
  return (ring_record_header_bytes + bytes + 7) & ~size_t{7};
}

// The node's end.
class RingWriter {
 public:
  // `data` is data_bytes long and mapped twice in a row, so that no record is split; both outlive
  // the writer. Initializes `control`.
  RingWriter(RingControl& control, uint8_t* data, uint32_t data_bytes);

  // For records of so many bytes in all (ring_record_bytes). False: not yet, or damaged.
  bool has_room(size_t bytes);
  // False where there is no room. The reader does not see it before commit().
  bool write(const RingRecord& record);
  // Shows the reader what was written. True: it sleeps, and has to be told on the socket.
  bool commit();

  uint64_t uncommitted_bytes() const { return tail_ - committed_; }
  uint64_t read_bytes();  // by the reader, ever
  bool is_drained() { return read_bytes() == tail_; }
  uint32_t data_bytes() const { return data_bytes_; }
  // The reader has written a position that it cannot have reached. For good.
  bool is_damaged() const { return is_damaged_; }

 private:
  RingControl& control_;
  uint8_t* const data_;
  const uint32_t data_bytes_;
  uint64_t tail_ = 0;
  uint64_t committed_ = 0;
  uint64_t head_ = 0;  // as last read and checked
  bool is_damaged_ = false;
};

// The reader's end.
class RingReader {
 public:
  // As for the writer; `data` may be mapped read-only.
  RingReader(RingControl& control, const uint8_t* data, uint32_t data_bytes);

  enum class Step : uint8_t { record, empty, damaged };
  // The next record, in place: valid until the next call, which gives its room back.
  Step next(RingRecord& out);
  // Announces that the socket will be waited for. False: there is something to read.
  bool fall_asleep();

 private:
  void give_back();

  RingControl& control_;
  const uint8_t* const data_;
  const uint32_t data_bytes_;
  uint64_t head_ = 0;
  uint64_t given_back_ = 0;
  uint64_t tail_ = 0;
  size_t held_bytes_ = 0;  // of the record that the caller looks at
};

}  // namespace chaincast::local
