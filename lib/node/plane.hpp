// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <memory>
#include <vector>

#include "base/ring.hpp"
#include "fanout/peers.hpp"
#include "hop/lane.hpp"
#include "port/port.hpp"
#include "rcu/rcu.hpp"
#include "stage/burst.hpp"
#include "stream/stream.hpp"

// What control and the workers of one node share, and nothing else: look-up tables, the published
// snapshots, and one pair of bounded rings per worker. Everything that crosses the line between
// the two sides is named here.
namespace chaincast::node {

inline constexpr size_t carried_max = 1024;  // streams, all incarnations
inline constexpr size_t command_ring_entries = 4096;
inline constexpr size_t control_ring_entries = 2048;

// Control to one worker.
struct Command {
  enum class Kind : uint8_t {
    none,
    sealed,  // a sealed control message to `peer`: stamp and send on lane 0 (worker 0 only)
    resend,  // one frame behind an unstamped hop header to `peer`, lane 0 (worker 0 only)
    raw,     // a hello: `mbuf` to `to` through `port`
    own,     // one frame of this node's origin `stream` with its digest: commit and fan out
    drain,   // forget the queues towards `state`
  };
  Kind kind = Kind::none;
  uint32_t peer = stage::no_peer;
  uint32_t tag_xor = 0;
  rte_mbuf* mbuf = nullptr;
  port::Port* port = nullptr;
  port::Capabilities capabilities;  // of `port`
  port::Destination to;
  StreamId stream;
  Digest digest{};
  std::shared_ptr<fanout::PeerState> state;
};

// One worker to control: a control datagram or hello. Control frees the mbuf.
struct ControlDatagram {
  rte_mbuf* mbuf = nullptr;
  const uint8_t* data = nullptr;  // hop header
  uint16_t bytes = 0;
  uint16_t port_id = 0;
  uint32_t peer = stage::no_peer;
  Endpoint from;
};

struct Mailboxes {
  Mailboxes(unsigned owner, unsigned workers) {
    for (unsigned w = 0; w < workers; ++w) {
      handover.push_back(w == owner ? nullptr : std::make_unique<Handover>(handover_entries(w)));
    }
  }
  using Handover = base::SpscRing<stage::Datagram>;
  // Where nothing steers, worker 0 receives everything. What else there is was steered by a hash.
  static size_t handover_entries(unsigned writer) { return writer == 0 ? 1024 : 256; }

  base::SpscRing<Command> commands{command_ring_entries};         // control writes
  base::SpscRing<ControlDatagram> control{control_ring_entries};  // the worker writes
  std::vector<std::unique_ptr<Handover>> handover;                // [writer]; null: the owner
  std::atomic<uint64_t> commands_done{0};                         // the worker writes
};

// Queues that a worker polls, first one first.
struct ReceiveQueue {
  port::Port* port = nullptr;
  uint16_t queue = 0;
  // Worker of each UDP port of this port (index: local port - base); empty where rules steer.
  std::vector<uint8_t> worker_of;
  uint16_t udp_port = 0;
};
struct ReceivePlan {
  std::vector<std::vector<ReceiveQueue>> queues;  // [worker]
  // Every (port, tx queue) whose housekeeping the worker does.
  std::vector<std::vector<std::pair<port::Port*, uint16_t>>> ticks;
};

// Who looks at each worker's bursts.
struct Lookout {
  std::vector<std::unique_ptr<stage::Observers>> of_worker;
};

struct Plane {
  explicit Plane(unsigned workers) {
    for (unsigned w = 0; w < workers; ++w)
      mailboxes.push_back(std::make_unique<Mailboxes>(w, workers));
  }

  hop::LaneTable lanes;
  stream::StreamTable streams{carried_max};
  rcu::Published<fanout::PeerSnapshot> peers;
  rcu::Published<ReceivePlan> receive;
  rcu::Published<Lookout> lookout;                    // null: nobody looks
  std::vector<std::unique_ptr<Mailboxes>> mailboxes;  // [worker]
  std::atomic<bool> is_forwarding{true};              // `start` and `stop`
  std::atomic<bool> is_voting{false};                 // some stream is delivered at `accepted`

  unsigned workers() const { return static_cast<unsigned>(mailboxes.size()); }
};

}  // namespace chaincast::node
