// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "wire/frame.hpp"

// Packed frames (docs/wire.md, "Packed objects"): the payload of a frame with kind_packed is one or
// more whole objects, each behind its 2-byte length. Two bytes are enough, because an object that
// shares a frame is smaller than a frame. Pure; the reader allocates nothing.
namespace chaincast::wire {

inline constexpr size_t packed_length_bytes = 2;
// A packed frame is whole objects, so it is first and last at once.
inline constexpr uint8_t kind_packed_frame = kind_first | kind_last | kind_packed;

// True if `object_bytes` more fit into a payload that already holds `payload_bytes`.
inline bool packed_fits(size_t payload_bytes, size_t object_bytes, size_t payload_bytes_max) {
  return payload_bytes_max <= payload_bytes_limit && payload_bytes <= payload_bytes_max &&
         object_bytes <= payload_bytes_max &&
         payload_bytes + packed_length_bytes + object_bytes <= payload_bytes_max;
}

// Appends one object. The caller has asked packed_fits.
void append_packed(Bytes& payload, ByteSpan object);

// Walks the objects of a packed payload. Safe on any bytes.
class PackedReader {
 public:
  explicit PackedReader(ByteSpan payload) noexcept : rest_(payload), ok_(!payload.empty()) {}

  // True and the next object (may be empty), or false at the end or at a malformed length.
  bool next(ByteSpan& object) noexcept;
  // False for an empty payload and once a length ran past the end.
  bool ok() const noexcept { return ok_; }

 private:
  ByteSpan rest_;
  bool ok_;
};

// One or more objects that fill the payload exactly. Check before delivering any of them, so that
// a malformed frame delivers none.
bool packed_well_formed(ByteSpan payload) noexcept;

// What the kind byte of one frame means for the objects of its stream.
enum class ObjectPart : uint8_t {
  whole,      // first and last: one object
  first,      // more frames follow
  middle,     //
  last,       // completes the object
  packed,     // several whole objects
  malformed,  // packed without first and last
};
ObjectPart object_part(uint8_t kind_byte) noexcept;

}  // namespace chaincast::wire
