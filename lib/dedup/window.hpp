// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "base/ids.hpp"
#include "base/result.hpp"

// The window of one stream: which frames are committed, their digests, and the frames themselves
// until the window has moved on (docs/dedup.md).
//
// Identity is (stream, seq, tag). W words, one per seq modulo W: 16 bits of seq / W and 48 bits of
// the tag, never 0 for a committed slot. probe() is one load; commit() is one compare-and-swap on
// that word, so a frame is committed exactly once whatever the number of workers. A hit writes
// nothing. The window is [floor, floor + W), floor = max(0, next - W/2), where `next` is the first
// seq not yet linked; it moves by unbroken links and by the origin's signed statements only. The
// floor of a stream that is delivered at final stays at or below the first seq that is not.
//
// A second variant of a seq goes into a small side table (variants_max per window), by the same
// rule: one compare-and-swap on one word of its own. The origin's word ends a conflict: resolve()
// leaves one variant and frees the side table; where both were forged, want() keeps the second
// place for the frame with the digest that the origin signed, and for no other.
//
// Invariants:
//   1. floor, next, signed_end, final_end never fall.
//   2. A slot has one writer at a time: the word of an older lap is replaced only after its frame
//      has been published, or the commit is `refused`; resolve() writes only at or above the floor,
//      which it holds still.
//   3. Readers see a whole frame or nothing: `ready` is checked before and after.
//
// Threads: probe, prefetch, commit, advance by any worker; read by anyone; anchor, skip_to,
// mark_signed, mark_final, resolve, want, forget_second by control. Memory: W * (16 + 64 +
// slot_bytes) and the side table, allocated once. Clean under the thread sanitizer. Cost: probe 1
// load on a hit or a miss; commit one CAS, the copy of the frame, and 2 to 3 cache lines of its
// neighbours.
namespace chaincast::dedup {

enum class Probe : uint8_t { fresh, duplicate, conflict, stale, ahead };
enum class Commit : uint8_t {
  committed,
  second,     // committed as the second variant of its seq: re-emit it once, as the first was
  duplicate,  // somebody else committed this very frame
  refused,    // a third variant, no room for a second one, or the slot is still being written by a
              // worker a whole lap behind; nothing is remembered, so another copy may succeed
  stale,
  ahead
};

// What a committed frame looks like to its neighbours; returned by commit(). A frame contradicts a
// neighbour when none of that neighbour's committed variants fits it. Of two frames committed at
// the same time at least one finds the contradiction. Always false where links_by_digest is.
struct CommitResult {
  Commit outcome = Commit::refused;
  bool contradicts_previous = false;  // its link differs from the digest committed at seq - 1
  bool contradicts_next = false;      // the frame committed at seq + 1 links to another digest
  bool previous_is_final = false;     // seq - 1 is below final_end
  bool is_reordered = false;          // a higher seq had been committed before
};

// A verified frame to commit.
struct Arrival {
  Seq seq;
  uint64_t tag48;
  const Digest* digest;
  const uint8_t* frame;  // header and payload, at least a header
  uint16_t length;
  bool allow_second;        // a conflicting variant may take a place in the side table, unless the
                            // origin's word about this seq is known
  uint32_t* sum = nullptr;  // where its internet_sum() goes if it is committed; null: nowhere
};

inline constexpr unsigned size_log2_min = 10;
inline constexpr unsigned size_log2_max = 20;

struct WindowConfig {
  uint8_t size_log2 = 13;        // W = 2^size_log2, 10..20
  uint32_t slot_bytes = 1216;    // largest frame (header and payload)
  bool links_by_digest = true;   // false for -ct suites: next moves over committed frames
  unsigned variants_max = 128;   // side table for second variants; a frame in a hundred and more
  uint64_t signed_lead_max = 0;  // frames that floor + W/2 may run ahead of signed_end, so that no
                                 // member can push the window with a chain of its own; 0: unbounded
  // Delivery at final: what the origin's word has not reached stays open to its variants.
  bool floor_waits_for_final = false;
  size_t populate_bytes_max = size_t{64} << 20;  // up to here memory is faulted in at once
};

// One committed frame as it is read back.
struct Stored {
  Seq seq = 0;
  Digest digest{};      // as committed; zero for -ct suites unless the worker asked for it
  uint16_t length = 0;  // header and payload of the frame, even if fewer bytes were asked for
};

class Window {
 public:
  // `refused` if memory is not to be had, `invalid` for sizes out of range. Tests may lower
  // `log2_min` to make the window wrap soon.
  static Result<std::unique_ptr<Window>> create(const WindowConfig& config,
                                                unsigned log2_min = size_log2_min);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // ---- workers ----
  Probe probe(Seq seq, uint64_t tag48) const noexcept;
  void prefetch(Seq seq) const noexcept;
  // What a commit of so long a frame writes, but for bytes that go past the caches. Soon enough,
  // its lines are here when it does; a frame that is not committed then has cost their way.
  void prefetch_place(Seq seq, uint16_t length) const noexcept;
  // Commits verified frames and stores digests, links and bytes. `results` has a place for each.
  // Cheaper together than one by one: a locked instruction waits for all stores before it.
  void commit(std::span<const Arrival> arrivals, CommitResult* results) noexcept;
  CommitResult commit(Seq seq, uint64_t tag48, const Digest& digest, const uint8_t* frame,
                      uint16_t length, bool allow_second) noexcept {
    const Arrival arrival{seq, tag48, &digest, frame, length, allow_second};
    CommitResult result;
    commit({&arrival, 1}, &result);
    return result;
  }
  // Moves `next` over what is linked without a gap: over ready frames whose link names the digest
  // of a variant at seq - 1 (of the anchor). Call after the commits of a burst; cheap when nothing
  // can move; never waits (whoever holds the move does it for all).
  void advance() noexcept;

