// SPDX-License-Identifier: BSD-3-Clause
#include "node/ballots.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace chaincast::node {

namespace {

constexpr size_t marks_per_turn_max = 1024;
constexpr TimeNs follow_interval_ns = 500 * ns_per_ms;

bool has(const std::vector<NodeId>& ids, const NodeId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Ballots::Ballots(const vote::Rule& rule, stream::Stream& stream, const NodeId& origin)
    : stream_(stream),
      origin_(origin),
      window_(std::min(stream.window->size(), window_max)),
      votes_({.rule = rule, .window = window_}) {
  CC_ASSERT(stream.origin_marks != nullptr);
  if (stream.is_own) stream.origin_marks->set_peer(stream::OriginMarks::own);
}

// ---- frames ---------------------------------------------------------------------------------

bool Ballots::on_frame(Seq seq, const Digest& digest, uint64_t tag48) {
  if (stream_.origin_marks->has(seq, tag48)) votes_.on_origin_link(seq, digest);
  if (votes_.accepted(seq) == digest) {
    vouch(seq, digest);
    return true;
  }
  if (waiting_.size() >= frames_max) waiting_.pop_front();
  waiting_.push_back({seq, tag48, digest});
  return false;
}

// A vote that was cast stands, even if it erred: a second one would be a lie.
void Ballots::on_final(Seq seq, const Digest& digest) {
  const bool was_accepted = votes_.accepted(seq).has_value();
  const vote::Outcome outcome = votes_.on_signed(seq, digest);
  if (!was_accepted && outcome == vote::Outcome::accepted) vouch(seq, digest);
}

void Ballots::look_at_marks() {
  const Seq done = receiver_->status().accepted_next;
  while (!waiting_.empty() && waiting_.front().seq < done) waiting_.pop_front();
  if (!has_origin_link()) return;
  size_t looks = 0;
  for (const Waiting& frame : waiting_) {
    if (++looks > marks_per_turn_max) return;
    if (!stream_.origin_marks->has(frame.seq, frame.tag48)) continue;
    if (votes_.on_origin_link(frame.seq, frame.digest) == vote::Outcome::accepted) {
      accept(frame.seq);
    }
  }
}

// The frame may not be here yet: on_frame() comes back to it then.
void Ballots::accept(Seq seq) {
  const std::optional<Digest> digest = votes_.accepted(seq);
  if (digest && receiver_->accept(seq, *digest)) vouch(seq, *digest);
}

// ---- votes ----------------------------------------------------------------------------------

void Ballots::on_votes(uint32_t peer, const wire::Votes& message) {
  const auto from =
      std::find_if(neighbours_.begin(), neighbours_.end(),
                   [peer](const Neighbour& neighbour) { return neighbour.peer == peer; });
  if (from == neighbours_.end()) return;
  for (size_t i = 0; i < message.digests.size(); ++i) {
    const Seq seq = message.first_seq + i;
    if (votes_.on_vote(from->node, seq, message.digests[i]) == vote::Outcome::accepted) {
      accept(seq);
    }
  }
}

void Ballots::vouch(Seq seq, const Digest& digest) {
  if (stream_.is_own || children_.empty() || to_cast_.size() >= frames_max) return;
  to_cast_.push_back({seq, digest});
}

void Ballots::cast(const Send& send) {
  std::sort(to_cast_.begin(), to_cast_.end(),
            [](const Vote& a, const Vote& b) { return a.seq < b.seq; });
  catch_up(send);
  send_runs(to_cast_, children_, send);
  to_cast_.clear();
  // Half a window stays open behind what is decided, so that late lies are seen.
  const stream::ReceiverStatus& status = receiver_->status();
  const Seq decided = std::min(status.final_next, status.accepted_next);
  if (decided > window_ / 2) votes_.advance(decided - window_ / 2);
}

// Links come and go while frames are under way: a child that came late would wait for the
// signature. What is final is left out, because the signature may have overruled a vote that
// stands.
void Ballots::catch_up(const Send& send) {
  if (new_children_.empty()) return;
  const stream::ReceiverStatus& status = receiver_->status();
  const Seq end = std::max(status.accepted_next, status.highest_seen + 1);
  const Seq first = std::max(status.final_next, end - std::min(end, caught_up_max));
  std::vector<Vote> votes;
  for (Seq seq = first; seq < end; ++seq) {
    const std::optional<Digest> digest = votes_.accepted(seq);
    const auto is_below = [](const Vote& vote, Seq at) { return vote.seq < at; };
    const auto due = std::lower_bound(to_cast_.begin(), to_cast_.end(), seq, is_below);
    if (due != to_cast_.end() && due->seq == seq) continue;  // all children are told of it now
    if (digest && receiver_->accept(seq, *digest)) votes.push_back({seq, *digest});
  }
  send_runs(votes, new_children_, send);
  new_children_.clear();
}

// `votes`: ascending.
void Ballots::send_runs(const std::vector<Vote>& votes, const std::vector<uint32_t>& peers,
                        const Send& send) {
  std::vector<Vote> run;
  for (const Vote& vote : votes) {
    const bool follows = !run.empty() && run.back().seq + 1 == vote.seq;
    if (!run.empty() && (!follows || run.size() == wire::votes_max)) {
      send_run(run, peers, send);
      run.clear();
    }
    run.push_back(vote);
  }
  if (!run.empty()) send_run(run, peers, send);
}

void Ballots::send_run(const std::vector<Vote>& run, const std::vector<uint32_t>& peers,
                       const Send& send) {
  wire::Votes message;
  message.stream = stream_.id;
  message.first_seq = run.front().seq;
  for (const Vote& vote : run) message.digests.push_back(vote.digest);
  for (const uint32_t child : peers) {
    (send(child, message) ? counters_.votes_sent : counters_.votes_not_sent) += run.size();
  }
}

// ---- neighbours -----------------------------------------------------------------------------

void Ballots::set_rule(const vote::Rule& rule) {
  for (const Seq seq : votes_.set_rule(rule)) accept(seq);
}

void Ballots::set_neighbours(std::vector<Neighbour> neighbours) {
  neighbours_ = std::move(neighbours);
  assign_parts();
}

void Ballots::follow(const Kinship* kinship, const std::string& stream, TimeNs now_ns) {
  if (kinship == nullptr || now_ns < follow_ns_) return;
  follow_ns_ = now_ns + follow_interval_ns;
  const Digest digest = kinship->graph_digest();
  if (has_graph_ && digest == graph_digest_) return;
  has_graph_ = true;
  graph_digest_ = digest;
  kin_ = kinship->kin(origin_, stream);
  assign_parts();
}

// The origin itself casts no votes: its link is its word.
void Ballots::assign_parts() {
  const std::vector<uint32_t> before = std::move(children_);
  children_.clear();
  std::vector<NodeId> parents;
  bool is_linked = false;
  for (const Neighbour& neighbour : neighbours_) {
    if (neighbour.node == origin_) {
      if (!neighbour.is_checked || stream_.is_own) continue;
      stream_.origin_marks->set_peer(neighbour.peer);
      is_linked = true;
    } else if (kin_ && has(kin_->parents, neighbour.node)) {
      parents.push_back(neighbour.node);
    } else if (kin_ && has(kin_->children, neighbour.node)) {
      children_.push_back(neighbour.peer);
      const bool is_known = std::find(before.begin(), before.end(), neighbour.peer) != before.end();
      if (!is_known && !stream_.is_own) new_children_.push_back(neighbour.peer);
    }
  }
  std::erase_if(new_children_, [this](uint32_t peer) {
    return std::find(children_.begin(), children_.end(), peer) == children_.end();
  });
  if (!is_linked && !stream_.is_own) stream_.origin_marks->set_nobody();
  for (const Seq seq : votes_.set_parents(std::move(parents))) accept(seq);
}

std::string Ballots::shortcoming() const {
  if (stream_.is_own || votes_.is_sufficient()) return "";
  const size_t parents = votes_.parents();
  const size_t wanted = votes_.parents_wanted();
  if (!has_graph_) return "no network whose graph names parents";
  if (!kin_) return "the graph has no path from the origin";
  const vote::Rule& rule = votes_.rule();
  const bool is_count = parents <= 2 * size_t{rule.tolerated};
  return fmt::format("{} parent{} besides the origin; {} wanted so that {} may lie", parents,
                     parents == 1 ? "" : "s", wanted,
                     is_count ? fmt::format("{}", rule.tolerated)
                              : fmt::format("{} % of the members", rule.malicious));
}

// ---- liars ----------------------------------------------------------------------------------

bool FalseVoters::add(const std::string& stream, const vote::Liar& liar) {
  const auto known = std::find_if(all_.begin(), all_.end(), [&](const FalseVoter& voter) {
    return voter.node == liar.voter && voter.stream == stream;
  });
  if (known != all_.end()) {
    ++known->votes;
    return false;
  }
  if (all_.size() >= false_voters_max) return false;
  all_.push_back({liar.voter, stream, liar.seq, 1});
  return true;
}

}  // namespace chaincast::node
