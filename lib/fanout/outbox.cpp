// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/outbox.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "fanout/pool.hpp"

namespace chaincast::fanout {

using stage::Drop;

namespace {

bool is_low(rte_mempool* pool) noexcept {
  // The caches are counted only where the rest looks low.
  const unsigned limit = pool->size / 8;
  return free_outside_caches(pool) < limit && rte_mempool_avail_count(pool) < limit;
}

[[gnu::always_inline]] inline void prefetch_lines(const void* from, size_t bytes) noexcept {
  constexpr uintptr_t line_bytes = 64;
  const auto begin = reinterpret_cast<uintptr_t>(from);
  for (uintptr_t at = begin / line_bytes * line_bytes; at < begin + bytes; at += line_bytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(at), 1);
  }
}

void count_sent(PeerQueue& queue, const PacketTotals& sent) noexcept {
  queue.datagrams.add(sent.packets);
  queue.frames.add(sent.frames);
  queue.bytes.add(sent.bytes);
}

}  // namespace

const Way* Outbox::way_of(const Peer& peer, bool is_priority) const noexcept {
  const size_t index = is_priority && worker_ == 0 ? 0 : 1 + size_t{worker_};
  return peer.port != nullptr && index < peer.ways.size() ? &peer.ways[index] : nullptr;
}

void Outbox::prefetch_way(const Peer& peer, bool is_priority) const noexcept {
  const Way* const way = way_of(peer, is_priority);
  if (way != nullptr) prefetch_lines(way, sizeof *way);
  prefetch_lines(&peer.state->bucket, sizeof peer.state->bucket);
  prefetch_lines(&peer.state->queues[worker_], sizeof peer.state->queues[worker_]);
}

void Outbox::prefetch_lane(const Peer& peer, bool is_priority) const noexcept {
  const Way* const way = way_of(peer, is_priority);
  if (way != nullptr) prefetch_lines(way->lane.get(), sizeof *way->lane);
  const PeerQueue& queue = queue_of(peer);
  prefetch_lines(&queue, 2 * sizeof(PacketRing) + 4 * sizeof(stats::Counter));
}

// Every packet that leaves this worker leaves here. Returns how many the port took.
unsigned Outbox::hand_to(port::Port& port, uint16_t queue, const port::Destination& to,
                         std::span<rte_mbuf*> packets) noexcept {
  const auto count = static_cast<unsigned>(packets.size());
  if (observer_ == nullptr) [[likely]]
    return port.transmit(queue, to, packets.data(), count);
  unsigned taken = 0;
  while (taken < count) {
    const unsigned some = std::min(count - taken, stage::Observer::offer_max);
    observer_->offered(port, to, packets.subspan(taken, some));
    const unsigned now = port.transmit(queue, to, packets.data() + taken, some);
    observer_->taken(now);
    taken += now;
    if (now < some) break;
  }
  return taken;
}

void Outbox::send(const Peer& peer, const Way& way, bool is_priority,
                  std::span<Outgoing* const> made, rte_mbuf** packets,
                  const PacketTotals& all) noexcept {
  PeerQueue& queue = queue_of(peer);
  PacketRing& ring = queue.ring(is_priority);
  const auto count = static_cast<unsigned>(made.size());
  unsigned taken = 0;
  if (ring.size() == 0 && (is_priority || queue.priority.size() == 0)) {
    const unsigned offered = is_priority ? count : std::min(count, inflight_max_);
    taken = hand_to(*peer.port, way.tx_queue, way.to, {packets, offered});
    CC_ASSERT(taken <= offered);
    PacketTotals sent = all;
    if (taken < count) {
      sent = {};
      for (unsigned i = 0; i < taken; ++i) sent.add(made[i]->frames, made[i]->bytes);
    }
    count_sent(queue, sent);
    sent_ += taken;
    if (observer_ != nullptr && taken > 0) observer_->sent(peer.peer, taken);
  }
  if (taken == count) return;
  for (unsigned i = taken; i < count; ++i) {
    ring.push(packets[i], made[i]->frames, made[i]->bytes, now_us_);
  }
  list(*peer.state, queue);
}

