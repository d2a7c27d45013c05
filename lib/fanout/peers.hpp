// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.hpp"
#include "hop/lane.hpp"
#include "port/port.hpp"
#include "rate/bucket.hpp"
#include "stats/counter.hpp"

// Who gets copies: an immutable snapshot that control publishes and workers read once per burst.
namespace chaincast::fanout {

inline constexpr unsigned workers_max = 16;

class PeerQueue;  // one worker's queues towards one peer (queue.hpp)

// State of one peer that outlives snapshots. Made by control (make_peer_state, queue.hpp) and
// retired by it: first publish a snapshot without the peer, then have every worker call
// Fanout::drain(), then retire through rcu. While a link is down the peer is merely absent from the
// snapshot; nothing need be done.
struct PeerState {
  PeerState();
  ~PeerState();  // frees what is still queued
  PeerState(const PeerState&) = delete;
  PeerState& operator=(const PeerState&) = delete;

  uint32_t peer = 0;
  rate::Bucket bucket;
  // [w]: made before the peer is first published, owned by worker w.
  std::array<std::unique_ptr<PeerQueue>, workers_max> queues;
};

// One peer whose link is up.
struct Peer {
  uint32_t peer = 0;
  NodeId node;
  port::Port* port = nullptr;
  bool shared_segments = false;   // resolved from the port's capabilities and its `copy` setting
  bool checksum_offload = false;  // UDP
  bool ipv4_checksum_offload = false;
  uint16_t copybreak_bytes = 0;
  uint16_t datagram_bytes_max = 0;  // hop header and frames that fit the path MTU
  // Headers for lane 0 and for worker w's lane (UDP destination ports differ): [0], [1 + w].
  std::vector<port::Destination> destinations;
  std::vector<std::shared_ptr<hop::TxLane>> lanes;  // [0] lane 0, used by worker 0 only; [1 + w]
  // The port's tx queue of each lane, as above; empty: worker w uses queue w for all it sends.
  std::vector<uint16_t> tx_queues;
  std::shared_ptr<PeerState> state;
};

struct PeerSnapshot {
  std::vector<Peer> peers;  // at most 4096
  // Index into `peers` by peer number, or -1.
  std::vector<int32_t> index_of;
};

}  // namespace chaincast::fanout
