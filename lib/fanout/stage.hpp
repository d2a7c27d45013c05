// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <memory>

#include "fanout/peers.hpp"
#include "stage/burst.hpp"

// Stages `fanout` and `tx`: every kept frame goes to every peer but the one it came from, and those
// that refused its stream.
//
// fanout groups the burst's frames by (source peer, class, who refused); frames of one group are
// bundled once into datagrams that fit the smallest path of the group's peers (a whole received
// datagram is passed on without copying), and each datagram is shared by reference between all
// copies, or copied where a port or its copybreak says so. Per copy: token bucket, queue place,
// header template, link seq, link check (batched per peer), checksums. tx drains the queues,
// priority first; what a full port gives back stays in order.
//
// Reads Frame bytes, length, datagram, is_priority, stream, sum; Datagram mbuf, peer, hops.
// Moves the data pointer of received mbufs and may overwrite what precedes their first kept
// frame, so nothing may read a received hop header after this stage; frame bytes never change.
// Drops, in copies of frames (a control message counts as one), both in total and per peer
// (PeerQueue::drops): too_many_hops, too_big, queue_full, rate, no_mbuf, tx_failed, pool_low,
// peer_gone. For each peer: frames offered = sent + dropped + queued. Cost, figures and
// structure: docs/fanout.md.
namespace chaincast::fanout {

struct FanoutConfig {
  unsigned worker = 0;
  unsigned tx_inflight_max = 256;  // bulk packets handed to a port per peer and call
  // Buffers for stamped headers; data room at least header_data_room_bytes (copy.hpp).
  rte_mempool* headers = nullptr;
  // Bundles and linear copies; data room at least 224 bytes above the largest datagram. Both pools
  // want a cache of 512 and a worker that is an EAL thread (else every buffer costs a ring access).
  rte_mempool* payloads = nullptr;
};

class Fanout {
 public:
  explicit Fanout(const FanoutConfig& config);
  ~Fanout();

  // Worker. Who is told what goes to the ports from now on; null: nobody.
  void observe(stage::Observer* observer) noexcept;
  // Worker. For Burst::wants_sums: whether some peer of the last burst had them made here.
  bool wants_sums() const noexcept;
  // Worker. Packs the burst's frames; fan_out() must follow, with the same `peers`, before the
  // burst is released. The more is packed until then, the less a copy costs: what a peer costs
  // apart from its copies is paid once. Sends what is packed already where there would be too much.
  void pack(stage::Burst& burst, const PeerSnapshot& peers) noexcept;
  // Worker. Copies what is packed to its peers: handed to the ports at once as long as they take it
  // (the headers are still in the cache then), queued otherwise.
  void fan_out(stage::Burst& burst, const PeerSnapshot& peers) noexcept;
  void process(stage::Burst& burst, const PeerSnapshot& peers) noexcept {
    pack(burst, peers);
    fan_out(burst, peers);
  }
  // Worker. One datagram of control's making to one peer (class priority): a sealed control message
  // (`bytes` from the hop header on, unstamped, with its tag_xor) or a resent frame (hop header and
  // one frame). Stamps version, link id, seq and check; flags, count and hops stay as they are.
  // Worker 0 only: it owns lane 0. Takes the mbuf. False: dropped and counted (peer_gone: not in
  // the snapshot).
  bool send_one(const PeerSnapshot& peers, uint32_t peer, rte_mbuf* datagram, uint32_t tag_xor,
                TimeNs now_ns, stage::Burst::Drops& drops) noexcept;
  // Worker. A complete datagram to an address without a link (hellos): headers and checksums only.
  // Worker 0 only. Takes the mbuf; false: the port is full (tx_failed) or there is no buffer
  // (no_mbuf).
  bool send_raw(port::Port& port, const port::Capabilities& capabilities,
                const port::Destination& to, rte_mbuf* datagram,
                stage::Burst::Drops& drops) noexcept;
  // Worker. Drains queues to the ports, priority first; queues of peers that left the snapshot are
  // emptied (peer_gone). Returns the packets sent since the last call (0: idle).
  unsigned transmit(const PeerSnapshot& peers, stage::Burst::Drops& drops) noexcept;
  // Worker. Empties this worker's queues towards a peer (peer_gone) and forgets it. Control has it
  // called on every worker, after the peer left the snapshot and before it retires the state.
  void drain(PeerState& state, stage::Burst::Drops& drops) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chaincast::fanout
