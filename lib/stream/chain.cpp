// SPDX-License-Identifier: BSD-3-Clause
#include "stream/chain.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace chaincast::stream {
namespace {

// Ranges given up that a full sink keeps from being reported; beyond, neighbours are merged.
constexpr size_t lost_ranges_max = 4096;

bool names(const Link16& link, const Digest& digest) {
  return std::equal(link.begin(), link.end(), digest.begin());
}

Link16 link_to(const Digest& digest) {
  Link16 link;
  std::copy_n(digest.begin(), link.size(), link.begin());
  return link;
}

}  // namespace

void Chain::start(Seq at, const Digest& previous) {
  start_ = seen_end_ = linked_next_ = final_next_ = accepted_next_ = covered_end_ = at;
  anchor_ = {at, link_to(previous)};
}

void Chain::lose(Seq first, Seq last) {
  accepted_next_ = std::max(accepted_next_, last + 1);
  gaps_.forget_below(last + 1);
  walks_.erase(walks_.begin(), walks_.upper_bound(last));
  const bool adjoins = !lost_.empty() && lost_.back().second + 1 == first;
  if (adjoins || lost_.size() >= lost_ranges_max) {
    lost_.back().second = last;
  } else {
    lost_.emplace_back(first, last);
  }
}

// What the votes erred about, below what is lost otherwise.
void Chain::lose_one(Seq seq) {
  const auto above = std::find_if(lost_.begin(), lost_.end(),
                                  [seq](const auto& range) { return range.second >= seq; });
  if (above == lost_.end() || above->first > seq) lost_.emplace(above, seq, seq);
}

void Chain::restart_linking(Seq at, std::optional<Link16> link) {
  anchor_ = {at, link};
  linked_next_ = at;
}

void Chain::jump(Seq last, const Digest& digest) {
  lose(limit(), last);
  restart_linking(last + 1, link_to(digest));
  final_next_ = last + 1;
  seen_end_ = std::max(seen_end_, last + 1);
  covered_end_ = std::max(covered_end_, last + 1);
}

void Chain::add(Seq seq, unsigned variant, const ChainVariant& content) {
  CC_ASSERT(seq >= start_ && variant < 2);
  ChainEntry& at = ring_[seq % ring_.size()];
  if (!at.is_used || at.seq != seq) {
    at = ChainEntry{};
    at.seq = seq;
    at.is_used = true;
  }
  at.variants[variant] = content;
  at.variants[variant].is_present = true;
  if (seq >= seen_end_) {
    CC_ASSERT(seq == seen_end_);
    ++seen_end_;
  } else {
    gaps_.fill(seq);
  }
}

void Chain::note_missing(Seq last, TimeNs now_ns) {
  if (last < seen_end_) return;
  gaps_.note(seen_end_, last, now_ns);
  counters_.gap_frames += last - seen_end_ + 1;
  seen_end_ = last + 1;
}

bool Chain::add_word(Seq last, const Digest& digest) {
  covered_end_ = std::max(covered_end_, last + 1);
  if (last < start_) return true;
  const Wanted wanted{digest, digest.size()};
  const ChainEntry* at = find(last);
  if (at != nullptr && at->final_variant >= 0) {
    return wanted.matches(at->variants[at->best()].digest);
  }
  if (last < final_next_) return true;
  return wait_at(last, wanted);
}

int Chain::matching(const ChainEntry& at, const Wanted& wanted) {
  for (int v = 0; v < 2; ++v) {
    const ChainVariant& variant = at.variants[static_cast<size_t>(v)];
    if (variant.is_present && wanted.matches(variant.digest)) return v;
  }
  return -1;
}

Chain::Wanted Chain::wanted_by(const Link16& link) {
  Wanted wanted;
  std::copy(link.begin(), link.end(), wanted.digest.begin());
  return wanted;
}

void Chain::contradict(ChainEntry& at, TimeNs now_ns) {
  if (at.contradicted_ns != 0) return;
  at.contradicted_ns = std::max<TimeNs>(now_ns, 1);
  ++counters_.contradictions;
}

