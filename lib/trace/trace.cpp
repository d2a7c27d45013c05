// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace.hpp"

#include <algorithm>

#include "wire/frame.hpp"

namespace chaincast::trace {

using stage::Drop;
using stage::Point;

namespace {

Point after(Point point) noexcept {
  return static_cast<Point>(static_cast<uint8_t>(point) + 1);
}

// What is judged before the hop stage has the burst.
bool is_of_rx(Drop reason) noexcept {
  return reason == Drop::stopped || reason == Drop::handover_full;
}

}  // namespace

Tracer::Tracer(unsigned worker, Budget& budget, const Clock& clock)
    : worker_(worker), budget_(budget), clock_(clock) {}

// Never 0: that would say that a stage was not passed.
uint32_t Tracer::since_arrival() const noexcept {
  const TimeNs passed_ns = clock_.now_ns() - arrived_ns_;
  return static_cast<uint32_t>(std::clamp<TimeNs>(passed_ns, 1, ~uint32_t{0}));
}

void Tracer::arrived(const stage::Burst&) noexcept {
  arrived_ns_ = clock_.now_ns();
  at_ = Point::hop;
}

Entry Tracer::describe(const stage::Datagram& datagram) const noexcept {
  Entry entry;
  entry.worker = worker_;
  entry.arrived_ns = arrived_ns_;
  entry.peer = datagram.peer;
  entry.port_id = datagram.port_id;
  entry.source = datagram.source;
  return entry;
}

Entry Tracer::describe(const stage::Burst& burst, const stage::Frame& frame) const noexcept {
  const stage::Datagram& datagram = burst.datagrams[frame.datagram];
  Entry entry = describe(datagram);
  entry.is_own = datagram.peer == stage::no_peer;
  if (!entry.is_own) {
    entry.passed_ns[static_cast<size_t>(Point::hop)] = hop_ns_;
    const auto hop = wire::load_hop_header(datagram.data);
    entry.link_id = hop.link_id;
    entry.link_seq = hop.link_seq;
  }
  entry.frames = datagram.frame_count;
  entry.length = frame.length;
  const auto header = wire::load_frame_header(frame.bytes);
  entry.stream = header.stream;
  entry.epoch = header.epoch;
  entry.seq = header.seq;
  return entry;
}

void Tracer::finish(Entry& entry, Point last, Drop reason) noexcept {
  entry.last = last;
  entry.reason = reason;
  // There is a place for every frame of the budget.
  finished_.push(std::move(entry));
}

void Tracer::dropped(const stage::Burst&, const stage::Datagram& datagram, Drop reason) noexcept {
  if (!budget_.take()) return;
  Entry entry = describe(datagram);
  entry.is_datagram = true;
  if (datagram.bytes >= wire::hop_header_bytes) {
    const auto hop = wire::load_hop_header(datagram.data);
    entry.link_id = hop.link_id;
    entry.link_seq = hop.link_seq;
    entry.frames = hop.frame_count;
  } else {
    entry.frames = 0;
  }
  if (entry.frames > 0 && datagram.bytes >= wire::hop_header_bytes + wire::frame_header_bytes) {
    const auto header = wire::load_frame_header(datagram.data + wire::hop_header_bytes);
    entry.stream = header.stream;
    entry.epoch = header.epoch;
    entry.seq = header.seq;
  }
  entry.length = datagram.bytes;
  finish(entry, is_of_rx(reason) ? Point::rx : at_, reason);
}

// Stages look at frames in their order, so the look-up goes on where the last one was.
Entry* Tracer::find(const stage::Frame& frame) noexcept {
  for (unsigned i = 0; i < live_count_; ++i) {
    const unsigned at = (cursor_ + i) % live_count_;
    if (live_[at].bytes != frame.bytes) continue;
    cursor_ = at + 1;
    return &live_[at].entry;
  }
  return nullptr;
}

void Tracer::dropped(const stage::Burst& burst, const stage::Frame& frame, Drop reason) noexcept {
  const bool is_own = burst.datagrams[frame.datagram].peer == stage::no_peer;
  if (Entry* const entry = find(frame); entry != nullptr) {
    finish(*entry, at_, reason);
    *entry = live_[live_count_ - 1].entry;
    live_[static_cast<size_t>(cursor_ - 1)].bytes = live_[live_count_ - 1].bytes;
    --live_count_;
  } else if ((at_ == Point::classify || is_own) && budget_.take()) {
    if (is_own) arrived_ns_ = clock_.now_ns();
    Entry made = describe(burst, frame);
    finish(made, is_own ? Point::commit : at_, reason);
  }
}

// The frames of this round, as far as the budget goes.
void Tracer::follow(const stage::Burst& burst) noexcept {
  live_count_ = 0;
  for (unsigned i = 0; i < burst.frame_count && budget_.take(); ++i) {
    live_[live_count_++] = {burst.frames[i].bytes, describe(burst, burst.frames[i])};
  }
}

void Tracer::passed(const stage::Burst& burst, Point point) noexcept {
  const bool is_own = burst.frame_count > 0 && point >= Point::classify &&
                      burst.datagrams[burst.frames[0].datagram].peer == stage::no_peer;
  if (is_own && point == Point::commit) {
    arrived_ns_ = clock_.now_ns();
    follow(burst);
  }
  const uint32_t passed_ns = since_arrival();
  at_ = after(point);
  cursor_ = 0;
  if (point == Point::hop) hop_ns_ = passed_ns;
  if (point == Point::classify) follow(burst);
  for (unsigned i = 0; i < live_count_; ++i) {
    live_[i].entry.passed_ns[static_cast<size_t>(point)] = passed_ns;
  }
  if (point != Point::fanout) return;
  for (unsigned i = 0; i < live_count_; ++i) finish(live_[i].entry, point, Drop::count_);
  live_count_ = 0;
  at_ = Point::classify;  // of the next round
}

void Tracer::copied(const stage::Burst& burst, std::span<const uint8_t> frames, uint32_t,
                    Drop reason) noexcept {
  if (live_count_ == 0) return;
  for (const uint8_t index : frames) {
    Entry* const entry = find(burst.frames[index]);
    if (entry == nullptr) continue;
    if (reason == Drop::count_) {
      ++entry->copies;
    } else {
      ++entry->lost_copies;
      entry->copy_reason = reason;
    }
  }
}

}  // namespace chaincast::trace
