// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string>
#include <thread>

#include "base/assert.hpp"
#include "base/checksum.hpp"
#include "dedup/window_impl.hpp"

namespace chaincast::dedup {
namespace {

uint64_t round_up(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

Fit merge(Fit a, Fit b) {
  if (a == Fit::fits || b == Fit::fits) return Fit::fits;
  return a == Fit::unknown ? b : a;
}

Fit compare(const std::optional<Half>& found, const Half& wanted) {
  if (!found) return Fit::unknown;
  return *found == wanted ? Fit::fits : Fit::contradicts;
}

constexpr size_t huge_page_bytes = size_t{2} << 20;

bool is_kept(Commit outcome) {
  return outcome == Commit::committed || outcome == Commit::second;
}

// What stands behind each other in the one mapping of a window.
struct Layout {
  size_t slot_words = 0;
  size_t words_bytes = 0, owners_bytes = 0, metas_bytes = 0;
  size_t total_bytes = 0;
};

Layout layout_of(const WindowConfig& config) {
  const size_t size = size_t{1} << config.size_log2;
  const size_t places = size + config.variants_max;
  Layout out;
  out.slot_words = round_up(config.slot_bytes, base::cache_line_bytes) / sizeof(uint64_t);
  out.words_bytes = round_up(size * 2 * sizeof(uint64_t), base::cache_line_bytes);
  out.owners_bytes = round_up(config.variants_max * sizeof(uint64_t), base::cache_line_bytes);
  out.metas_bytes = places * sizeof(SlotMeta);
  out.total_bytes = out.words_bytes + out.owners_bytes + out.metas_bytes +
                    places * out.slot_words * sizeof(uint64_t);
  if (out.total_bytes >= huge_page_bytes) {
    out.total_bytes = round_up(out.total_bytes, huge_page_bytes);
  }
  return out;
}

// Anonymous memory, or MAP_FAILED. What huge pages can hold begins at the start of one: else its
// two ends would be on small pages, however much memory is free.
void* map_aligned(size_t bytes) noexcept {
  const size_t slack = bytes >= huge_page_bytes ? huge_page_bytes : 0;
  void* const memory = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || slack == 0) return memory;
  auto* const begin = static_cast<uint8_t*>(memory);
  const size_t before = (slack - reinterpret_cast<uintptr_t>(begin) % slack) % slack;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + bytes, slack - before);
  return begin + before;
}

}  // namespace

bool Window::Impl::map_memory() noexcept {
  const Layout layout = layout_of(config);
  slot_words = layout.slot_words;
  total_bytes = layout.total_bytes;
  memory = map_aligned(total_bytes);
  if (memory == MAP_FAILED) return false;
  // Both are wishes: a kernel without them takes ordinary pages, when they are touched.
  madvise(memory, total_bytes, MADV_HUGEPAGE);
  if (total_bytes <= config.populate_bytes_max) madvise(memory, total_bytes, MADV_POPULATE_WRITE);
  uint8_t* at = static_cast<uint8_t*>(memory);
  first_words = static_cast<uint64_t*>(static_cast<void*>(at));
  second_words = first_words + size;
  at += layout.words_bytes;
  owners = static_cast<uint64_t*>(static_cast<void*>(at));
  at += layout.owners_bytes;
  metas = static_cast<SlotMeta*>(static_cast<void*>(at));
  at += layout.metas_bytes;
  bytes = static_cast<uint64_t*>(static_cast<void*>(at));
  return true;
}

