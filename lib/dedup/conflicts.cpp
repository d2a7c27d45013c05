// SPDX-License-Identifier: BSD-3-Clause
// Second variants: the side table that workers put them into, and how the origin's word ends a
// conflict.
#include "dedup/window_impl.hpp"

namespace chaincast::dedup {

std::optional<unsigned> Window::Impl::claim_storage(Seq seq) noexcept {
  const Seq low = floor.load(std::memory_order_acquire);
  for (unsigned k = 0; k < config.variants_max; ++k) {
    WordRef owner(owners[k]);
    uint64_t found = owner.load(std::memory_order_acquire);
    const uint64_t end = found & ~storage_wanted;
    if ((found & storage_busy) != 0 || (found != 0 && end - 1 >= low)) continue;
    if (owner.compare_exchange_strong(found, (seq + 1) | storage_busy, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      return k;
    }
  }
  return std::nullopt;
}

std::optional<unsigned> Window::Impl::storage_with(uint64_t owner) const noexcept {
  for (unsigned k = 0; k < config.variants_max; ++k) {
    if (load_acquire(owners[k]) == owner) return k;
  }
  return std::nullopt;
}

// The word of `seq` names this frame, and storage k is claimed for it.
Commit Window::Impl::write_second(unsigned k, Seq seq, const Digest& digest, const uint8_t* frame,
                                  uint16_t length) noexcept {
  side_slot(k).write(seq, digest, frame, length);
  store_release(owners[k], seq + 1);
  seconds.fetch_add(1, std::memory_order_release);
  return Commit::second;
}

Commit Window::Impl::commit_wanted(Seq seq, uint64_t word, const Digest& digest,
                                   const uint8_t* frame, uint16_t length) noexcept {
  uint64_t owner = (seq + 1) | storage_wanted;
  const std::optional<unsigned> k = storage_with(owner);
  if (!k || side_slot(*k).wanted() != half_of(digest.data())) return Commit::refused;
  if (!WordRef(owners[*k])
           .compare_exchange_strong(owner, (seq + 1) | storage_busy, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
    return Commit::refused;
  }
  // Fails once the window has moved past it and a frame of the next lap stands there.
  uint64_t kept = word_of(seq, tag_wanted);
  if (seq < floor.load(std::memory_order_acquire) ||
      !WordRef(second_words[index_of(seq)])
           .compare_exchange_strong(kept, word, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
    release_storage(*k);
    return Commit::stale;
  }
  return write_second(*k, seq, digest, frame, length);
}

Commit Window::Impl::commit_second(Seq seq, uint64_t word, const Digest& digest,
                                   const uint8_t* frame, uint16_t length) noexcept {
  WordRef place(second_words[index_of(seq)]);
  uint64_t found = place.load(std::memory_order_acquire);
  if (found == word_of(seq, tag_wanted)) return commit_wanted(seq, word, digest, frame, length);
  if (generation_of(found) == generation_of(word)) {
    return found == word ? Commit::duplicate : Commit::refused;
  }
  // Storage first: a word once set must have its frame.
  const std::optional<unsigned> k = claim_storage(seq);
  if (!k) return Commit::refused;
  if (seq < floor.load(std::memory_order_acquire)) {
    release_storage(*k);
    return Commit::stale;
  }
  if (!place.compare_exchange_strong(found, word, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
    release_storage(*k);
    return found == word ? Commit::duplicate : Commit::refused;
  }
  return write_second(*k, seq, digest, frame, length);
}

// The floor is held, so no frame of the next lap can take the first place meanwhile.
bool Window::Impl::move_to_first(Seq seq, unsigned k) noexcept {
  Digest digest;
  const auto length = side_slot(k).read(seq, digest, moved_frame.data(), config.slot_bytes);
  if (!length || !slot_of(seq).is_ready(seq)) return false;
  const uint64_t other = first_word(seq);
  store_release(first_words[index_of(seq)], second_word(seq));
  store_release(second_words[index_of(seq)], other);
  slot_of(seq).write(seq, digest, moved_frame.data(), *length);
  return true;
}

bool Window::resolve(Seq seq, unsigned variant) noexcept {
  Impl& w = *impl_;
  const Hold hold(*this);
  bool is_done = seq >= w.floor.load(std::memory_order_relaxed);
  if (is_done && w.has_second(seq)) {
    const std::optional<unsigned> k = w.storage_with(seq + 1);
    is_done = k && (variant == 0 || w.move_to_first(seq, *k));
    if (is_done) {
      w.side_slot(*k).clear();
      w.release_storage(*k);
    }
  }
  return is_done;
}

bool Window::Impl::keep_for(Seq seq, const Half& digest) noexcept {
  uint64_t found = second_word(seq);
  const uint64_t kept = word_of(seq, tag_wanted);
  if (found == kept) return true;
  const bool is_taken = has_second(seq);
  const std::optional<unsigned> k = is_taken ? storage_with(seq + 1) : claim_storage(seq);
  if (!k) return false;
  side_slot(*k).keep_for(digest);
  store_release(owners[*k], (seq + 1) | storage_wanted);
  if (WordRef(second_words[index_of(seq)])
          .compare_exchange_strong(found, kept, std::memory_order_acq_rel,
                                   std::memory_order_relaxed)) {
    return true;
  }
  release_storage(*k);
  return false;
}

bool Window::want(Seq seq, std::span<const uint8_t, 16> digest16) noexcept {
  Impl& w = *impl_;
  const Hold hold(*this);
  return seq >= w.floor.load(std::memory_order_relaxed) &&
         w.keep_for(seq, half_of(digest16.data()));
}

bool Window::forget_second(Seq seq) noexcept {
  Impl& w = *impl_;
  const Hold hold(*this);
  const bool is_here = seq >= w.floor.load(std::memory_order_relaxed) && w.has_second(seq);
  const std::optional<unsigned> k = is_here ? w.storage_with(seq + 1) : std::nullopt;
  if (k) {
    w.side_slot(*k).clear();
    store_release(w.second_words[w.index_of(seq)], 0);
    w.release_storage(*k);
  }
  return k.has_value();
}

size_t Window::second_seqs(std::span<Seq> out) const noexcept {
  size_t count = 0;
  for (unsigned k = 0; k < impl_->config.variants_max && count < out.size(); ++k) {
    const uint64_t ready = impl_->side_slot(k).ready();
    if (ready != 0) out[count++] = ready - 1;
  }
  return count;
}

}  // namespace chaincast::dedup
