// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <optional>
#include <vector>

#include "base/ring.hpp"
#include "dedup/slot.hpp"
#include "dedup/window.hpp"

// What a window is made of. Internal to dedup: window.cpp commits and moves, conflicts.cpp keeps
// second variants and ends conflicts. Who may touch what stands in window.hpp.
namespace chaincast::dedup {

inline constexpr unsigned tag_bits = 48;
inline constexpr uint64_t generations = 0xffff;  // 1..0xffff, so that no committed word is 0
inline constexpr uint64_t storage_busy = uint64_t{1} << 63;    // being written
inline constexpr uint64_t storage_wanted = uint64_t{1} << 62;  // kept for the digest in its slot
inline constexpr uint64_t tag_wanted = 0;  // stands for the tag of a frame that is not here yet

inline uint64_t generation_of(uint64_t word) {
  return word >> tag_bits;
}

enum class Anchor : uint8_t { none, digest, anything };

// Whether a neighbour's committed variants fit.
enum class Fit : uint8_t { unknown, fits, contradicts };

struct Window::Impl {
  // immutable after create
  WindowConfig config;
  unsigned log2 = 0;
  uint64_t size = 0;
  size_t slot_words = 0;
  size_t total_bytes = 0;
  void* memory = MAP_FAILED;
  uint64_t* first_words = nullptr;   // by seq mod W: generation and tag of the first variant
  uint64_t* second_words = nullptr;  // the same for the second variant
  SlotMeta* metas = nullptr;         // by seq mod W, then variants_max of the side table
  uint64_t* bytes = nullptr;         // the same
  uint64_t* owners = nullptr;        // side table: 0, or seq + 1 and the flags above
  std::vector<uint8_t> moved_frame;  // control: the frame that resolve() moves

  // written by whoever holds `moving`
  alignas(base::cache_line_bytes) std::atomic<Seq> floor{0};
  std::atomic<Seq> next{0};
  std::atomic<Seq> signed_end{0};
  std::atomic<Seq> final_end{0};
  std::atomic_flag moving;
  std::atomic<bool> move_wanted{false};
  // guarded by `moving`: how the frame at anchor_seq must link
  Anchor anchor = Anchor::none;
  Seq anchor_seq = 0;
  Half anchor_half;

  // written by workers
  alignas(base::cache_line_bytes) std::atomic<Seq> committed_end{0};
  std::atomic<uint64_t> committed{0};
  std::atomic<uint64_t> seconds{0};

  ~Impl() {
    if (memory != MAP_FAILED) munmap(memory, total_bytes);
  }

  uint64_t index_of(Seq seq) const noexcept { return seq & (size - 1); }
  uint64_t word_of(Seq seq, uint64_t tag48) const noexcept {
    return ((seq >> log2) % generations + 1) << tag_bits | tag48;
  }
  uint64_t first_word(Seq seq) const noexcept { return load_acquire(first_words[index_of(seq)]); }
  uint64_t second_word(Seq seq) const noexcept { return load_acquire(second_words[index_of(seq)]); }
  Slot slot_at(uint64_t position) const noexcept {
    return {metas[position], bytes + position * slot_words};
  }
  Slot slot_of(Seq seq) const noexcept { return slot_at(index_of(seq)); }
  Slot side_slot(unsigned k) const noexcept { return slot_at(size + k); }
  bool has_second(Seq seq) const noexcept {
    return generation_of(second_word(seq)) == generation_of(word_of(seq, 0));
  }
  // The frame that `word` at `position` names has been published.
  bool is_published(uint64_t position, uint64_t word) const noexcept {
    const uint64_t ready = slot_at(position).ready();
    return ready != 0 && generation_of(word_of(ready - 1, 0)) == generation_of(word);
  }

  bool map_memory() noexcept;
  Commit commit_first(Seq seq, uint64_t word) noexcept;
  Commit commit_second(Seq seq, uint64_t word, const Digest& digest, const uint8_t* frame,
                       uint16_t length) noexcept;
  Commit commit_wanted(Seq seq, uint64_t word, const Digest& digest, const uint8_t* frame,
                       uint16_t length) noexcept;
  Commit write_second(unsigned k, Seq seq, const Digest& digest, const uint8_t* frame,
                      uint16_t length) noexcept;
  std::optional<unsigned> claim_storage(Seq seq) noexcept;
  std::optional<unsigned> storage_with(uint64_t owner) const noexcept;
  bool move_to_first(Seq seq, unsigned k) noexcept;
  bool keep_for(Seq seq, const Half& digest) noexcept;
  void release_storage(unsigned k) noexcept { store_release(owners[k], 0); }
  void commit_variant(const Arrival& arrival, CommitResult& result) noexcept;
  // Says of each kept one whether a higher seq was here before.
  void count_commits(std::span<const Arrival> arrivals, CommitResult* results) noexcept;
  void judge_all_links(std::span<const Arrival> arrivals, CommitResult* results) const noexcept;
  Fit fit_previous(Seq seq, const Half& link) const noexcept;
  Fit fit_next(Seq seq, const Half& digest) const noexcept;
  bool links_on(Seq seq, const Half& link) const noexcept;
  bool can_pass(Seq seq) const noexcept;
  void hold_moving() noexcept;
  void release_moving() noexcept { moving.clear(std::memory_order_seq_cst); }
  void move_to(Seq to) noexcept;
  void raise_floor() noexcept;
  void forget_below_floor() noexcept;
};

// Control holds the window still, and moves it on at the end over whatever can be passed then.
class Window::Hold {
 public:
  explicit Hold(Window& window) noexcept : window_(window) { window_.impl_->hold_moving(); }
  ~Hold() {
    window_.impl_->release_moving();
    window_.advance();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Window& window_;
};

}  // namespace chaincast::dedup
