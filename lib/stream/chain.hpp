// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "stream/gaps.hpp"
#include "stream/receiver.hpp"

// What is known of each seq of one stream's window: which variants are here, which of them is
// linked forward from the anchor, which is final by walking backward from a statement, what is
// missing and what was given up. Owner: a Receiver; control thread. No frames, only their digests,
// links and kinds; O(window) memory.
//
// Linking: at each seq the variant whose link names the digest chosen at seq - 1. If only the other
// variant at seq - 1 fits, the choice there is changed, as long as that one links on as well.
// A variant that is accepted (docs/membership.md, "Votes") is chosen without a look at its link.
// The origin's word outranks all: walking down from a statement's digest, link by link, marks each
// variant found as final. A walk that meets a hole, or frames that all contradict it, waits there.
//
// Giving up (live streams): only below what a statement covers, so that frames a member made up
// far ahead never cost frames of the origin.
namespace chaincast::stream {

struct ChainVariant {
  Digest digest{};
  Link16 link{};
  uint8_t kind = 0;
  bool is_present = false;
};

struct ChainEntry {
  Seq seq = 0;
  bool is_used = false;
  uint8_t chosen = 0;
  int8_t final_variant = -1;
  int8_t accepted_variant = -1;
  bool is_wanted = false;      // the window keeps a place for the origin's variant
  TimeNs contradicted_ns = 0;  // 0: never
  std::array<ChainVariant, 2> variants;

  // What is settled by more than links; -1: nothing.
  int8_t decided() const { return final_variant >= 0 ? final_variant : accepted_variant; }
  unsigned best() const {
    const int8_t known = decided();
    return known >= 0 ? static_cast<unsigned>(known) : chosen;
  }
};

struct ChainRules {
  bool needs_final = false;     // delivery waits for the origin's word
  bool needs_accepted = false;  // or until the frame is accepted, whichever is first
  bool gives_up = true;         // live
  TimeNs gap_deadline_ns = 2 * ns_per_s;
};

class Chain {
 public:
  Chain(size_t window_size, ChainRules rules, ReceiverCounters& counters)
      : rules_(rules), counters_(counters), ring_(window_size) {}

  // Starts at `at`, whose predecessor has this digest.
  void start(Seq at, const Digest& previous);
  // The statement lies beyond the window of a live stream: what is not linked up to `last` is lost.
  void jump(Seq last, const Digest& digest);

  // A variant that is committed now. `seq` is at least start, below seen_end() + window.
  void add(Seq seq, unsigned variant, const ChainVariant& content);
  // [seen_end, last] is not here, though something above it is.
  void note_missing(Seq last, TimeNs now_ns);
  // The origin's signature covers everything up to `last`, whose digest is this. False if that
  // contradicts another signed one.
  bool add_word(Seq last, const Digest& digest);
  // This variant of `seq` is accepted. False if it is not here, or another one is final.
  bool accept(Seq seq, const Digest& digest);
  // Moves linked_next and final_next as far as they go, gives up what is too old. False: two signed
  // histories.
  bool settle(TimeNs now_ns);

  const ChainEntry* find(Seq seq) const {
    const ChainEntry& entry = ring_[seq % ring_.size()];
    return entry.is_used && entry.seq == seq ? &entry : nullptr;
  }
  Seq start_seq() const { return start_; }
  Seq seen_end() const { return seen_end_; }
  Seq linked_next() const { return linked_next_; }
  Seq final_next() const { return final_next_; }
  // First seq neither accepted nor final; of use with needs_accepted alone.
  Seq accepted_next() const { return accepted_next_; }
  Seq covered_end() const { return covered_end_; }
  // Delivery may go up to here.
  Seq limit() const {
    if (rules_.needs_final) return final_next_;
    return rules_.needs_accepted ? std::min(accepted_next_, linked_next_) : linked_next_;
  }
  const Gaps& gaps() const { return gaps_; }
  bool is_blocked() const { return !gaps_.empty() || !walks_.empty() || linked_next_ < seen_end_; }

  // The origin's word may take back what the votes erred about.
  bool is_deliverable(Seq seq) const {
    return !rules_.needs_accepted || find(seq) == nullptr || is_accepted(seq);
  }

