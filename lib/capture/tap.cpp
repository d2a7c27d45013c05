// SPDX-License-Identifier: BSD-3-Clause
#include "capture/tap.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "wire/datagram.hpp"

namespace chaincast::capture {

using stage::Drop;

namespace {

Loss* losses_of(Record& record) noexcept {
  return reinterpret_cast<Loss*>(reinterpret_cast<uint8_t*>(&record) + losses_offset(record.bytes));
}

// No more frames than the datagram says and than have room in it.
uint16_t frames_max(ByteSpan datagram) noexcept {
  if (datagram.size() < wire::hop_header_bytes) return 0;
  const size_t room = (datagram.size() - wire::hop_header_bytes) / wire::frame_header_bytes;
  return static_cast<uint16_t>(std::min<size_t>(datagram[2], room));
}

// The datagram behind the port's headers, which may lie in several buffers.
void gather(const rte_mbuf* packet, size_t skip, uint8_t* out, size_t bytes) noexcept {
  for (const rte_mbuf* s = packet; s != nullptr && bytes > 0; s = s->next) {
    const size_t length = s->data_len;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const size_t some = std::min(bytes, length - skip);
    std::memcpy(out, rte_pktmbuf_mtod(s, const uint8_t*) + skip, some);
    out += some;
    bytes -= some;
    skip = 0;
  }
}

}  // namespace

Tap::Tap(Filter filter, const stream::StreamTable& streams, const Clock& clock, size_t ring_bytes)
    : filter_(std::move(filter)), streams_(streams), clock_(clock), ring_(ring_bytes) {}

void Tap::set_ports(PortIds ports, rcu::Retirer& retirer) {
  ports_.publish(std::make_unique<const PortIds>(std::move(ports)), retirer);
}

uint16_t Tap::id_of(const port::Port& port) const noexcept {
  const PortIds* const ports = ports_.read();
  if (ports == nullptr) return any_port;
  for (const auto& [known, id] : *ports) {
    if (known == &port) return id;
  }
  return any_port;
}

// A record with its head made; null: no room.
Record* Tap::take(size_t bytes, size_t losses_max, uint8_t*& data) noexcept {
  uint8_t* const at = ring_.reserve(record_bytes(bytes, losses_max));
  if (at == nullptr) return nullptr;
  data = at + sizeof(Record);
  auto* const record = new (at) Record;
  record->bytes = static_cast<uint16_t>(bytes);
  return record;
}

bool Tap::holds_stream(ByteSpan datagram) const noexcept {
  if (datagram.size() < wire::hop_header_bytes) return false;
  wire::FrameWalker walker(datagram);
  wire::FrameView frame;
  while (walker.next(frame)) {
    const StreamId id{load_be64(frame.data + wire::frame_offset_stream)};
    const stream::Stream* const stream = streams_.find(id);
    if (stream != nullptr && stream->name == filter_.stream) return true;
    std::array<char, 17> hex{};
    for (unsigned i = 0; i < 16; ++i) hex[i] = "0123456789abcdef"[id.value >> (60 - 4 * i) & 15];
    if (filter_.stream == hex.data()) return true;
  }
  return false;
}

void Tap::arrived(const stage::Burst& burst) noexcept {
  settle();
  if (is_closed_.load(std::memory_order_relaxed)) return;
  burst_mark_ = ring_.mark();
  slot_count_ = burst.datagram_count;
  const TimeNs now_ns = clock_.now_ns();
  for (unsigned i = 0; i < slot_count_; ++i) {
    const stage::Datagram& datagram = burst.datagrams[i];
    const ByteSpan bytes(datagram.data, datagram.bytes);
    Slot& slot = slots_[i] = {};
    if (filter_.port_id != any_port && filter_.port_id != datagram.port_id) continue;
    if (!filter_.stream.empty() && !holds_stream(bytes)) continue;
    slot.losses_max = frames_max(bytes);
    uint8_t* data = nullptr;
    slot.record = take(bytes.size(), slot.losses_max, data);
    if (slot.record == nullptr) {
      slot.is_missed = true;
      if (filter_.dropped == Drop::count_) missed_[datagram.port_id % ports_max].add();
      continue;
    }
    slot.record->time_ns = now_ns;
    slot.record->remote = datagram.source;
    slot.record->local_port = datagram.local_port;
    slot.record->port_id = datagram.port_id;
    std::copy(bytes.begin(), bytes.end(), data);
  }
}

void Tap::handed_over(const stage::Burst&, const stage::Datagram& datagram) noexcept {
  if (datagram.arrival >= slot_count_) return;
  if (Record* const record = slots_[datagram.arrival].record) record->is_void = true;
}

// A frame's loss, or without an offset the whole datagram's.
void Tap::note(const stage::Datagram& datagram, Loss loss) noexcept {
  if (datagram.arrival >= slot_count_) return;
  Slot& slot = slots_[datagram.arrival];
  if (slot.record == nullptr) {
    if (!slot.is_missed || filter_.dropped != loss.reason) return;
    slot.is_missed = false;
    missed_[datagram.port_id % ports_max].add();
  } else if (loss.offset == 0) {
    slot.record->drop = loss.reason;
  } else if (slot.record->losses < slot.losses_max) {
    losses_of(*slot.record)[slot.record->losses++] = loss;
  }
}

void Tap::dropped(const stage::Burst&, const stage::Datagram& datagram, Drop reason) noexcept {
  note(datagram, {0, reason});
}

void Tap::dropped(const stage::Burst& burst, const stage::Frame& frame, Drop reason) noexcept {
  const stage::Datagram& datagram = burst.datagrams[frame.datagram];
  // Frames of this node's own origins have not arrived: they are taken down as they leave.
  if (datagram.peer == stage::no_peer) return;
  note(datagram, {static_cast<uint16_t>(frame.bytes - datagram.data), reason});
}

bool Tap::is_wanted(const Record& record) const noexcept {
  if (record.is_void) return false;
  if (filter_.dropped == Drop::count_ || record.drop == filter_.dropped) return true;
  const Loss* const losses = losses_of(const_cast<Record&>(record));
  return std::any_of(losses, losses + record.losses,
                     [&](const Loss& loss) { return loss.reason == filter_.dropped; });
}

// All is known of the burst that arrived last.
void Tap::settle() noexcept {
  bool any = false;
  for (unsigned i = 0; i < slot_count_; ++i) {
    Record* const record = slots_[i].record;
    if (record == nullptr) continue;
    record->is_void = !is_wanted(*record);
    any = any || !record->is_void;
  }
  // Nothing stands behind the burst's records: with a reason to look for, no packet that leaves is
  // taken down.
  if (!any && slot_count_ > 0 && filter_.dropped != Drop::count_) ring_.rewind(burst_mark_);
  slot_count_ = 0;
}

void Tap::offered(const port::Port& port, const port::Destination& to,
                  std::span<rte_mbuf* const> packets) noexcept {
  offered_count_ = 0;
  if (filter_.dropped != Drop::count_ || is_closed_.load(std::memory_order_relaxed)) return;
  offered_port_ = id_of(port);
  if (offered_port_ >= ports_max) return;
  if (filter_.port_id != any_port && filter_.port_id != offered_port_) return;
  const TimeNs now_ns = clock_.now_ns();
  offered_count_ = static_cast<unsigned>(packets.size());
  for (unsigned i = 0; i < offered_count_; ++i) {
    const size_t bytes = packets[i]->pkt_len - size_t{to.header_bytes};
    uint8_t* data = nullptr;
    marks_[i] = ring_.mark();
    Record* const record = take(bytes, 0, data);
    is_missed_[i] = record == nullptr;
    if (record == nullptr) continue;
    record->time_ns = now_ns;
    record->remote = to.remote;
    record->local_port = to.local_port;
    record->port_id = offered_port_;
    record->is_outgoing = true;
    gather(packets[i], to.header_bytes, data, bytes);
    if (!filter_.stream.empty() && !holds_stream({data, bytes})) ring_.rewind(marks_[i]);
  }
}

void Tap::taken(unsigned count) noexcept {
  if (count < offered_count_) ring_.rewind(marks_[count]);
  for (unsigned i = 0; i < std::min(count, offered_count_); ++i) {
    if (is_missed_[i]) missed_[offered_port_].add();
  }
  offered_count_ = 0;
}

void Tap::turned() noexcept {
  settle();
  ring_.publish();
}

}  // namespace chaincast::capture
