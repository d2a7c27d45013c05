// SPDX-License-Identifier: BSD-3-Clause
#include "classify/stage.hpp"

#include <algorithm>
#include <limits>

#include "wire/frame.hpp"

namespace chaincast::classify {

namespace {

using stage::Drop;

// Takes the frames of one datagram.
void cut(stage::Burst& burst, unsigned index) noexcept {
  stage::Datagram& datagram = burst.datagrams[index];
  unsigned offset = wire::hop_header_bytes;
  datagram.frames_kept = 0;
  for (unsigned i = 0; i < datagram.frame_count; ++i) {
    const unsigned left = datagram.bytes - offset;
    const uint8_t* bytes = datagram.data + offset;
    if (left < wire::frame_header_bytes ||
        left - wire::frame_header_bytes < load_be16(bytes + wire::frame_offset_payload_bytes)) {
      burst.drop_rest(datagram, Drop::truncated);
      return;
    }
    stage::Frame& frame = burst.frames[burst.frame_count++];
    frame.bytes = bytes;
    frame.length = static_cast<uint16_t>(wire::frame_header_bytes +
                                         load_be16(bytes + wire::frame_offset_payload_bytes));
    frame.datagram = static_cast<uint8_t>(index);
    ++datagram.frames_kept;
    offset += frame.length;
  }
}

// Finds stream and key of frames. What suite, epoch and stream led to is kept for the next frame,
// which mostly has the same; so are the counts of such a run, until it ends.
class Finder {
 public:
  Finder(const stream::StreamTable& streams, unsigned worker) noexcept
      : streams_(streams), worker_(worker) {}
  ~Finder() { count_run(); }
  Finder(const Finder&) = delete;
  Finder& operator=(const Finder&) = delete;

  Drop identify(stage::Frame& frame, uint8_t hops) noexcept {
    const uint8_t* p = frame.bytes;
    const Selector selector = Selector::of(p);
    if (selector != selector_) find(selector, p);
    frame.stream = stream_;
    if (stream_ == nullptr) return reason_;
    ++received_;
    hops_max_ = std::max(hops_max_, hops);
    frame.key = key_;
    frame.kind = p[wire::frame_offset_kind];
    frame.suite = p[wire::frame_offset_suite];
    frame.epoch = load_be32(p + wire::frame_offset_epoch);
    frame.seq = load_be64(p + wire::frame_offset_seq);
    frame.tag48 = wire::tag48(p + wire::frame_offset_tag);
    frame.is_conflict = false;
    frame.is_priority = stream_->is_priority;
    if (reason_ == Drop::count_ && frame.length > stream_->frame_bytes_max) return Drop::oversized;
    return reason_;
  }

 private:
  // Suite, epoch and stream as they stand in a header, side by side.
  struct Selector {
    uint64_t suite_epoch = ~uint64_t{0};
    uint64_t stream = 0;
    bool operator==(const Selector&) const = default;
    static Selector of(const uint8_t* header) noexcept {
      static_assert(wire::frame_offset_suite == 3 && wire::frame_offset_epoch == 4 &&
                    wire::frame_offset_stream == 8);
      return {load_be64(header) & 0xff'ffff'ffff, load_be64(header + wire::frame_offset_stream)};
    }
  };

  void find(const Selector& selector, const uint8_t* header) noexcept {
    count_run();
    selector_ = selector;
    key_ = nullptr;
    stream_ = streams_.find(StreamId{selector.stream});
    if (stream_ == nullptr) {
      reason_ = Drop::unknown_stream;
      return;
    }
    key_ = stream_->key_of(load_be32(header + wire::frame_offset_epoch));
    if (key_ == nullptr) {
      reason_ = Drop::unknown_epoch;
    } else if (static_cast<uint8_t>(key_->suite) != header[wire::frame_offset_suite]) {
      reason_ = Drop::bad_suite;
    } else {
      reason_ = Drop::count_;
    }
  }

  void count_run() noexcept {
    if (received_ == 0) return;
    stream::WorkerShare& share = stream_->shares[worker_];
    share.received.add(received_);
    share.hops_max.raise_to(hops_max_);
    received_ = 0;
    hops_max_ = 0;
  }

  const stream::StreamTable& streams_;
  const unsigned worker_;
  Selector selector_;  // no header has the one it begins with: a suite and epoch have 40 bits
  stream::Stream* stream_ = nullptr;
  const crypto::SuiteKey* key_ = nullptr;
  Drop reason_ = Drop::unknown_stream;
  uint64_t received_ = 0;  // of stream_, not counted there yet
  uint8_t hops_max_ = 0;
};

}  // namespace

bool process(stage::Burst& burst, Cursor& cursor, const stream::StreamTable& streams) noexcept {
  burst.frame_count = 0;
  const unsigned first = cursor.datagram;
  static_assert(std::numeric_limits<uint8_t>::max() <= stage::frames_max, "one datagram fits");
  const auto fits = [&](const stage::Datagram& next) {
    return burst.frame_count + next.frame_count <= stage::frames_max;
  };
  while (cursor.datagram < burst.datagram_count && fits(burst.datagrams[cursor.datagram])) {
    cut(burst, cursor.datagram++);
  }
  if (burst.frame_count == 0) return cursor.datagram != first;
  Finder finder(streams, burst.worker);
  burst.filter_frames([&](unsigned i) {
    stage::Frame& frame = burst.frames[i];
    return finder.identify(frame, burst.datagrams[frame.datagram].hops);
  });
  return true;
}

}  // namespace chaincast::classify