  // ---- control ----
  // Starts or restarts linking at seq (its predecessor's digest is `previous`): the descriptor for
  // seq 0, or a checked statement. Never moves the window back: below next it does nothing. May
  // wait for a worker inside advance().
  void anchor(Seq seq, const Digest& previous) noexcept;
  // Gives up all below `seq` (gap deadline): linking goes on at seq with whatever is committed.
  void skip_to(Seq seq) noexcept;
  // A checked statement covers [.., seq]: the origin has made that many frames.
  void mark_signed(Seq seq) noexcept;
  // The frames committed up to seq are the origin's, by its signature.
  void mark_final(Seq seq) noexcept;

  // The origin made this variant of `seq` (0 or 1), and not the other one. It becomes variant 0,
  // there is no variant 1 any more; the tag of the other stays known. False if it cannot be done:
  // below the floor, or (try again) still being written.
  bool resolve(Seq seq, unsigned variant) noexcept;
  // No committed variant of `seq` is the origin's: drops variant 1, and lets only a frame whose
  // digest begins with these 16 bytes take its place. False as above, or if there is no room.
  bool want(Seq seq, std::span<const uint8_t, 16> digest16) noexcept;
  // Makes room: drops variant 1 as if it had never come. False as above, or if there is none.
  bool forget_second(Seq seq) noexcept;

  // ---- any thread ----
  static constexpr size_t whole_frame = std::numeric_limits<size_t>::max();
  // Copies the first `bytes_max` bytes of a committed frame (variant 0, or 1: the second) into
  // `buffer`; nothing if it is not there, not yet complete, or overwritten while being read. Frames
  // stay readable below the floor until a frame W ahead takes their place.
  std::optional<Stored> read(Seq seq, unsigned variant, uint8_t* buffer,
                             size_t bytes_max = whole_frame) const noexcept;
  // Committed and not overwritten yet, though perhaps not readable for a moment; below the floor
  // too, which may pass a frame before control has read it.
  bool has(Seq seq) const noexcept;
  // Seqs that have a readable second variant; returns how many were written. O(variants_max).
  size_t second_seqs(std::span<Seq> out) const noexcept;

  Seq floor() const noexcept;
  Seq next() const noexcept;  // first seq not linked
  // One above the highest committed seq; 0 if none.
  Seq committed_end() const noexcept;
  uint64_t committed() const noexcept;  // frames committed, variants included
  uint64_t seconds() const noexcept;    // second variants among them
  Seq signed_end() const noexcept;      // one above the last seq that a statement covers
  Seq final_end() const noexcept;
  size_t variants_max() const noexcept;
  size_t size() const noexcept;  // W
  size_t memory_bytes() const noexcept;
  // What a window of this configuration takes.
  static size_t memory_bytes_of(const WindowConfig& config) noexcept;

 private:
  struct Impl;
  class Hold;
  explicit Window(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace chaincast::dedup
