// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "fanout/stamp.hpp"
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

// One lane of a peer, as its worker sends on it: all that a copy needs beside the datagram.
struct Way {
  port::Destination to;
  HeaderPlan plan;  // of `to`
  std::shared_ptr<hop::TxLane> lane;
  uint16_t tx_queue = 0;  // the port's
};

// One peer whose link is up.
struct Peer {
  uint32_t peer = 0;
  NodeId node;
  port::Port* port = nullptr;
  bool shared_segments = false;   // resolved from the port's capabilities and its `copy` setting
  bool checksum_offload = false;  // UDP
  bool ipv4_checksum_offload = false;
  bool needs_sums = false;  // UDP checksums are made here
  uint16_t copybreak_bytes = 0;
  rte_mempool* send_pool = nullptr;  // port::Capabilities::send_pool
  uint16_t datagram_bytes_max = 0;   // hop header and frames that fit the path MTU
  std::vector<Way> ways;             // [0] lane 0, used by worker 0 only; [1 + w] worker w's lane
  std::shared_ptr<PeerState> state;

  // The next of `ways`; the offloads above are set before.
  void add_way(const port::Destination& to, std::shared_ptr<hop::TxLane> lane, uint16_t tx_queue) {
    ways.push_back(
        {to, HeaderPlan(to, checksum_offload, ipv4_checksum_offload), std::move(lane), tx_queue});
    needs_sums = needs_sums || ways.back().plan.needs_payload_sum();
  }
};

struct PeerSnapshot {
  std::vector<Peer> peers;  // at most 4096
  // Index into `peers` by peer number, or -1.
  std::vector<int32_t> index_of;
};

}  // namespace chaincast::fanout
