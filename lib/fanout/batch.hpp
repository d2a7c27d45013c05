// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <span>

#include "fanout/bundle.hpp"
#include "fanout/queue.hpp"
#include "fanout/stamp.hpp"

// Datagrams that most peers get alike, looked at once for all of them.
namespace chaincast::fanout {

// Thread: one worker. Between take() and settle() the datagrams must stay where they are. Cost:
// some ns a datagram, nothing a copy.
class Batch {
 public:
  static constexpr unsigned max = Stamps::max;

  // At most `max` datagrams of one class.
  void take(std::span<Outgoing> datagrams) noexcept;
  std::span<Outgoing* const> all() const noexcept { return {all_.data(), count_}; }
  // The sum over all of them.
  const PacketTotals& totals() const noexcept { return totals_; }
  // This peer gets every one of them, by reference to its buffer.
  bool is_shared_by(const Peer& peer) const noexcept;
  // This peer is the only one who gets them, with its headers, of so many bytes, before the frames.
  bool is_prepended_for(const Peer& peer, unsigned reach_bytes) const noexcept;

  // What copies of all of them carry; with the sums of their frames where `needs_sums`.
  Stamps& stamps(bool needs_sums) noexcept;
  rte_mbuf* const* payloads() const noexcept { return payloads_.data(); }
  // A peer has got all of them by reference, or the only one in their own buffers.
  void count_shared() noexcept { ++shared_; }
  // Says so in the datagrams, before anybody asks them how many references are left.
  void settle() noexcept;

 private:
  static constexpr unsigned sources_max = 8;
  bool note_source(uint32_t source) noexcept;
  bool fits(const Peer& peer) const noexcept;

  unsigned count_ = 0;
  uint16_t shared_ = 0;
  bool is_alike_ = false;   // nothing is dropped, refused or copied
  bool is_single_ = false;  // the same, and all are for one peer
  bool has_sums_ = false;
  uint16_t bytes_min_ = 0;
  uint16_t bytes_max_ = 0;
  uint16_t room_min_ = 0;
  unsigned source_count_ = 0;
  std::array<uint32_t, sources_max> sources_;  // who gets less
  PacketTotals totals_;
  std::array<Outgoing*, max> all_;
  std::array<rte_mbuf*, max> payloads_;
  Stamps stamps_{};
};

// Of a datagram, for as many copies as there are.
void gather(Outgoing& datagram, Stamps& stamps, unsigned place, bool needs_sum) noexcept;

}  // namespace chaincast::fanout
