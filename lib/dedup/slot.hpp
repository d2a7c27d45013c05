// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/ids.hpp"
#include "wire/frame.hpp"

// One stored frame of a window: a sequence lock with a single writer at a time (the winner of a
// compare-and-swap) and any number of readers. Internal to dedup.
//
// A place may be filled a second time for the same seq (Window::resolve), so that `ready` alone
// would not tell a reader who was away meanwhile: the count beside the length does. A reader loads
// the count before `ready`, and both again at the end. The first filling for a seq, which is what
// fill() is for, changes `ready` and need not count.
//
// Orders without fences, which the thread sanitizer does not follow: the writer clears `ready`,
// then stores every word with release; a reader loads every word with acquire, then `ready` again.
// A reader that saw one new word therefore sees the cleared `ready`. On x86 all of these are plain
// moves; only the publishing store of `ready` is a locked one, because two neighbours that commit
// at the same time must not both miss each other (store, then load the other's: sequential
// consistency). Long frames go past the caches by stores that keep no order at all: fences stand
// between them and the stores of `ready` before and behind.
namespace chaincast::dedup {

using WordRef = std::atomic_ref<uint64_t>;

inline uint64_t load_acquire(const uint64_t& word) noexcept {
  return WordRef(const_cast<uint64_t&>(word)).load(std::memory_order_acquire);
}
inline void store_release(uint64_t& word, uint64_t value) noexcept {
  WordRef(word).store(value, std::memory_order_release);
}

struct alignas(64) SlotMeta {
  uint64_t ready;      // seq + 1 once complete; anything else: another frame, or none
  uint64_t digest[4];  // as bytes
  uint64_t link[2];    // the frame's link field, as bytes
  uint64_t length;     // header and payload; from bit 16 on: how often write() has filled it
};
static_assert(sizeof(SlotMeta) == 64);

// Digest prefix or link, compared as two words.
struct Half {
  uint64_t words[2] = {0, 0};
  bool operator==(const Half&) const = default;
};

inline Half half_of(const uint8_t* bytes16) noexcept {
  Half half;
  std::memcpy(half.words, bytes16, 16);
  return half;
}

class Slot {
 public:
  Slot(SlotMeta& meta, uint64_t* bytes) noexcept : meta_(&meta), bytes_(bytes) {}

  bool is_ready(Seq seq) const noexcept {
    return WordRef(meta_->ready).load(std::memory_order_seq_cst) == seq + 1;
  }
  uint64_t ready() const noexcept { return load_acquire(meta_->ready); }

  // Writer. `length` fits the slot.
  void write(Seq seq, const Digest& digest, const uint8_t* frame, uint16_t length) noexcept {
    const uint64_t count = (load_acquire(meta_->length) >> length_bits) + 1;
    open();
    fill_meta(digest, frame, count << length_bits | length);
    copy_frame_in(frame, length);
    WordRef(meta_->ready).store(seq + 1, std::memory_order_seq_cst);
  }
  // Writer. The same in parts, for several slots at once: a locked store waits for all stores
  // before it, and those of a frame miss the caches. open() all, stream_barrier(), fill() all,
  // stream_barrier(), publish() all, publish_barrier(): nothing is published before the last, and
  // no neighbour may be looked at.
  void open() noexcept { WordRef(meta_->ready).store(0, std::memory_order_relaxed); }
  void fill(const Digest& digest, const uint8_t* frame, uint16_t length) noexcept {
    fill_meta(digest, frame, length);
    if (is_streamed(length)) {
      stream_frame_in(frame, length);
    } else {
      copy_frame_in(frame, length);
    }
  }
  // Whether fill() needs stream_barrier() around it. Fetching the place of shorter ones costs no
  // more than the fences would.
  static bool is_streamed(uint16_t length) noexcept { return length >= 512; }
  static void stream_barrier() noexcept { _mm_sfence(); }
  void publish(Seq seq) noexcept {
#ifdef __SANITIZE_THREAD__
    WordRef(meta_->ready).store(seq + 1, std::memory_order_seq_cst);
#else
    store_release(meta_->ready, seq + 1);
#endif
  }
  static void publish_barrier() noexcept {
#ifndef __SANITIZE_THREAD__
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  }

