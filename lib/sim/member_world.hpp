// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "graph/member.hpp"
#include "join/join.hpp"
#include "sim/adversary.hpp"
#include "sim/fake_crypto.hpp"
#include "sim/latency.hpp"

// Many members in one process, in virtual time: the machines of graph/ and join/ as the daemon
// drives them, over sessions that deliver in order (docs/membership.md, "Simulator"). The same
// configuration and calls give the same run. One thread.
//
// Messages are handed over as objects, so that nodes share facts; `check_messages` encodes, decodes
// and compares every one of them instead, slowly. Those of malicious nodes always go through bytes.
namespace chaincast::sim {

struct MemberWorldConfig {
  uint64_t seed = 1;
  graph::MemberConfig member;
  join::JoinConfig join;
  unsigned session_round_trips = 2;  // TCP and TLS 1.3, before the first message between two nodes
  unsigned overhead_bytes = 62;      // TCP, IPv4 and TLS around each message
  bool check_messages = false;
};

using Index = uint32_t;

// A node to come: where it is, and what it subscribes to.
struct Arrival {
  uint32_t place = 0;
  std::optional<wire::ResourceId> resource;  // none: a supernode
  bool is_host = false;
  bool is_private = false;
  std::set<NodeId> guests;
};

struct Traffic {
  uint64_t messages = 0, bytes = 0;
};

class MemberWorld {
 public:
  MemberWorld(const MemberWorldConfig& config, Latencies latencies);
  ~MemberWorld();

  // Adds a node that does not run yet.
  Index add(const Arrival& arrival);
  // Trackers are the addresses of these nodes. A node that ran before remembers its link partners.
  void start(Index node, const std::vector<Index>& trackers);
  void crash(Index node);  // without a word
  void leave(Index node);
  // From now on, and after a crash as well.
  void set_malice(Index node, Malice malice);
  std::optional<Malice> malice(Index node) const { return nodes_[node].malice; }
  bool is_honest(Index node) const { return !nodes_[node].malice; }
  // Messages of malicious nodes that did not decode.
  uint64_t refused_messages() const { return refused_messages_; }
  // Nodes of different sides do not reach each other; all are of side 0 at first.
  void set_side(Index node, unsigned side) { nodes_[node].side = side; }
  // Runs until then. Events of one instant happen in order of their making.
  void run_until(TimeNs until_ns);
  void run_for(TimeNs ns) { run_until(now_ns_ + ns); }
  // Looks every `step_ns`; false if it did not come true within `within_ns`.
  bool run_until_true(const std::function<bool()>& condition, TimeNs within_ns, TimeNs step_ns);

  TimeNs now_ns() const { return now_ns_; }
  Index size() const { return static_cast<Index>(nodes_.size()); }
  bool is_running(Index node) const { return nodes_[node].member != nullptr; }
  std::vector<Index> running() const;
  graph::Member& member(Index node) { return *nodes_[node].member; }
  const graph::Member& member(Index node) const { return *nodes_[node].member; }
  const join::Join& join(Index node) const { return *nodes_[node].join; }
  TimeNs started_ns(Index node) const { return nodes_[node].started_ns; }
  uint32_t place(Index node) const { return nodes_[node].arrival.place; }
  const Arrival& arrival(Index node) const { return nodes_[node].arrival; }
  unsigned side(Index node) const { return nodes_[node].side; }
  const Traffic& sent(Index node) const { return nodes_[node].sent; }
  // From here on, so that a phase can be looked at for itself.
  void clear_traffic();
  NodeId id(Index node) const { return nodes_[node].id; }
  // Of a node of this world; size() for others.
  Index index(const NodeId& id) const;
  const Latencies& latencies() const { return latencies_; }
  graph::Store& store() { return store_; }
  graph::Analyst& analyst() { return analyst_; }
  uint64_t events() const { return events_; }
  // Hash over every delivery so far: equal runs have equal prints.
  uint64_t print() const { return print_; }
  Random& random() { return random_; }
  const graph::Authority& authority() const { return authority_; }

 private:
  struct Open final : graph::Admission {
    bool admits(const PublicKey&) const override { return true; }
  };
  struct Node {
    Arrival arrival;
    NodeId id;
    std::unique_ptr<crypto::Signer> signer;
    std::unique_ptr<graph::Member> member;
    std::unique_ptr<join::Join> join;
    std::optional<Malice> malice;
    std::unique_ptr<Adversary> adversary;  // while it runs
    unsigned side = 0;
    uint64_t counter = 0;  // persisted: above any used
    TimeNs started_ns = 0;
    TimeNs timer_ns = time_never;  // the earliest that is in the queue
    std::vector<graph::Contact> remembered;
    Traffic sent;
  };
  struct Event {
    TimeNs at_ns = 0;
    uint64_t serial = 0;
    Index to = 0;
    Index from = 0;
    graph::MessagePtr message;  // none: a timer
    size_t bytes = 0;
  };
  static bool later(const Event& a, const Event& b) {
    return std::pair(a.at_ns, a.serial) > std::pair(b.at_ns, b.serial);
  }
  struct Session {
    TimeNs made_ns = 0, ready_ns = 0;
  };

  Endpoint address(Index node) const;
  void handle(const Event& event);
  void deliver(Node& node, const Event& event, graph::Output& out);
  void settle(Index node, graph::Output& out);
  void schedule(Index node);
  void enqueue(Event event);
  TimeNs ready_ns(Index from, Index to);
  // Null: the receiver refuses it.
  graph::MessagePtr through_bytes(const graph::Message& message, const Node& receiver);
  void make_adversary(Node& node);
  void remember(Node& node);

  const MemberWorldConfig config_;
  const Latencies latencies_;
  std::unique_ptr<crypto::Toolbox> toolbox_;
  Open admission_;
  graph::Authority authority_;
  Random random_;
  graph::Store store_;
  graph::Analyst analyst_;
  Accomplices accomplices_;
  std::vector<Node> nodes_;
  std::unordered_map<NodeId, Index> index_;
  std::unordered_map<uint64_t, Session> sessions_;
  std::vector<Event> queue_;  // heap, earliest first
  TimeNs now_ns_ = ns_per_s;
  uint64_t serial_ = 0, events_ = 0, print_ = 0, refused_messages_ = 0;
};

}  // namespace chaincast::sim