// Two walks that meet at one seq must want one digest, or the origin has signed two histories.
bool Chain::wait_at(Seq seq, const Wanted& wanted) {
  const auto [at, is_new] = walks_.emplace(seq, wanted);
  if (is_new) return true;
  const size_t common = std::min(at->second.bytes, wanted.bytes);
  if (!std::equal(wanted.digest.begin(), wanted.digest.begin() + static_cast<ptrdiff_t>(common),
                  at->second.digest.begin())) {
    return false;
  }
  if (wanted.bytes > at->second.bytes) at->second = wanted;
  return true;
}

bool Chain::walk(Seq from, Wanted wanted, TimeNs now_ns) {
  for (Seq seq = from;; --seq) {
    ChainEntry* at = entry(seq);
    if (at == nullptr) return seq < final_next_ || wait_at(seq, wanted);
    const int variant = matching(*at, wanted);
    if (at->final_variant >= 0) return variant == at->final_variant;
    if (variant < 0) {
      contradict(*at, now_ns);
      at->accepted_variant = -1;
      return wait_at(seq, wanted);
    }
    if (variant != at->chosen && seq < linked_next_) contradict(*at, now_ns);
    at->final_variant = static_cast<int8_t>(variant);
    if (variant == 1) ++counters_.replaced;
    if (at->variants[1].is_present) resolved_.push_back(seq);
    if (seq == start_) return true;
    wanted = wanted_by(at->variants[static_cast<size_t>(variant)].link);
  }
}

bool Chain::walk_all(TimeNs now_ns) {
  std::map<Seq, Wanted> waiting;
  waiting.swap(walks_);
  bool one_history = true;
  for (const auto& [seq, wanted] : waiting) {
    if (!walk(seq, wanted, now_ns)) one_history = false;
  }
  return one_history;
}

bool Chain::links_back(const ChainEntry& at, unsigned variant) const {
  if (at.seq == anchor_.seq) {
    return !anchor_.link || *anchor_.link == at.variants[variant].link;
  }
  const ChainEntry* previous = at.seq > 0 ? find(at.seq - 1) : nullptr;
  return previous != nullptr &&
         names(at.variants[variant].link, previous->variants[previous->best()].digest);
}

// The variant of `at` that continues what is linked, or -1.
int Chain::fitting(const ChainEntry& at, TimeNs now_ns) {
  for (unsigned v = 0; v < 2; ++v) {
    if (at.variants[v].is_present && links_back(at, v)) return static_cast<int>(v);
  }
  ChainEntry* previous = at.seq > 0 && at.seq != anchor_.seq ? entry(at.seq - 1) : nullptr;
  if (previous == nullptr || previous->decided() >= 0) return -1;
  const uint8_t other = previous->chosen == 0 ? 1 : 0;
  if (!previous->variants[other].is_present || !links_back(*previous, other)) return -1;
  for (unsigned v = 0; v < 2; ++v) {
    if (at.variants[v].is_present && names(at.variants[v].link, previous->variants[other].digest)) {
      contradict(*previous, now_ns);
      previous->chosen = other;
      return static_cast<int>(v);
    }
  }
  return -1;
}

void Chain::link_on(TimeNs now_ns) {
  for (; linked_next_ < seen_end_; ++linked_next_) {
    ChainEntry* at = entry(linked_next_);
    if (at == nullptr) return;
    if (at->decided() >= 0) {
      at->chosen = static_cast<uint8_t>(at->decided());
      continue;
    }
    const int variant = fitting(*at, now_ns);
    if (variant < 0) {
      contradict(*at, now_ns);
      return;
    }
    at->chosen = static_cast<uint8_t>(variant);
  }
}

void Chain::finalise() {
  for (const ChainEntry* at = find(final_next_); at != nullptr && at->final_variant >= 0;
       at = find(final_next_)) {
    ++final_next_;
  }
}

// What a walk or the frontier waits for at `seq` will not be waited for any longer.
bool Chain::is_expired(Seq seq, TimeNs now_ns) const {
  if (const ChainEntry* at = find(seq)) {
    return at->contradicted_ns != 0 && at->contradicted_ns + rules_.gap_deadline_ns <= now_ns;
  }
  const auto gap = gaps_.find(seq);
  return gap == gaps_.end() || gap->second.noticed_ns + rules_.gap_deadline_ns <= now_ns;
}

std::optional<Link16> Chain::wanted_at(Seq seq) const {
  const auto at = walks_.find(seq);
  if (at == walks_.end()) return std::nullopt;
  return link_to(at->second.digest);
}

