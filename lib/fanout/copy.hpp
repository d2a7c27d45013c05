// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <span>

#include "fanout/batch.hpp"
#include "fanout/stamp.hpp"

// Makes one peer's copies of datagrams: a buffer, headers, link seq and check for each.
namespace chaincast::fanout {

// Room before the headers stays free for drivers that prepend their own (virtio).
inline constexpr unsigned header_data_room_bytes =
    RTE_PKTMBUF_HEADROOM + HeaderPlan::reach_max_bytes;

// Three forms of a copy, the cheapest that fits.
enum class Form : uint8_t {
  headroom,  // headers before the frames in their own buffer: this peer is the only receiver
  shared,    // headers in a small buffer, chained to the frames, which all copies share
  linear,    // headers and frames in one buffer: the port takes no chains, or up to its copybreak
};

// Cost: docs/fanout.md. Thread: one worker.
class Copier {
 public:
  static constexpr unsigned batch_max = Stamps::max;

  Copier(rte_mempool* headers, rte_mempool* payloads) noexcept;

  // False: no buffer is large enough for this peer's form of the datagram.
  bool is_possible(const Outgoing& out, const Peer& peer) const noexcept {
    return out.bytes <= linear_bytes_max_ || out.room > 0 || peer.shared_segments;
  }
  // Makes copies of the first n of `wanted` (at most batch_max), in order, and returns n: fewer
  // than wanted only where buffers ran out. Link seqs are used for those n alone.
  unsigned make(const Peer& peer, const Way& way, std::span<Outgoing* const> wanted,
                rte_mbuf** packets) noexcept;
  // Copies of all of a batch for a peer that shares them (Batch::is_shared_by). False: there are
  // not as many buffers, and nothing was done.
  bool make_all(const Way& way, Batch& batch, rte_mbuf** packets) noexcept;
  // The same for the only peer that gets them (Batch::is_prepended_for): in their own buffers.
  void prepend_all(const Way& way, Batch& batch, rte_mbuf** packets) noexcept;
  // A complete datagram to an address without a link: `datagram` points at its hop header. Takes
  // the mbuf; null: no buffer.
  rte_mbuf* complete(const port::Destination& to, bool udp_offload, bool ipv4_offload,
                     rte_mbuf* datagram) noexcept;

 private:
  static Form form_of(const Outgoing& out, const Peer& peer, unsigned reach_bytes) noexcept;
  unsigned acquire(std::span<Outgoing* const> wanted, const Form* forms, rte_mempool* preferred,
                   rte_mbuf** packets) noexcept;
  rte_mempool* source_of(const Outgoing& out, Form form, rte_mempool* preferred) const noexcept;

  rte_mempool* const headers_;
  rte_mempool* const payloads_;
  const unsigned linear_bytes_max_;  // frames that fit a linear copy
  Stamps stamps_{};                  // of copies that are made one by one
};

}  // namespace chaincast::fanout
