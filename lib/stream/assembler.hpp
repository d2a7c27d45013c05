// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"
#include "stream/receiver.hpp"

// Frames in order to objects (docs/wire.md, "Packed objects"). Owner: a Receiver. Memory: one
// object of at most object_bytes_max, or one packed payload.
namespace chaincast::stream {

class Assembler {
 public:
  Assembler(size_t object_bytes_max, ReceiverCounters& counters)
      : object_bytes_max_(object_bytes_max), counters_(counters) {}

  // The payload of the next data or route frame. Only after flush() has returned true.
  void take(Seq seq, uint8_t kind_byte, ByteSpan payload);
  // Offers what is complete. True if nothing waits any more, false if the sink is full.
  bool flush(Sink& sink);
  // A hole, or a new start: the object begun is dropped, and frames count as dropped until the next
  // object begins.
  void restart();
  bool is_idle() const { return !is_open_ && !is_complete_; }

 private:
  void begin(Seq seq, uint8_t kind_byte);
  void append(Seq seq, uint8_t kind_byte, ByteSpan payload);
  void drop_partial(uint64_t& counter);
  void finish();

  const size_t object_bytes_max_;
  ReceiverCounters& counters_;
  Bytes bytes_;           // the object, or a packed payload
  Object object_;         // what flush offers; bytes set on the fly
  uint64_t frames_ = 0;   // of the object
  size_t packed_at_ = 0;  // packed: offset of the object to offer
  bool is_open_ = false;  // first has been seen, last has not
  bool is_complete_ = false;
  bool is_packed_ = false;
  bool is_seeking_ = true;  // nothing begun since the start or a hole
};

}  // namespace chaincast::stream
