// SPDX-License-Identifier: BSD-3-Clause
#include "stream/assembler.hpp"

#include "base/assert.hpp"
#include "wire/object.hpp"

namespace chaincast::stream {

void Assembler::drop_partial(uint64_t& counter) {
  if (!is_open_) return;
  ++counter;
  counters_.dropped_frames += frames_;
  is_open_ = false;
  frames_ = 0;
  bytes_.clear();
}

void Assembler::restart() {
  drop_partial(counters_.lost_objects);
  is_seeking_ = true;
}

void Assembler::begin(Seq seq, uint8_t kind_byte) {
  drop_partial(counters_.malformed_objects);
  bytes_.clear();
  frames_ = 0;
  object_.first_seq = seq;
  object_.is_route = wire::kind_of(kind_byte) == wire::Kind::route;
  is_open_ = true;
  is_packed_ = false;
  is_seeking_ = false;
}

void Assembler::append(Seq seq, uint8_t kind_byte, ByteSpan payload) {
  ++frames_;
  const bool is_route = wire::kind_of(kind_byte) == wire::Kind::route;
  if (is_route != object_.is_route || bytes_.size() + payload.size() > object_bytes_max_) {
    drop_partial(counters_.malformed_objects);
    is_seeking_ = true;
    return;
  }
  bytes_.insert(bytes_.end(), payload.begin(), payload.end());
  object_.last_seq = seq;
}

void Assembler::take(Seq seq, uint8_t kind_byte, ByteSpan payload) {
  CC_ASSERT(!is_complete_);
  const wire::ObjectPart part = wire::object_part(kind_byte);
  switch (part) {
    case wire::ObjectPart::packed:
      begin(seq, kind_byte);
      append(seq, kind_byte, payload);
      is_packed_ = true;
      if (is_open_ && !wire::packed_well_formed(bytes_)) drop_partial(counters_.malformed_objects);
      break;
    case wire::ObjectPart::whole:
    case wire::ObjectPart::first:
      begin(seq, kind_byte);
      append(seq, kind_byte, payload);
      break;
    case wire::ObjectPart::middle:
    case wire::ObjectPart::last:
      if (is_open_) {
        append(seq, kind_byte, payload);
      } else {
        ++counters_.dropped_frames;
        if (!is_seeking_) ++counters_.malformed_objects;
        is_seeking_ = true;
      }
      break;
    case wire::ObjectPart::malformed:
      drop_partial(counters_.malformed_objects);
      ++counters_.malformed_objects;
      ++counters_.dropped_frames;
      break;
  }
  const bool completes = part == wire::ObjectPart::packed || part == wire::ObjectPart::whole ||
                         part == wire::ObjectPart::last;
  if (is_open_ && completes) {
    is_open_ = false;
    is_complete_ = true;
    packed_at_ = 0;
  }
}

void Assembler::finish() {
  counters_.delivered_frames += frames_;
  frames_ = 0;
  is_complete_ = false;
  bytes_.clear();
  // A single huge object must not hold its memory for ever.
  if (bytes_.capacity() > (size_t{1} << 20)) bytes_.shrink_to_fit();
}

bool Assembler::flush(Sink& sink) {
  if (!is_complete_) return true;
  if (!is_packed_) {
    object_.bytes = bytes_;
    if (!sink.on_object(object_)) return false;
    ++counters_.delivered_objects;
    counters_.delivered_bytes += object_.bytes.size();
    finish();
    return true;
  }
  wire::PackedReader reader(ByteSpan(bytes_).subspan(packed_at_));
  while (packed_at_ < bytes_.size() && reader.next(object_.bytes)) {
    if (!sink.on_object(object_)) return false;
    ++counters_.delivered_objects;
    counters_.delivered_bytes += object_.bytes.size();
    packed_at_ += wire::packed_length_bytes + object_.bytes.size();
  }
  finish();
  return true;
}

}  // namespace chaincast::stream
