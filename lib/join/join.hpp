// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "graph/member.hpp"

// How a node comes in (docs/membership.md, "Joining"). Redirection: every tracker is asked whom to
// join. Inside: the nearest contact of the subnetwork becomes a link partner. Outside: a few others
// send the whole graph. A former member asks those that it remembers at once: one round trip. A
// pure machine beside a graph::Member; owner: the control thread. Memory: what trackers answered.
namespace chaincast::join {

struct JoinConfig {
  TimeNs answer_wait_ns = ns_per_s;  // for the last tracker, once one has answered
  TimeNs retry_ns = 3 * ns_per_s;    // with nobody answering; doubles up to retry_max_ns
  TimeNs retry_max_ns = 60 * ns_per_s;
  unsigned inside_wanted = 2;   // links asked for while joining; the member adds the rest
  unsigned outside_wanted = 3;  // whole graphs asked for
  unsigned trackers_max = 16;
};

enum class State : uint8_t {
  idle,
  redirecting,  // asking trackers, or those remembered
  entering,     // asking peers
  joined,       // linked inside the subnetwork, or in the graph where there is none
  refused,      // a private subnetwork does not admit this node
};

struct JoinCounters {
  uint64_t redirects_asked = 0, redirects = 0, graphs_asked = 0, graphs = 0, refusals = 0,
           retries = 0;
  uint64_t conflicts = 0;  // nodes of which two graphs held different records under one counter
};

// The contacts of several answers: first those that a majority names, most named first; the rest
// fills up, in the same order. At most graph::contacts_max. So one lying tracker in three chooses
// nothing while the others name enough.
std::vector<graph::Contact> choose_contacts(std::span<const std::vector<graph::Contact>> answers,
                                            Random& random);

// One view out of several graphs: the union of their facts; of two records of one node under one
// counter, the one that more of them hold.
graph::View most_voted(graph::Store& store, std::span<const graph::PartRef> graphs,
                       uint64_t& conflicts);

class Join {
 public:
  // `resource`: the subnetwork to enter; none for a supernode. The member outlives this.
  Join(const JoinConfig& config, graph::Member& member,
       const std::optional<wire::ResourceId>& resource, uint64_t seed);

  // The member is started. Without trackers and anyone remembered, the node is the first: joined.
  void start(std::vector<Endpoint> trackers, std::vector<graph::Contact> remembered, TimeNs now_ns,
             graph::Output& out);
  // True if the message was an answer to this machine; else it is the member's.
  bool on_message(const graph::Peer& from, const graph::Message& message, TimeNs now_ns,
                  graph::Output& out);
  // After the member has had a message: whether that made the link that was waited for.
  void look(TimeNs now_ns);
  void tick(TimeNs now_ns, graph::Output& out);
  TimeNs next_timer_ns() const { return state_ == State::idle ? time_never : timer_ns_; }

  State state() const { return state_; }
  TimeNs joined_ns() const { return joined_ns_; }
  // Whether a graph from outside has been taken over, and whom the last ones were asked of.
  bool has_graph() const { return has_graph_; }
  const std::vector<NodeId>& outside() const { return outside_; }
  const JoinCounters& counters() const { return counters_; }

 private:
  void ask_trackers(TimeNs now_ns, graph::Output& out);
  void enter(std::vector<graph::Contact> inside, std::vector<graph::Contact> outside, TimeNs now_ns,
             graph::Output& out);
  void attach(const graph::Contact& contact, TimeNs now_ns, graph::Output& out);
  bool on_redirect(const graph::Peer& from, const graph::Redirect& redirect, TimeNs now_ns,
                   graph::Output& out);
  bool on_probe(const graph::Peer& from, const graph::Pong& pong, TimeNs now_ns,
                graph::Output& out);
  bool on_graph(const graph::Peer& from, const graph::Graph& graph, TimeNs now_ns);
  void on_refused(const graph::Peer& from, const graph::Refused& refused, TimeNs now_ns,
                  graph::Output& out);
  void end_redirection(TimeNs now_ns, graph::Output& out);
  void adopt(TimeNs now_ns);
  void set_joined(TimeNs now_ns);

  const JoinConfig config_;
  graph::Member& member_;
  std::optional<wire::ResourceId> resource_;
  Random random_;
  State state_ = State::idle;
  std::vector<Endpoint> trackers_;
  std::vector<std::pair<graph::Peer, graph::Redirect>> answers_;
  std::vector<graph::Contact> inside_;    // to be probed
  std::vector<graph::Contact> answered_;  // were, and are not asked yet; nearest first
  std::vector<NodeId> attached_to_;       // asked for a link inside
  std::vector<NodeId> refused_by_;        // since the trackers were asked; not asked again
  std::vector<NodeId> graphs_asked_;      // and have not answered
  std::vector<NodeId> outside_;           // were asked
  std::vector<graph::PartRef> graphs_;
  TimeNs probed_ns_ = 0, timer_ns_ = time_never, joined_ns_ = 0, retry_ns_ = 0;
  bool has_graph_ = false;
  unsigned not_admitted_ = 0;
  JoinCounters counters_;
};

}  // namespace chaincast::join
