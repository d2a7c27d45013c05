// SPDX-License-Identifier: BSD-3-Clause
#include "wire/object.hpp"

#include "base/assert.hpp"

namespace chaincast::wire {

void append_packed(Bytes& payload, ByteSpan object) {
  CC_ASSERT(packed_fits(payload.size(), object.size(), payload_bytes_limit));
  const size_t at = payload.size();
  payload.resize(at + packed_length_bytes);
  store_be16(payload.data() + at, static_cast<uint16_t>(object.size()));
  payload.insert(payload.end(), object.begin(), object.end());
}

bool PackedReader::next(ByteSpan& object) noexcept {
  if (!ok_ || rest_.empty()) return false;
  if (rest_.size() < packed_length_bytes ||
      rest_.size() - packed_length_bytes < load_be16(rest_.data())) {
    ok_ = false;
    return false;
  }
  const size_t object_bytes = load_be16(rest_.data());
  object = rest_.subspan(packed_length_bytes, object_bytes);
  rest_ = rest_.subspan(packed_length_bytes + object_bytes);
  return true;
}

bool packed_well_formed(ByteSpan payload) noexcept {
  PackedReader reader(payload);
  ByteSpan object;
  while (reader.next(object)) {
  }
  return reader.ok();
}

ObjectPart object_part(uint8_t kind_byte) noexcept {
  const bool first = (kind_byte & kind_first) != 0;
  const bool last = (kind_byte & kind_last) != 0;
  if ((kind_byte & kind_packed) != 0) {
    return first && last ? ObjectPart::packed : ObjectPart::malformed;
  }
  if (first) return last ? ObjectPart::whole : ObjectPart::first;
  return last ? ObjectPart::last : ObjectPart::middle;
}

}  // namespace chaincast::wire