// Below the lowest waiting walk nothing more can be proven once it has expired.
void Chain::trim_walks(TimeNs now_ns) {
  while (!walks_.empty()) {
    const Seq seq = walks_.begin()->first;
    const bool is_behind = seq < final_next_;
    if (!is_behind && (seq >= limit() || !is_expired(seq, now_ns))) return;
    if (rules_.needs_accepted && !is_accepted(seq)) lose_one(seq);
    walks_.erase(walks_.begin());
    final_next_ = std::max(final_next_, seq + 1);
    finalise();
  }
}

// Everything up to the next proven frame: what stands between is not provable any more.
bool Chain::give_up_final(TimeNs now_ns) {
  const auto walk_above = walks_.lower_bound(final_next_);
  if (final_next_ >= covered_end_ || walk_above == walks_.end()) return false;
  const Seq last = walk_above->first;
  if (!is_expired(last, now_ns)) return false;
  const Link16 link = link_to(walk_above->second.digest);
  lose(final_next_, last);
  final_next_ = last + 1;
  if (linked_next_ <= last) restart_linking(last + 1, link);
  return true;
}

bool Chain::give_up_linked(TimeNs now_ns) {
  const Seq first = linked_next_;
  if (first >= covered_end_ || !is_expired(first, now_ns)) return false;
  if (find(first) != nullptr && !wanted_at(first)) {
    // Not refuted by the origin, only by a frame before it: it stands by itself.
    restart_linking(first, std::nullopt);
    return true;
  }
  const auto gap = gaps_.find(first);
  const Seq last = std::min(gap == gaps_.end() ? first : gap->second.last, covered_end_ - 1);
  const std::optional<Link16> link = wanted_at(last);
  lose(first, last);
  final_next_ = std::max(final_next_, last + 1);
  restart_linking(last + 1, link);
  return true;
}

bool Chain::accept(Seq seq, const Digest& digest) {
  ChainEntry* at = entry(seq);
  const int variant = at == nullptr ? -1 : matching(*at, {digest, digest.size()});
  if (variant < 0) return false;
  if (at->final_variant >= 0) return variant == at->final_variant;
  at->accepted_variant = static_cast<int8_t>(variant);
  return true;
}

bool Chain::is_accepted(Seq seq) const {
  const ChainEntry* at = find(seq);
  return at != nullptr && at->decided() >= 0;
}

void Chain::accept_on() {
  while (is_accepted(accepted_next_)) ++accepted_next_;
}

// Neither votes nor the origin's word will come for what stands below an expired walk.
bool Chain::give_up_accepted(TimeNs now_ns) {
  const Seq first = accepted_next_;
  const auto walk_above = walks_.lower_bound(first);
  if (first >= covered_end_ || walk_above == walks_.end()) return false;
  if (!is_expired(walk_above->first, now_ns)) return false;
  Seq last = first;
  while (last < walk_above->first && !is_accepted(last + 1)) ++last;
  std::optional<Link16> link;
  if (last == walk_above->first) link = link_to(walk_above->second.digest);
  lose(first, last);
  final_next_ = std::max(final_next_, last + 1);
  if (linked_next_ <= last) restart_linking(last + 1, link);
  return true;
}

bool Chain::settle(TimeNs now_ns) {
  for (;;) {
    if (!walk_all(now_ns)) return false;
    finalise();
    link_on(now_ns);
    if (rules_.needs_accepted) accept_on();
    if (!rules_.gives_up) return true;
    if (!rules_.needs_final) trim_walks(now_ns);
    const bool has_given_up = rules_.needs_final      ? give_up_final(now_ns)
                              : rules_.needs_accepted ? give_up_accepted(now_ns)
                                                      : give_up_linked(now_ns);
    if (!has_given_up) return true;
  }
}

void Chain::contradicted(std::vector<Receiver::Missing>& out, size_t max) const {
  for (const auto& [seq, wanted] : walks_) {
    if (out.size() >= max) return;
    if (find(seq) == nullptr) continue;
    std::array<uint8_t, 8> digest8;
    std::copy_n(wanted.digest.begin(), digest8.size(), digest8.begin());
    out.push_back({seq, digest8});
  }
}

}  // namespace chaincast::stream
