// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include "base/bytes.hpp"
#include "hop/links.hpp"
#include "node/plane.hpp"

namespace chaincast::node {

// Control's way to the workers: turns bytes into mbufs and commands. Nothing waits but flush().
// Owner: the node. Control thread only.
class Mailer {
 public:
  struct Counters {
    uint64_t posted = 0;
    uint64_t ring_full = 0;  // control messages lost because a worker did not keep up
    uint64_t no_mbuf = 0;
    uint64_t unresolved = 0;  // hellos to a next hop that is not resolved yet
  };

  // `pool`: mbufs for whatever control sends; `wait_turn` lets the workers run once (inline nodes
  // step them, others sleep a moment).
  Mailer(Plane& plane, rte_mempool* pool, std::function<void()> wait_turn);

  // A sealed control message on lane 0. False: lost, counted.
  bool send_sealed(const hop::LinkTransmit& message);
  // A hello to any address, from `local_port`. Lost where the next hop is unresolved; the error
  // says why.
  Status send_raw(port::Port& port, const hop::LinkTransmit& hello, uint16_t local_port);
  // One frame to one peer, for repair.
  bool resend(uint32_t peer, ByteSpan frame);
  // One sealed frame of our own origin to the worker that owns the stream.
  bool send_own(StreamId stream, ByteSpan frame, const Digest& digest);
  // How many own frames the worker of `stream` takes now.
  size_t own_room(StreamId stream) const;
  void drain(const std::shared_ptr<fanout::PeerState>& state);

  // Waits until every worker has carried out what was posted before, 100 turns at most; false if
  // one has not.
  bool flush();

  unsigned worker_of(StreamId stream) const;
  const Counters& counters() const { return counters_; }

 private:
  bool post(unsigned worker, Command&& command);
  // `headroom_bytes` zero bytes, then `bytes`; null (counted) without a buffer.
  rte_mbuf* make_mbuf(size_t headroom_bytes, ByteSpan bytes);

  Plane& plane_;
  rte_mempool* pool_;
  std::function<void()> wait_turn_;
  std::vector<uint64_t> posted_;  // [worker]
  Counters counters_;
};

}  // namespace chaincast::node
