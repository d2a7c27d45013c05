// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/ids.hpp"
#include "crypto/link_key.hpp"
#include "rate/bucket.hpp"
#include "stats/counter.hpp"
#include "wire/frame.hpp"

// The fast-path half of a link: what workers touch per datagram. Made by control from the events
// of hop::Links, retired through rcu after removal from every snapshot.
namespace chaincast::hop {

// RFC 4303 / RFC 6479 style window over the 64-bit counter whose low half travels (RFC 4304 ESN).
// One reader lcore; no atomics. judge() is one load; accept() clears at most 64 words.
class ReplayWindow {
 public:
  static constexpr unsigned window_bits = 4096;
  enum class Verdict : uint8_t { fresh, replayed, too_old };

  // The 64-bit counter that `low` stands for, given what was seen so far (nearest to the highest).
  uint64_t extend(uint32_t low) const noexcept;
  // Whether `counter` may be accepted. Changes nothing: the check comes after. Counter 0 is never
  // used, so it is too old.
  Verdict judge(uint64_t counter) const noexcept;
  // Marks an accepted counter. Call only after judge() said fresh and the check matched.
  void accept(uint64_t counter) noexcept;
  uint64_t highest() const noexcept { return highest_; }

 private:
  static constexpr unsigned words = window_bits / 64;
  void forget(uint64_t first, uint64_t last) noexcept;

  uint64_t highest_ = 0;  // highest accepted; counters start at 1
  std::array<uint64_t, words> seen_{};
};

// What the link check encrypts: the hop header's first 12 bytes with the counter's high half XORed
// into the link id, then tag_xor. The id is fixed for a key, so nobody can compensate the high half
// and a datagram recorded 2^32 datagrams ago does not check (docs/decisions/link-check-counter.md).
// Sender and receiver both use this.
inline std::array<uint8_t, 16> check_block(const wire::HopHeader& hop, uint64_t counter,
                                           uint32_t tag_xor) noexcept {
  std::array<uint8_t, 16> block;
  wire::store_hop_header(block.data(), hop);
  store_be32(block.data() + 4, hop.link_id ^ static_cast<uint32_t>(counter >> 32));
  store_be32(block.data() + 12, tag_xor);
  return block;
}

// Receiving end of one lane. Written by the one worker that its UDP port is steered to.
struct RxLane {
  // immutable after publication
  uint32_t link_id = 0;
  uint32_t peer = 0;       // index of the peer in this node
  uint8_t lane = 0;        // 0: control and routes
  bool check_off = false;  // both ends agreed on check 0
  Endpoint source;         // the only address accepted; port is the sender's base port + lane rule
  crypto::LinkKey key;
  std::shared_ptr<rate::Bucket> budget;  // of the link, all its lanes; null: unlimited
  // written by the worker
  ReplayWindow replay;
  stats::Counter datagrams, bytes, lost;  // lost: gaps seen in the counter, less late arrivals
  stats::Counter bad_check, replayed, bad_source;  // replayed: too old ones as well
  std::atomic<uint64_t> last_heard_ns{0};
};

// Sending end of one lane. Written by the one worker that owns it.
struct TxLane {
  // immutable after publication
  uint32_t link_id = 0;  // chosen by the receiver
  bool check_off = false;
  crypto::LinkKey key;
  // written by the worker
  uint64_t counter = 0;  // last used; the first datagram carries 1
  stats::Counter datagrams, bytes;
};

// Link id -> RxLane: low 12 bits of the id index the array, so a look-up is one load and a compare.
// Control writes, workers read; a removed lane is retired by the caller after a grace period.
class LaneTable {
 public:
  static constexpr unsigned slots = 4096;

  // Worker. Null if no lane has exactly this id.
  RxLane* find(uint32_t link_id) const noexcept {
    RxLane* lane = slots_[link_id & (slots - 1)].load(std::memory_order_acquire);
    return lane != nullptr && lane->link_id == link_id ? lane : nullptr;
  }
  // Control: a free id whose upper 20 bits come from `random`; 0 if the table is full. Id 0 and
  // slot 0 are never given out. Slots are reused in turn, so a freed one rests longest.
  uint32_t allocate(uint32_t random) noexcept;
  // Control: `lane->link_id` must have come from allocate().
  void install(RxLane* lane) noexcept;
  // Control: also frees an allocated id that was never installed. An id not in use is ignored.
  void remove(uint32_t link_id) noexcept;

 private:
  std::array<std::atomic<RxLane*>, slots> slots_{};
  std::array<uint32_t, slots> ids_{};  // allocated id of each slot, 0: free; control only
  unsigned next_ = 1;
};

}  // namespace chaincast::hop
