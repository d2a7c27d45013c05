// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stream/receiver.hpp"
#include "stream/stream.hpp"
#include "vote/vote.hpp"
#include "wire/control.hpp"

// Votes on the frames of one stream that is delivered at `accepted` (docs/membership.md, "Votes"):
// between the stream's Receiver, which asks which frames are accepted, vote::Votes, which decides,
// the marks that workers leave on frames of the origin's own link, and the neighbours. Control
// thread. Memory: that of vote::Votes for at most window_max seqs; frames_max frames that wait, and
// as many votes to be cast.
namespace chaincast::node {

// Where this node stands in a stream's subnetwork, by the graph.
struct Kin {
  std::vector<NodeId> parents;   // neighbours nearer to the origin
  std::vector<NodeId> children;  // the others
};

// What the graph knows of that; node::Membership.
class Kinship {
 public:
  virtual ~Kinship() = default;
  // Changes whenever the graph does.
  virtual Digest graph_digest() const = 0;
  // Whether the graph has this node among those that run.
  virtual bool is_live(const NodeId& node) const = 0;
  // Nothing where the graph has no path from the origin to this node inside the subnetwork. O(its
  // nodes and links).
  virtual std::optional<Kin> kin(const NodeId& origin, const std::string& stream) const = 0;
};

// Someone that was caught vouching for a frame which the origin did not send, or for two.
struct FalseVoter {
  NodeId node;
  std::string stream;
  Seq seq = 0;  // the first one
  uint64_t votes = 0;
};
inline constexpr size_t false_voters_max = 256;

struct BallotCounters {
  uint64_t votes_sent = 0;      // digests, over all children
  uint64_t votes_not_sent = 0;  // a link took no more
};

class Ballots final : public stream::Judge {
 public:
  static constexpr size_t window_max = 16'384;
  static constexpr size_t frames_max = 16'384;
  // Of what was accepted last and is not final yet, a new child is told so many frames.
  static constexpr Seq caught_up_max = 1024;

  // A neighbour whose link is up and that knows the stream.
  struct Neighbour {
    uint32_t peer = 0;
    NodeId node;
    bool is_checked = false;  // every datagram is; else anyone may speak in its name
  };
  using Send = std::function<bool(uint32_t peer, const wire::Votes& votes)>;

  // `stream` has OriginMarks and outlives this.
  Ballots(const vote::Rule& rule, stream::Stream& stream, const NodeId& origin);
  // Before anything else; the receiver has this as its judge.
  void attach(stream::Receiver& receiver) { receiver_ = &receiver; }

  bool on_frame(Seq seq, const Digest& digest, uint64_t tag48) override;
  void on_final(Seq seq, const Digest& digest) override;
  void on_votes(uint32_t peer, const wire::Votes& votes);

  // Before the receiver's poll: frames that came over the origin's link after another way.
  void look_at_marks();
  // After it: casts what was accepted, moves the window.
  void cast(const Send& send);

  void set_rule(const vote::Rule& rule);
  void set_neighbours(std::vector<Neighbour> neighbours);
  // Looks at the graph anew if it has changed, at most every 500 ms; null: there is none.
  void follow(const Kinship* kinship, const std::string& stream, TimeNs now_ns);

  const vote::Votes& votes() const { return votes_; }
  const BallotCounters& counters() const { return counters_; }
  bool has_origin_link() const { return stream_.origin_marks->has_peer(); }
  size_t children() const { return children_.size(); }
  // Why frames that come over other links wait for the origin's signature; empty where votes
  // decide.
  std::string shortcoming() const;
  std::vector<vote::Liar> take_liars() { return votes_.take_liars(); }

 private:
  struct Waiting {
    Seq seq = 0;
    uint64_t tag48 = 0;
    Digest digest{};
  };
  struct Vote {
    Seq seq = 0;
    Digest digest{};
  };

  void assign_parts();
  void accept(Seq seq);
  void vouch(Seq seq, const Digest& digest);
  void catch_up(const Send& send);
  void send_runs(const std::vector<Vote>& votes, const std::vector<uint32_t>& peers,
                 const Send& send);
  void send_run(const std::vector<Vote>& run, const std::vector<uint32_t>& peers, const Send& send);

  stream::Stream& stream_;
  const NodeId origin_;
  const size_t window_;
  stream::Receiver* receiver_ = nullptr;
  vote::Votes votes_;
  std::vector<Neighbour> neighbours_;
  std::vector<uint32_t> children_;      // peers
  std::vector<uint32_t> new_children_;  // that have no votes of this node yet
  std::optional<Kin> kin_;
  bool has_graph_ = false;
  TimeNs follow_ns_ = 0;
  Digest graph_digest_{};
  std::deque<Waiting> waiting_;  // frames that came by other links than the origin's
  std::vector<Vote> to_cast_;
  BallotCounters counters_;
};

// Whom this node's streams caught, at most false_voters_max.
class FalseVoters {
 public:
  // True if this node was not named before.
  bool add(const std::string& stream, const vote::Liar& liar);
  const std::vector<FalseVoter>& all() const { return all_; }

 private:
  std::vector<FalseVoter> all_;
};

}  // namespace chaincast::node
