// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/assert.hpp"
#include "base/ids.hpp"

// Which frames of one stream came over its origin's own link, for delivery at `accepted`
// (docs/membership.md, "Votes"). One 64-bit word for each seq of the window: 16 bits of seq / W, 48
// bits of the tag, as in dedup::Window. Marks are a hint of that moment: a later frame at the same
// index overwrites an earlier one, and a mark says nothing of a frame that is not in the window.
//
// Threads: mark by any worker, the rest by control. One relaxed load or store each.
namespace chaincast::stream {

class OriginMarks {
 public:
  // `size`: of the stream's window, a power of two. No link is the origin's at first.
  explicit OriginMarks(size_t size) : words_(size) { CC_ASSERT((size & (size - 1)) == 0); }

  // What frames of this node's own origins come from: stage::no_peer.
  static constexpr uint32_t own = ~uint32_t{0};
  // The peer whose checked link ends at the origin; `own` where this node is the origin.
  void set_peer(uint32_t peer) noexcept { peer_.store(peer, std::memory_order_relaxed); }
  void set_nobody() noexcept { set_peer(nobody); }
  bool has_peer() const noexcept { return peer_.load(std::memory_order_relaxed) != nobody; }

  bool is_of(uint32_t peer) const noexcept { return peer_.load(std::memory_order_relaxed) == peer; }
  void mark(Seq seq, uint64_t tag48) noexcept {
    words_[seq % words_.size()].store(word(seq, tag48), std::memory_order_relaxed);
  }
  bool has(Seq seq, uint64_t tag48) const noexcept {
    const uint64_t found = words_[seq % words_.size()].load(std::memory_order_relaxed);
    return found != 0 && found == word(seq, tag48);
  }
  size_t memory_bytes() const noexcept { return words_.size() * sizeof(uint64_t); }

 private:
  static constexpr uint32_t nobody = own - 1;
  uint64_t word(Seq seq, uint64_t tag48) const noexcept {
    return ((seq / words_.size()) & 0xffff) << 48 | tag48;
  }

  std::atomic<uint32_t> peer_{nobody};
  std::vector<std::atomic<uint64_t>> words_;
};

}  // namespace chaincast::stream