bool Outbox::send_past(port::Port& port, const port::Destination& to, rte_mbuf* packet) noexcept {
  if (hand_to(port, 0, to, {&packet, 1}) == 0) return false;
  ++sent_;
  return true;
}

// Returns whether the ring is empty now.
bool Outbox::flush(const Peer& peer, PeerQueue& queue, bool is_priority) noexcept {
  PacketRing& ring = queue.ring(is_priority);
  const Way* const way = way_of(peer, is_priority);
  unsigned left = is_priority ? ring.size() : std::min(ring.size(), inflight_max_);
  while (left > 0 && way != nullptr) {
    const std::span<rte_mbuf*> packets = ring.head(left);
    const auto offered = static_cast<unsigned>(packets.size());
    const unsigned taken = hand_to(*peer.port, way->tx_queue, way->to, packets);
    CC_ASSERT(taken <= offered);
    for (unsigned i = 0; observer_ != nullptr && i < taken; ++i) {
      observer_->sent_late(peer.peer, ring.since_us(i));
    }
    count_sent(queue, ring.pop(taken));
    sent_ += taken;
    left -= taken;
    if (taken < offered) break;
  }
  return ring.size() == 0;
}

unsigned Outbox::transmit(const PeerSnapshot& peers, Losses& losses) noexcept {
  const unsigned count = active_count_;
  // A port without room for all takes from another queue first each time.
  if (count > 1) {
    const unsigned first = turn_++ % count;
    std::rotate(active_.begin(), active_.begin() + first, active_.begin() + count);
  }
  active_count_ = 0;
  for (unsigned i = 0; i < count; ++i) {
    PeerState& state = *active_[i];
    PeerQueue& queue = *state.queues[worker_];
    queue.is_listed = false;
    const int32_t index = state.peer < peers.index_of.size() ? peers.index_of[state.peer] : -1;
    const Peer* const peer = index < 0 ? nullptr : &peers.peers[static_cast<size_t>(index)];
    if (peer == nullptr || peer->state.get() != &state) {
      drain(state, losses);
    } else if (!flush(*peer, queue, true) || !flush(*peer, queue, false)) {
      list(state, queue);
    }
  }
  return std::exchange(sent_, 0);
}

void Outbox::list(PeerState& state, PeerQueue& queue) noexcept {
  if (queue.is_listed) return;
  CC_ASSERT(active_count_ < active_.size());
  queue.is_listed = true;
  active_[active_count_++] = &state;
}

void Outbox::drain(PeerState& state, Losses& losses) noexcept {
  PeerQueue* const queue = state.queues[worker_].get();
  if (queue == nullptr) return;
  const uint64_t copies = uint64_t{queue->priority.clear().copies} + queue->bulk.clear().copies;
  losses.add(*queue, Drop::peer_gone, copies);
  if (!queue->is_listed) return;
  queue->is_listed = false;
  PeerState** const end = active_.data() + active_count_;
  active_count_ = static_cast<unsigned>(std::remove(active_.data(), end, &state) - active_.data());
}

void Outbox::relieve(const stage::Burst& burst, std::span<rte_mempool* const> pools,
                     Losses& losses) noexcept {
  if (active_count_ == 0) return;
  bool is_needed = std::any_of(pools.begin(), pools.end(), is_low);
  const rte_mempool* seen = nullptr;
  for (unsigned i = 0; i < burst.datagram_count && !is_needed; ++i) {
    rte_mempool* const pool = burst.datagrams[i].mbuf->pool;
    is_needed = pool != seen && is_low(pool);
    seen = pool;
  }
  if (!is_needed) return;
  PeerQueue* longest = active_[0]->queues[worker_].get();
  for (unsigned i = 1; i < active_count_; ++i) {
    PeerQueue* const queue = active_[i]->queues[worker_].get();
    if (queue->size() > longest->size()) longest = queue;
  }
  PacketRing& ring = longest->ring(longest->bulk.size() == 0);
  losses.add(*longest, Drop::pool_low, ring.clear().copies);
}

}  // namespace chaincast::fanout
