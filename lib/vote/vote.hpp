// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"

// Votes of one stream at one node (docs/membership.md, "Votes"): a frame is accepted when it came
// over the origin's own link, when max(ceil(P x N), t + 1) of the N live parents vouch for one
// digest, or when the origin's signature covers it, which outranks any vote. A pure machine; owner:
// the control thread. Every vote costs a scan of the votes for that seq, at most parents_max.
// Memory: `window` seqs, of each at most parents_max votes.
namespace chaincast::vote {

inline constexpr size_t parents_max = 64;

struct VoteConfig {
  unsigned percent = 50;   // P of the live parents; 0: only t + 1
  unsigned tolerated = 0;  // t: parents that may lie together
  size_t window = 8192;    // seqs that may be open at once
};

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
  size_t needed() const;
  size_t parents() const { return parents_.size(); }
  // Another P and t, from now on. Returns the seqs that are accepted by this. What is accepted
  // stays so.
  std::vector<Seq> set_rule(unsigned percent, unsigned tolerated);
  // With fewer than 2t + 1 parents t liars could outvote the honest: such a stream is delivered at
  // the origin's signature only.
  bool is_sufficient() const { return parents_.size() >= parents_wanted(); }
  size_t parents_wanted() const { return 2 * size_t{config_.tolerated} + 1; }

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
  const VoteConfig& config() const { return config_; }

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
  bool decide(Slot& slot);
  std::vector<Seq> decide_all();
  bool is_parent(const NodeId& id) const;
  void name(const NodeId& voter, Seq seq);

  VoteConfig config_;
  std::vector<NodeId> parents_;  // ascending
  std::vector<Slot> slots_;
  Seq floor_ = 0;
  std::vector<Liar> liars_;
  VoteCounters counters_;
};

}  // namespace chaincast::vote
