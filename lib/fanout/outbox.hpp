// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <span>

#include "fanout/bundle.hpp"
#include "fanout/queue.hpp"

// One worker's way out: stamped packets go to their port, or wait in their peer's queue.
namespace chaincast::fanout {

// Losses of one call, in copies of frames (a control message counts as one): at once for the peer,
// at the end for the worker.
class Losses {
 public:
  void add(PeerQueue& queue, stage::Drop reason, uint64_t copies) noexcept {
    if (copies == 0) return;
    queue.drops.add(reason, copies);
    add(reason, copies);
  }
  void add(stage::Drop reason, uint64_t copies) noexcept {
    counts_[static_cast<size_t>(reason)] += copies;
    any_ = any_ || copies > 0;
  }
  bool any() const noexcept { return any_; }
  // Calls count(reason, copies) for what was lost.
  template <typename Count>
  void report(Count&& count) const noexcept {
    if (!any_) return;
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) count(static_cast<stage::Drop>(i), counts_[i]);
    }
  }

 private:
  std::array<uint64_t, stage::drop_count> counts_{};
  bool any_ = false;
};

// Thread: one worker. Queues with a backlog are listed, so that draining does not visit every peer.
// Invariant: a queue is listed if and only if PeerQueue::is_listed; every queue with packets is.
class Outbox {
 public:
  static constexpr unsigned peers_max = 4096;

  Outbox(unsigned worker, unsigned inflight_max) noexcept
      : worker_(worker), inflight_max_(inflight_max) {}

  void observe(stage::Observer* observer) noexcept { observer_ = observer; }
  stage::Observer* observer() const noexcept { return observer_; }
  // The time of what is sent from now on.
  void set_now(TimeNs now_ns) noexcept { now_us_ = static_cast<uint32_t>(now_ns / ns_per_us); }
  // Where a class of the peer's packets goes; null where control gave it nothing.
  const Way* way_of(const Peer& peer, bool is_priority) const noexcept;
  // What sending to a peer reads and writes lies in places of its own for each, more than a core's
  // first cache holds for all: fetched while the copies for another are made. Those that others
  // point to first, then what they point to.
  void prefetch_way(const Peer& peer, bool is_priority) const noexcept;
  void prefetch_lane(const Peer& peer, bool is_priority) const noexcept;
  PeerQueue& queue_of(const Peer& peer) const noexcept { return *peer.state->queues[worker_]; }

  // Straight to the port where nothing waits before them; the rest is queued. The queue has room
  // for all of them. `made[i]` describes packets[i], `all` is their sum.
  void send(const Peer& peer, const Way& way, bool is_priority, std::span<Outgoing* const> made,
            rte_mbuf** packets, const PacketTotals& all) noexcept;
  // One packet past all queues; false leaves it with the caller.
  bool send_past(port::Port& port, const port::Destination& to, rte_mbuf* packet) noexcept;
  // One turn for every queue with a backlog. Returns the packets sent since the last call.
  unsigned transmit(const PeerSnapshot& peers, Losses& losses) noexcept;
  void drain(PeerState& state, Losses& losses) noexcept;
  // Empties the longest queue (its bulk part if there is one) if a pool, or one that the burst's
  // datagrams came from, has less than an eighth free. At most one queue a call.
  void relieve(const stage::Burst& burst, std::span<rte_mempool* const> pools,
               Losses& losses) noexcept;

 private:
  unsigned hand_to(port::Port& port, uint16_t queue, const port::Destination& to,
                   std::span<rte_mbuf*> packets) noexcept;
  bool flush(const Peer& peer, PeerQueue& queue, bool is_priority) noexcept;
  void list(PeerState& state, PeerQueue& queue) noexcept;

  const unsigned worker_;
  const unsigned inflight_max_;
  stage::Observer* observer_ = nullptr;
  uint32_t now_us_ = 0;  // modulo 2^32
  unsigned sent_ = 0;    // packets since the last transmit()
  unsigned turn_ = 0;    // whose queue is drained first
  unsigned active_count_ = 0;
  // Twice: peers that left and peers that came between two calls of transmit().
  std::array<PeerState*, 2 * peers_max> active_;
};

}  // namespace chaincast::fanout
