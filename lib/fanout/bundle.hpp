// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "fanout/peers.hpp"
#include "stage/burst.hpp"
#include "stream/stream.hpp"

// Packs the kept frames of a burst into datagrams, once for all their receivers.
namespace chaincast::fanout {

// A datagram without its headers, and how many of its references have been given to copies.
struct Outgoing {
  rte_mbuf* payload = nullptr;           // its data are the frames; null where `drop` is set
  const uint8_t* frames_data = nullptr;  // the same bytes
  const uint8_t* indices = nullptr;      // of the frames in the burst; null where control made it
  uint32_t source = stage::no_peer;      // gets no copy
  const stream::PeerSet* refused_by = nullptr;  // nor do these; null: none
  uint32_t tag_xor = 0;
  uint32_t hop_word = 0;     // first_hop_word() to be sent
  uint32_t sum = 0;          // internet_sum() of the frames, where has_sum
  uint16_t bytes = 0;        // hop header and frames
  uint16_t frames = 0;       // 0: a control message; above 255 only with `drop`
  uint16_t room = 0;         // free bytes before the frames that one copy may fill; 0: none may
  uint16_t granted = 0;      // references that belong to this datagram
  uint16_t used = 0;         // of these, given to copies
  bool is_received = false;  // the burst holds a reference of its own
  bool has_sum = false;
  stage::Drop drop = stage::Drop::count_;  // why nobody gets it
};

// A datagram that control made; `mbuf` points at its hop header, and belongs to the result.
Outgoing adopt(rte_mbuf* mbuf) noexcept;
// Fills `sum`.
void add_sum(Outgoing& datagram) noexcept;
// Gives back the references that no copy took.
void settle(Outgoing& datagram) noexcept;

// Frames of one source peer, one class and one set of peers that refused their stream form a group;
// groups do not mix, because their receivers differ. A received datagram travels on in its own
// buffer if all its kept frames are adjacent and nothing else would fit behind them; everything
// else is copied together, in order, up to the smallest datagram_bytes_max of the group's receivers
// (a frame above that travels alone, for those whose path carries it). A buffer that somebody else
// holds too is copied, since its data pointer and headroom are not ours.
//
// References are taken once per datagram, for all copies that may share it. Thread: one worker.
// Cost: about 3 ns a frame, and a copy of the bytes where frames are packed anew.
class Bundler {
 public:
  explicit Bundler(rte_mempool* payloads) noexcept;

  // Datagrams for the burst's frames, behind those of earlier calls; valid until settle_all(),
  // which must follow while the received datagrams are there and before `peers` is another. Those
  // of a group without receivers are left out.
  void pack(const stage::Burst& burst, const PeerSnapshot& peers) noexcept;
  // Whether a burst of as many frames as there may be finds place.
  bool has_room() const noexcept {
    return std::max(packed_[0].count, packed_[1].count) <= waiting_max - stage::frames_max;
  }
  std::span<Outgoing> packed(bool is_priority) noexcept {
    Packed& of_class = packed_[is_priority ? 1 : 0];
    return {of_class.datagrams.data(), of_class.count};
  }
  void settle_all() noexcept;
  // Whether a peer of the newest snapshot needs the frames' sums.
  bool needs_sums() const noexcept { return survey_.needs_sums; }

 private:
  struct Audience;  // who receives a group
  class Sums;
  struct Run;                 // frames of one datagram that follow each other in a group
  struct Survey {             // of all peers
    unsigned smallest = ~0u;  // datagram_bytes_max, of the peer `smallest_at`
    unsigned second = ~0u;
    size_t smallest_at = 0;
    unsigned sharing = 0;     // on ports that take chained buffers
    bool needs_sums = false;  // any of them
  };
  struct Group {
    uint32_t source = 0;
    bool is_priority = false;
    const stream::PeerSet* refused_by = nullptr;
    std::span<const uint8_t> frames;  // indices into the burst
  };
  // A datagram's kept frames.
  struct Kept {
    const uint8_t* end = nullptr;  // of the last one
    unsigned count = 0;
    unsigned bytes = 0;
    bool is_priority = false;
    const stream::PeerSet* refused_by = nullptr;
    bool is_adjacent = true;  // nothing lies between them
    bool is_one_run = true;   // they are of one group and follow each other in the burst
  };
  static constexpr unsigned keys_max = 2 * stage::datagrams_max;  // classes and sources
  static constexpr unsigned waiting_max = 2 * stage::frames_max;
  struct Packed {
    unsigned count = 0;
    std::array<Outgoing, waiting_max> datagrams;
  };

  static Survey survey(const PeerSnapshot& peers) noexcept;
  void survey_datagrams(const stage::Burst& burst) noexcept;
  void look_up_refusals(const stage::Burst& burst) noexcept;
  unsigned sort_frames(const stage::Burst& burst) noexcept;
  unsigned split_by_refusals(Group group, unsigned groups) noexcept;
  void pack_group(const stage::Burst& burst, const Group& group, const Audience& audience) noexcept;
  Run run_at(const stage::Burst& burst, std::span<const uint8_t> frames) const noexcept;
  void emit(const stage::Burst& burst, const Audience& audience,
            std::span<const uint8_t> frames) noexcept;
  void share(const stage::Burst& burst, Outgoing& out, const Audience& audience,
             const stage::Frame& first) noexcept;
  void copy(const stage::Burst& burst, Outgoing& out, const Audience& audience,
            std::span<const uint8_t> frames) noexcept;

  rte_mempool* const payloads_;
  const unsigned copy_bytes_max_;  // frames that fit one buffer of the pool
  std::array<Packed, 2> packed_;   // bulk, priority
  Survey survey_;
  std::array<uint8_t, stage::frames_max> order_;                    // frame indices, by group
  std::array<Group, stage::frames_max> groups_;                     // priority groups first
  std::array<const stream::PeerSet*, stage::frames_max> refusals_;  // of each frame's stream
  bool any_refusal_ = false;
  bool is_one_class_ = true;
  std::array<Kept, stage::datagrams_max> kept_;  // of each datagram
};

}  // namespace chaincast::fanout
