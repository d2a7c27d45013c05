// SPDX-License-Identifier: BSD-3-Clause
#include "classify/stage.hpp"

#include "wire/frame.hpp"

namespace chaincast::classify {

namespace {

using stage::Drop;

// Takes frames of one datagram until it ends or the burst is full.
void cut(stage::Burst& burst, Cursor& cursor) noexcept {
  stage::Datagram& datagram = burst.datagrams[cursor.datagram];
  uint16_t offset = cursor.offset == 0 ? uint16_t{wire::hop_header_bytes} : cursor.offset;
  datagram.frames_kept = 0;
  while (cursor.frame < datagram.frame_count && burst.frame_count < stage::frames_max) {
    const unsigned left = datagram.bytes - offset;
    const uint8_t* bytes = datagram.data + offset;
    if (left < wire::frame_header_bytes ||
        left - wire::frame_header_bytes < load_be16(bytes + wire::frame_offset_payload_bytes)) {
      burst.drop_rest(datagram, Drop::truncated);
      cursor.frame = datagram.frame_count;
      break;
    }
    stage::Frame& frame = burst.frames[burst.frame_count++];
    frame.bytes = bytes;
    frame.length = static_cast<uint16_t>(wire::frame_header_bytes +
                                         load_be16(bytes + wire::frame_offset_payload_bytes));
    frame.datagram = static_cast<uint8_t>(cursor.datagram);
    ++datagram.frames_kept;
    offset = static_cast<uint16_t>(offset + frame.length);
    ++cursor.frame;
  }
  if (cursor.frame >= datagram.frame_count) {
    cursor = {cursor.datagram + 1, 0, 0};
  } else {
    cursor.offset = offset;
  }
}

Drop identify(stage::Burst& burst, stage::Frame& frame,
              const stream::StreamTable& streams) noexcept {
  const uint8_t* p = frame.bytes;
  frame.stream = streams.find(StreamId{load_be64(p + wire::frame_offset_stream)});
  if (frame.stream == nullptr) return Drop::unknown_stream;
  stream::WorkerShare& share = frame.stream->shares[burst.worker];
  share.received.add();
  share.hops_max.raise_to(burst.datagrams[frame.datagram].hops);
  frame.kind = p[wire::frame_offset_kind];
  frame.suite = p[wire::frame_offset_suite];
  frame.epoch = load_be32(p + wire::frame_offset_epoch);
  frame.seq = load_be64(p + wire::frame_offset_seq);
  frame.tag48 = wire::tag48(p + wire::frame_offset_tag);
  frame.is_conflict = false;
  frame.is_priority = frame.stream->is_priority;
  const crypto::SuiteKey* key = frame.stream->key_of(frame.epoch);
  if (key == nullptr) return Drop::unknown_epoch;
  if (static_cast<uint8_t>(key->suite) != frame.suite) return Drop::bad_suite;
  if (frame.length > frame.stream->frame_bytes_max) return Drop::oversized;
  return Drop::count_;
}

}  // namespace

bool process(stage::Burst& burst, Cursor& cursor, const stream::StreamTable& streams) noexcept {
  burst.frame_count = 0;
  const unsigned first = cursor.datagram;
  while (cursor.datagram < burst.datagram_count && burst.frame_count < stage::frames_max) {
    cut(burst, cursor);
  }
  if (burst.frame_count == 0) return cursor.datagram != first;
  burst.filter_frames([&](unsigned i) { return identify(burst, burst.frames[i], streams); });
  return true;
}

}  // namespace chaincast::classify