// Words of one position change from lap to lap only. The word is loaded before the floor: whoever
// sees a word cleared by forget_below_floor() sees the floor that allowed it, so nothing below the
// floor is committed a second time.
Commit Window::Impl::commit_first(Seq seq, uint64_t word) noexcept {
  const uint64_t position = index_of(seq);
  WordRef place(first_words[position]);
  for (;;) {
    uint64_t found = place.load(std::memory_order_acquire);
    const Seq low = floor.load(std::memory_order_acquire);
    if (seq < low) return Commit::stale;
    if (seq - low >= size) return Commit::ahead;
    if (generation_of(found) == generation_of(word)) {
      return found == word ? Commit::duplicate : Commit::second;
    }
    if (found != 0 && !is_published(position, found)) {
      // Unless the place was taken meanwhile, and what is published belongs to its new word.
      if (place.load(std::memory_order_acquire) == found) return Commit::refused;
      continue;
    }
    if (place.compare_exchange_strong(found, word, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      return Commit::committed;
    }
  }
}

void Window::Impl::commit_variant(const Arrival& a, CommitResult& result) noexcept {
  const uint64_t word = word_of(a.seq, a.tag48);
  // Of a final frame there is nothing left to choose.
  if (a.allow_second && a.seq >= final_end.load(std::memory_order_relaxed)) {
    result.outcome = commit_second(a.seq, word, *a.digest, a.frame, a.length);
  } else {
    result.outcome = second_word(a.seq) == word ? Commit::duplicate : Commit::refused;
  }
}

void Window::Impl::count_commits(std::span<const Arrival> arrivals,
                                 CommitResult* results) noexcept {
  Seq end = committed_end.load(std::memory_order_relaxed);
  const Seq before = end;
  uint64_t kept = 0;
  for (size_t i = 0; i < arrivals.size(); ++i) {
    if (!is_kept(results[i].outcome)) continue;
    ++kept;
    results[i].is_reordered = end > arrivals[i].seq + 1;
    end = std::max(end, arrivals[i].seq + 1);
  }
  if (kept == 0) return;
  committed.fetch_add(kept, std::memory_order_relaxed);
  for (Seq found = before; found < end;) {
    if (committed_end.compare_exchange_weak(found, end, std::memory_order_release,
                                            std::memory_order_relaxed)) {
      return;
    }
  }
}

// Mostly a burst brings neighbours that fit each other, which then need not be looked for in the
// window.
void Window::Impl::judge_all_links(std::span<const Arrival> arrivals,
                                   CommitResult* results) const noexcept {
  const Seq final_seqs = final_end.load(std::memory_order_relaxed);
  bool fits_previous = false;
  for (size_t i = 0; i < arrivals.size(); ++i) {
    const Arrival& a = arrivals[i];
    const bool fits_next =
        i + 1 < arrivals.size() && arrivals[i + 1].seq == a.seq + 1 &&
        is_kept(results[i + 1].outcome) && is_kept(results[i].outcome) &&
        half_of(arrivals[i + 1].frame + wire::frame_offset_link) == half_of(a.digest->data());
    if (is_kept(results[i].outcome)) {
      CommitResult& result = results[i];
      result.contradicts_previous =
          !fits_previous &&
          fit_previous(a.seq, half_of(a.frame + wire::frame_offset_link)) == Fit::contradicts;
      result.contradicts_next =
          !fits_next && fit_next(a.seq, half_of(a.digest->data())) == Fit::contradicts;
      result.previous_is_final = a.seq <= final_seqs && a.seq > 0;
    }
    fits_previous = fits_next;
  }
}

Fit Window::Impl::fit_previous(Seq seq, const Half& link) const noexcept {
  if (seq == 0) return Fit::unknown;
  const Seq before = seq - 1;
  Fit fit = compare(slot_of(before).digest_half(before), link);
  if (fit == Fit::fits || !has_second(before)) return fit;
  for (unsigned k = 0; k < config.variants_max; ++k) {
    fit = merge(fit, compare(side_slot(k).digest_half(before), link));
  }
  return fit;
}

Fit Window::Impl::fit_next(Seq seq, const Half& digest) const noexcept {
  const Seq after = seq + 1;
  Fit fit = compare(slot_of(after).link_half(after), digest);
  if (fit == Fit::fits || !has_second(after)) return fit;
  for (unsigned k = 0; k < config.variants_max; ++k) {
    fit = merge(fit, compare(side_slot(k).link_half(after), digest));
  }
  return fit;
}

// A frame at `seq` with this link continues what is linked.
bool Window::Impl::links_on(Seq seq, const Half& link) const noexcept {
  if (seq == anchor_seq) {
    return anchor == Anchor::anything || (anchor == Anchor::digest && anchor_half == link);
  }
  return fit_previous(seq, link) == Fit::fits;
}

bool Window::Impl::can_pass(Seq seq) const noexcept {
  const std::optional<Half> link = slot_of(seq).link_half(seq);
  if (!link) return false;
  if (!config.links_by_digest || links_on(seq, *link)) return true;
  if (!has_second(seq)) return false;
  for (unsigned k = 0; k < config.variants_max; ++k) {
    const std::optional<Half> other = side_slot(k).link_half(seq);
    if (other && links_on(seq, *other)) return true;
  }
  return false;
}

void Window::Impl::hold_moving() noexcept {
  while (moving.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
}

void Window::Impl::raise_floor() noexcept {
  Seq base = next.load(std::memory_order_relaxed);
  if (config.signed_lead_max != 0) {
    base = std::min(base, signed_end.load(std::memory_order_relaxed) + config.signed_lead_max);
  }
  Seq low = base > size / 2 ? base - size / 2 : 0;
  if (config.floor_waits_for_final) {
    low = std::min(low, final_end.load(std::memory_order_relaxed));
  }
  const Seq before = floor.load(std::memory_order_relaxed);
  if (low <= before) return;
  floor.store(low, std::memory_order_release);
  if (low - before >= size) forget_below_floor();
}

// After a jump of a lap or more, words of the laps that were jumped over could be taken for later
// ones once the 16-bit generation comes round.
void Window::Impl::forget_below_floor() noexcept {
  const Seq low = floor.load(std::memory_order_relaxed);
  for (uint64_t position = 0; position < size; ++position) {
    uint64_t found = load_acquire(first_words[position]);
    if (found == 0 || !is_published(position, found)) continue;
    if (slot_at(position).ready() > low) continue;
    uint64_t second = load_acquire(second_words[position]);
    if (generation_of(second) == generation_of(found)) {
      WordRef(second_words[position]).compare_exchange_strong(second, 0);
    }
    WordRef(first_words[position]).compare_exchange_strong(found, 0);
  }
}

void Window::Impl::move_to(Seq to) noexcept {
  next.store(to, std::memory_order_release);
  raise_floor();
}

Window::Window(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Window::~Window() = default;

Result<std::unique_ptr<Window>> Window::create(const WindowConfig& config, unsigned log2_min) {
  if (config.size_log2 < std::max(log2_min, 1u) || config.size_log2 > size_log2_max) {
    return error(ErrorCode::invalid, "window: size 2^" + std::to_string(config.size_log2) +
                                         " is outside 2^" + std::to_string(log2_min) + "..2^" +
                                         std::to_string(size_log2_max) +
                                         "; change `window` of the stream");
  }
  if (config.slot_bytes < wire::frame_header_bytes || config.slot_bytes > 0xffff) {
    return error(ErrorCode::invalid, "window: a slot of " + std::to_string(config.slot_bytes) +
                                         " bytes cannot hold a frame; use 56..65535");
  }
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->log2 = config.size_log2;
  impl->size = uint64_t{1} << config.size_log2;
  impl->moved_frame.resize(config.slot_bytes);
  if (!impl->map_memory()) {
    return error(ErrorCode::refused, "window: no memory for " + std::to_string(impl->total_bytes) +
                                         " bytes; lower the stream's window or add memory");
  }
  return std::unique_ptr<Window>(new Window(std::move(impl)));
}

Probe Window::probe(Seq seq, uint64_t tag48) const noexcept {
  const Seq low = impl_->floor.load(std::memory_order_acquire);
  if (seq < low) return Probe::stale;
  if (seq - low >= impl_->size) return Probe::ahead;
  const uint64_t word = impl_->word_of(seq, tag48);
  const uint64_t found = impl_->first_word(seq);
  if (generation_of(found) != generation_of(word)) return Probe::fresh;
  if (found == word || impl_->second_word(seq) == word) return Probe::duplicate;
  return Probe::conflict;
}

void Window::prefetch(Seq seq) const noexcept {
  __builtin_prefetch(&impl_->first_words[impl_->index_of(seq)]);
}

void Window::prefetch_place(Seq seq, uint16_t length) const noexcept {
  const uint64_t position = impl_->index_of(seq);
  __builtin_prefetch(&impl_->metas[position], 1);
  if (Slot::is_streamed(length)) return;
  const auto* const to =
      reinterpret_cast<const uint8_t*>(impl_->bytes + position * impl_->slot_words);
  for (unsigned at = 0; at < length; at += base::cache_line_bytes) {
    __builtin_prefetch(to + at, 1);
  }
}

// Words, then frames, then all of them published at once, then what needs the neighbours: each pass
// over all arrivals, so that a fence is paid once.
void Window::commit(std::span<const Arrival> arrivals, CommitResult* results) noexcept {
  Impl& w = *impl_;
  bool streams = false;
  for (size_t i = 0; i < arrivals.size(); ++i) {
    const Arrival& a = arrivals[i];
    CC_ASSERT_FRAME(a.length >= wire::frame_header_bytes);
    results[i] = {};
    if (a.length <= w.config.slot_bytes) {
      results[i].outcome = w.commit_first(a.seq, w.word_of(a.seq, a.tag48));
    }
    streams = streams || Slot::is_streamed(a.length);
  }
  // Not with the words above: each of those waits for all stores before it.
  for (size_t i = 0; i < arrivals.size(); ++i) {
    if (results[i].outcome == Commit::committed) w.slot_of(arrivals[i].seq).open();
  }
  if (streams) Slot::stream_barrier();
  for (size_t i = 0; i < arrivals.size(); ++i) {
    const Arrival& a = arrivals[i];
    if (results[i].outcome != Commit::committed) continue;
    w.slot_of(a.seq).fill(*a.digest, a.frame, a.length);
    // The copy has just brought it into the first cache.
    if (a.sum != nullptr) *a.sum = internet_sum(a.frame, a.length);
  }
  if (streams) Slot::stream_barrier();
  for (size_t i = 0; i < arrivals.size(); ++i) {
    if (results[i].outcome == Commit::committed)
      w.slot_of(arrivals[i].seq).publish(arrivals[i].seq);
  }
  Slot::publish_barrier();
  for (size_t i = 0; i < arrivals.size(); ++i) {
    if (results[i].outcome == Commit::second) w.commit_variant(arrivals[i], results[i]);
  }
  w.count_commits(arrivals, results);
  if (w.config.links_by_digest) w.judge_all_links(arrivals, results);
}

// Whoever finds the move held leaves; the holder sees `wanted` after it has let go. All of it is
// sequentially consistent, or the two could miss each other.
void Window::advance() noexcept {
  Impl& w = *impl_;
  const Seq first = w.next.load(std::memory_order_acquire);
  if (!w.slot_of(first).is_ready(first)) return;
  w.move_wanted.store(true, std::memory_order_seq_cst);
  while (w.move_wanted.load(std::memory_order_seq_cst)) {
    if (w.moving.test_and_set(std::memory_order_seq_cst)) return;
    w.move_wanted.store(false, std::memory_order_seq_cst);
    const Seq from = w.next.load(std::memory_order_relaxed);
    Seq at = from;
    while (at - from < w.size && w.can_pass(at)) ++at;
    if (at != from) w.move_to(at);
    w.release_moving();
  }
}

void Window::anchor(Seq seq, const Digest& previous) noexcept {
  const Hold hold(*this);
  if (seq >= impl_->next.load(std::memory_order_relaxed)) {
    impl_->anchor_seq = seq;
    impl_->anchor = Anchor::digest;
    impl_->anchor_half = half_of(previous.data());
    impl_->move_to(seq);
  }
}

void Window::skip_to(Seq seq) noexcept {
  const Hold hold(*this);
  if (seq > impl_->next.load(std::memory_order_relaxed)) {
    impl_->anchor_seq = seq;
    impl_->anchor = Anchor::anything;
    impl_->move_to(seq);
  }
}

void Window::mark_signed(Seq seq) noexcept {
  const Hold hold(*this);
  if (seq + 1 > impl_->signed_end.load(std::memory_order_relaxed)) {
    impl_->signed_end.store(seq + 1, std::memory_order_release);
    impl_->raise_floor();
  }
}

void Window::mark_final(Seq seq) noexcept {
  const Hold hold(*this);
  if (seq + 1 > impl_->final_end.load(std::memory_order_relaxed)) {
    impl_->final_end.store(seq + 1, std::memory_order_release);
    impl_->raise_floor();
  }
}

std::optional<Stored> Window::read(Seq seq, unsigned variant, uint8_t* buffer,
                                   size_t bytes_max) const noexcept {
  Stored stored{.seq = seq};
  const auto fill = [&](const Slot& slot) {
    const auto length = slot.read(seq, stored.digest, buffer, bytes_max);
    stored.length = length.value_or(0);
    return length.has_value();
  };
  if (variant == 0) return fill(impl_->slot_of(seq)) ? std::optional(stored) : std::nullopt;
  if (!impl_->has_second(seq)) return std::nullopt;
  for (unsigned k = 0; k < impl_->config.variants_max; ++k) {
    if (fill(impl_->side_slot(k))) return stored;
  }
  return std::nullopt;
}

bool Window::has(Seq seq) const noexcept {
  if (seq >= floor() + impl_->size) return false;
  return generation_of(impl_->first_word(seq)) == generation_of(impl_->word_of(seq, 0));
}

Seq Window::floor() const noexcept {
  return impl_->floor.load(std::memory_order_acquire);
}
Seq Window::next() const noexcept {
  return impl_->next.load(std::memory_order_acquire);
}
Seq Window::committed_end() const noexcept {
  return impl_->committed_end.load(std::memory_order_acquire);
}
uint64_t Window::committed() const noexcept {
  return impl_->committed.load(std::memory_order_relaxed);
}
uint64_t Window::seconds() const noexcept {
  return impl_->seconds.load(std::memory_order_acquire);
}
Seq Window::signed_end() const noexcept {
  return impl_->signed_end.load(std::memory_order_acquire);
}
size_t Window::variants_max() const noexcept {
  return impl_->config.variants_max;
}
Seq Window::final_end() const noexcept {
  return impl_->final_end.load(std::memory_order_acquire);
}
size_t Window::size() const noexcept {
  return impl_->size;
}
size_t Window::memory_bytes_of(const WindowConfig& config) noexcept {
  return layout_of(config).total_bytes;
}
size_t Window::memory_bytes() const noexcept {
  return impl_->total_bytes;
}

}  // namespace chaincast::dedup
