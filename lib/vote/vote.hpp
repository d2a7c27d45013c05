// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"

// Votes of one stream at one node (docs/membership.md, "Votes"): a frame is accepted when it came
// over the origin's own link, when enough of the N live parents vouch for one digest, or when the
// origin's signature covers it, which outranks any vote. Enough: max(ceil(P x N), t + 1), and what
// votes_against() says where a share of the members may lie. A pure machine; owner:
// the control thread. Every vote costs a scan of the votes for that seq, at most parents_max.
// Memory: `window` seqs, of each at most parents_max votes.
namespace chaincast::vote {

inline constexpr size_t parents_max = 64;

struct Rule {
  unsigned percent = 50;   // P of the live parents, 0..100
  unsigned tolerated = 0;  // t: parents that may lie together, wherever they are
  unsigned malicious = 0;  // percent of the members that may lie together, 0..malicious_max
};
inline constexpr unsigned malicious_max = 50;

struct VoteConfig {
  Rule rule;
  size_t window = 8192;  // seqs that may be open at once
};

// The fewest votes that liars among `parents` cast together at most once in a million draws, where
// each parent is a liar with a probability of `malicious` percent: the upper tail of the binomial
// distribution. parents + 1 where no number of them is enough. O(parents).
size_t votes_against(size_t parents, unsigned malicious);

enum class Outcome : uint8_t {
  accepted,     // by this word: deliver, and vote to one's children
  counted,      // not enough yet
  repeated,     // this voter has said so before, or the seq is accepted already
  double_vote,  // this voter has vouched for another digest: it lies, and its first vote stands
  not_parent,   // its vote does not count here
  late,         // below the window
  ahead,        // above the window
};

// Someone that vouched for what the origin did not sign.
struct Liar {
  NodeId voter;
  Seq seq = 0;
};

struct VoteCounters {
  uint64_t votes = 0, accepted_by_votes = 0, accepted_by_origin = 0, accepted_by_signature = 0;
  uint64_t repeated = 0, double_votes = 0, not_parent = 0, late = 0, ahead = 0, overruled = 0;
};

class Votes {
 public:
  explicit Votes(const VoteConfig& config);

  // The live neighbours nearer to the origin. Votes of those that are no parents any more stop
  // counting. Returns the seqs that are accepted by this, because fewer are needed now.
  std::vector<Seq> set_parents(std::vector<NodeId> parents);
  size_t needed() const { return needed_; }
  size_t parents() const { return parents_.size(); }
  // Another rule from now on. Returns the seqs that are accepted by this. What is accepted stays
  // so.
  std::vector<Seq> set_rule(const Rule& rule);
  // With fewer than 2t + 1 parents t liars could outvote the honest, and with few parents all may
  // be liars: such a stream is delivered at the origin's signature only.
  bool is_sufficient() const;
  size_t parents_wanted() const;

  Outcome on_vote(const NodeId& voter, Seq seq, const Digest& digest);
  Outcome on_origin_link(Seq seq, const Digest& digest);
  // Every seq up to the one signed has such a digest: call it for each, backward or forward.
  Outcome on_signed(Seq seq, const Digest& digest);
  // Seqs below are closed: decided elsewhere, or given up.
  void advance(Seq floor);

  std::optional<Digest> accepted(Seq seq) const;
  // Named since the last call.
  std::vector<Liar> take_liars();
  const VoteCounters& counters() const { return counters_; }
  const Rule& rule() const { return config_.rule; }

 private:
  struct Vote {
    NodeId voter;
    Digest digest{};
  };
  struct Slot {
    bool is_accepted = false;
    bool is_signed = false;
    Digest digest{};  // where accepted
    std::vector<Vote> votes;
  };

  Slot& slot(Seq seq) { return slots_[seq % slots_.size()]; }
  std::optional<Outcome> outside(Seq seq);
  void count_needed();
  bool decide(Slot& slot);
  std::vector<Seq> decide_all();
  bool is_parent(const NodeId& id) const;
  void name(const NodeId& voter, Seq seq);

  VoteConfig config_;
  std::vector<NodeId> parents_;  // ascending
  size_t needed_ = 0;
  std::vector<Slot> slots_;
  Seq floor_ = 0;
  std::vector<Liar> liars_;
  VoteCounters counters_;
};

}  // namespace chaincast::vote