  // Owner. Nothing is here any more; a reader in the midst of it notices.
  void clear() noexcept {
    WordRef(meta_->ready).store(0, std::memory_order_seq_cst);
  }
  // Owner. Nothing is here, and only a frame whose digest begins so may come.
  void keep_for(const Half& digest) noexcept {
    clear();
    store_release(meta_->digest[0], digest.words[0]);
    store_release(meta_->digest[1], digest.words[1]);
  }
  Half wanted() const noexcept {
    return {{load_acquire(meta_->digest[0]), load_acquire(meta_->digest[1])}};
  }

  // Digest's first half or link of `seq`, if it is here.
  std::optional<Half> digest_half(Seq seq) const noexcept {
    return half(seq, meta_->digest);
  }
  std::optional<Half> link_half(Seq seq) const noexcept {
    return half(seq, meta_->link);
  }

  // Length of the frame if `seq` was here all the while.
  std::optional<uint16_t> read(Seq seq, Digest& digest, uint8_t* out,
                               size_t bytes_max) const noexcept {
    const uint64_t filled = load_acquire(meta_->length);
    if (!is_ready(seq)) return std::nullopt;
    const size_t length = filled & length_mask;
    copy_out(digest.data(), meta_->digest, digest.size());
    copy_out(out, bytes_, length < bytes_max ? length : bytes_max);
    if (!is_still(seq, filled)) return std::nullopt;
    return static_cast<uint16_t>(length);
  }

 private:
  static constexpr unsigned length_bits = 16;
  static constexpr uint64_t length_mask = (uint64_t{1} << length_bits) - 1;

  void fill_meta(const Digest& digest, const uint8_t* frame, uint64_t filled) noexcept {
    copy_in(meta_->digest, digest.data(), digest.size());
    copy_in(meta_->link, frame + wire::frame_offset_link, sizeof meta_->link);
    store_release(meta_->length, filled);
  }
  bool is_still(Seq seq, uint64_t filled) const noexcept {
    return load_acquire(meta_->ready) == seq + 1 && load_acquire(meta_->length) == filled;
  }
  // x86 keeps the order of all stores but streaming ones, vector stores included; the thread
  // sanitizer wants words.
  void copy_frame_in(const uint8_t* frame, uint16_t length) noexcept {
#ifdef __SANITIZE_THREAD__
    copy_in(bytes_, frame, length);
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
    auto* to = static_cast<uint8_t*>(static_cast<void*>(bytes_));
    size_t left = length;
    for (; left > 32; left -= 32, to += 32, frame += 32) std::memcpy(to, frame, 32);
    // A header and more, so that this begins within the frame.
    std::memcpy(to + left - 32, frame + left - 32, 32);
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }
  // Nobody reads the frame soon, and its place has left the caches since the last lap: to write it
  // there would fetch all of it first. Slots start on cache lines.
  void stream_frame_in(const uint8_t* frame, uint16_t length) noexcept {
#ifdef __SANITIZE_THREAD__
    copy_in(bytes_, frame, length);
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
    auto* to = static_cast<uint8_t*>(static_cast<void*>(bytes_));
    const auto stream = [&](size_t at) {
      __m256i part;
      std::memcpy(&part, frame + at, sizeof part);
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at), part);
    };
    size_t at = 0;
    for (; at + 64 <= length; at += 64) {
      stream(at);
      stream(at + 32);
    }
    std::memcpy(to + at, frame + at, length - at);
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }
  static void copy_in(uint64_t* to, const uint8_t* from, size_t count) noexcept {
    for (; count >= 8; count -= 8, from += 8) {
      uint64_t word;
      std::memcpy(&word, from, 8);
      store_release(*to++, word);
    }
    if (count == 0) return;
    uint64_t word = 0;
    std::memcpy(&word, from, count);
    store_release(*to, word);
  }
  static void copy_out(uint8_t* to, const uint64_t* from, size_t count) noexcept {
    for (; count >= 8; count -= 8, to += 8) {
      const uint64_t word = load_acquire(*from++);
      std::memcpy(to, &word, 8);
    }
    if (count == 0) return;
    const uint64_t word = load_acquire(*from);
    std::memcpy(to, &word, count);
  }
  std::optional<Half> half(Seq seq, const uint64_t* words) const noexcept {
    const uint64_t filled = load_acquire(meta_->length);
    if (!is_ready(seq)) return std::nullopt;
    const Half found{{load_acquire(words[0]), load_acquire(words[1])}};
    if (!is_still(seq, filled)) return std::nullopt;
    return found;
  }

  SlotMeta* meta_;
  uint64_t* bytes_;
};

}  // namespace chaincast::dedup