  // Given up, oldest first, not yet reported: inclusive ranges.
  std::deque<std::pair<Seq, Seq>>& lost() { return lost_; }
  // Present seqs whose variants all contradict the origin's word, with the digest wanted.
  void contradicted(std::vector<Receiver::Missing>& out, size_t max) const;
  // The same, for the window: calls want(seq, first 16 bytes of the digest) until it says true.
  // Then there is no second variant any more.
  template <typename Want>
  void tell_wanted(Want&& want) {
    for (const auto& [seq, wanted] : walks_) {
      ChainEntry* at = entry(seq);
      if (at == nullptr || at->is_wanted) continue;
      at->is_wanted = want(seq, std::span<const uint8_t, 16>(wanted.digest.data(), 16));
      if (at->is_wanted) forget_second(seq);
    }
  }
  // The window has no second variant of `seq` any more.
  void forget_second(Seq seq) {
    if (ChainEntry* at = entry(seq)) {
      at->variants[1].is_present = false;
      at->chosen = 0;
      if (at->accepted_variant == 1) at->accepted_variant = -1;
    }
  }
  // Calls resolve(seq, variant) for each seq that had two variants and of which the origin's word
  // has chosen one, until it says true or the window's floor has passed. Where it says true, that
  // one is variant 0 and the only one.
  template <typename Resolve>
  void tell_resolved(Seq floor, Resolve&& resolve) {
    std::erase_if(resolved_, [&](Seq seq) {
      ChainEntry* at = entry(seq);
      if (at == nullptr) return true;
      const auto variant = static_cast<unsigned>(at->final_variant);
      if (!resolve(seq, variant)) return seq < floor;
      at->variants[0] = at->variants[variant];
      at->variants[1].is_present = false;
      at->final_variant = 0;
      if (at->accepted_variant >= 0) at->accepted_variant = 0;
      at->chosen = 0;
      return true;
    });
  }

 private:
  // A digest to be met: in full from a statement, its first 16 bytes from a link.
  struct Wanted {
    Digest digest{};
    size_t bytes = 16;
    bool matches(const Digest& found) const {
      return std::equal(digest.begin(), digest.begin() + static_cast<ptrdiff_t>(bytes),
                        found.begin());
    }
  };
  struct Anchor {
    Seq seq = 0;
    std::optional<Link16> link;  // nothing: whatever is there
  };

  ChainEntry* entry(Seq seq) {
    ChainEntry& found = ring_[seq % ring_.size()];
    return found.is_used && found.seq == seq ? &found : nullptr;
  }
  static int matching(const ChainEntry& at, const Wanted& wanted);
  static Wanted wanted_by(const Link16& link);
  void contradict(ChainEntry& at, TimeNs now_ns);
  bool walk_all(TimeNs now_ns);
  bool walk(Seq from, Wanted wanted, TimeNs now_ns);
  bool wait_at(Seq seq, const Wanted& wanted);
  int fitting(const ChainEntry& at, TimeNs now_ns);
  bool links_back(const ChainEntry& at, unsigned variant) const;
  void link_on(TimeNs now_ns);
  void finalise();
  bool is_expired(Seq seq, TimeNs now_ns) const;
  void trim_walks(TimeNs now_ns);
  bool give_up_final(TimeNs now_ns);
  bool give_up_linked(TimeNs now_ns);
  bool give_up_accepted(TimeNs now_ns);
  bool is_accepted(Seq seq) const;
  void accept_on();
  void lose(Seq first, Seq last);
  void lose_one(Seq seq);
  void restart_linking(Seq at, std::optional<Link16> link);
  std::optional<Link16> wanted_at(Seq seq) const;

  const ChainRules rules_;
  ReceiverCounters& counters_;
  std::vector<ChainEntry> ring_;  // by seq mod window
  Gaps gaps_;
  std::map<Seq, Wanted> walks_;  // backward walks that wait, by the seq they wait at
  std::deque<std::pair<Seq, Seq>> lost_;
  std::vector<Seq> resolved_;  // not yet told; at most the second variants of a window
  Anchor anchor_;
  Seq start_ = 0;
  Seq seen_end_ = 0;  // every seq below is here, missing, or given up
  Seq linked_next_ = 0;
  Seq final_next_ = 0;
  Seq accepted_next_ = 0;
  Seq covered_end_ = 0;
};

}  // namespace chaincast::stream
