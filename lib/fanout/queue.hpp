// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <span>

#include "fanout/peers.hpp"
#include "stage/drop.hpp"
#include "stats/counter.hpp"

// What one worker has stamped for one peer and the port has not taken yet.
namespace chaincast::fanout {

// Sums over packets. `copies` is what a loss of them counts: their frames, one for a control
// message.
struct PacketTotals {
  uint32_t packets = 0;
  uint32_t frames = 0;
  uint32_t copies = 0;
  uint64_t bytes = 0;  // from the hop header on

  void add(uint32_t frame_count, uint32_t datagram_bytes) noexcept {
    ++packets;
    frames += frame_count;
    copies += frame_count == 0 ? 1 : frame_count;
    bytes += datagram_bytes;
  }
};

// Bounded first-in-first-out of packets, one owner. Invariant: tail_ - head_ <= limit_ <= mask_
// + 1.
class PacketRing {
 public:
  explicit PacketRing(unsigned packets_max);  // at least 1
  ~PacketRing();                              // frees the packets
  PacketRing(const PacketRing&) = delete;
  PacketRing& operator=(const PacketRing&) = delete;

  unsigned size() const noexcept { return tail_ - head_; }
  unsigned room() const noexcept { return limit_ - size(); }
  // Only with room().
  void push(rte_mbuf* packet, uint32_t frames, uint32_t datagram_bytes,
            uint32_t since_us = 0) noexcept {
    CC_ASSERT_FRAME(room() > 0);
    packets_[tail_ & mask_] = packet;
    sizes_[tail_ & mask_] = {static_cast<uint16_t>(datagram_bytes), static_cast<uint16_t>(frames),
                             since_us};
    ++tail_;
  }
  // Up to `max` packets at the head that are neighbours in memory (fewer at the wrap).
  std::span<rte_mbuf*> head(unsigned max) noexcept;
  // What push() was told of the packet that is `ahead` places behind the head.
  uint32_t since_us(unsigned ahead) const noexcept {
    return sizes_[(head_ + ahead) & mask_].since_us;
  }
  // Removes `count` packets from the head, without freeing them.
  PacketTotals pop(unsigned count) noexcept;
  // Frees everything.
  PacketTotals clear() noexcept;

 private:
  struct Size {
    uint16_t bytes;
    uint16_t frames;
    uint32_t since_us;
  };
  const unsigned limit_;
  const unsigned mask_;
  unsigned head_ = 0;
  unsigned tail_ = 0;
  std::unique_ptr<rte_mbuf*[]> packets_;
  std::unique_ptr<Size[]> sizes_;
};

// Made by control, used by one worker; the counters may be read by any thread.
class PeerQueue {
 public:
  PeerQueue(unsigned bulk_packets_max, unsigned priority_packets_max)
      : priority(priority_packets_max), bulk(bulk_packets_max) {}

  PacketRing& ring(bool is_priority) noexcept { return is_priority ? priority : bulk; }
  unsigned size() const noexcept { return priority.size() + bulk.size(); }

  PacketRing priority;
  PacketRing bulk;
  bool is_listed = false;  // in the worker's list of queues with a backlog

  // What the port took, from the hop header on.
  stats::Counter datagrams, bytes, frames;
  // Lost for this peer, in copies of frames.
  stats::CounterSet<stage::Drop> drops;
};

inline constexpr unsigned queue_packets_default = 1024;  // bulk; priority gets a quarter

// Control. A peer's state with queues for workers 0 .. workers - 1, rate unlimited.
std::shared_ptr<PeerState> make_peer_state(uint32_t peer, unsigned workers,
                                           unsigned queue_packets = queue_packets_default);

// Control. Port queues for lanes 0, 1 + w: a queue of its own for lane 0 where the port has
// 1 + workers queues, else worker w's queue is w (a port has at least one queue per worker).
std::vector<uint16_t> assign_tx_queues(const port::Capabilities& capabilities, unsigned workers);
// Control. The worker that sends on a port queue, by that assignment; for one that nobody sends on,
// the worker that may.
unsigned tx_queue_worker(const port::Capabilities& capabilities, unsigned workers, unsigned queue);

}  // namespace chaincast::fanout
