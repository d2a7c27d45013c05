// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/member.hpp"
#include "identity/identity.hpp"
#include "join/handover.hpp"
#include "join/join.hpp"
#include "node/ballots.hpp"
#include "node/config.hpp"
#include "node/crossing.hpp"
#include "session/session.hpp"

// A node's place in its network (docs/membership.md, "In the daemon"): drives graph::Member and
// join::Join over sessions, has the node open a data link to each link partner that is in one of
// its subnetworks, and hands stream secrets to those, or takes them. Control thread.
namespace chaincast::node {

// What membership asks of its node.
struct MembershipHooks {
  // A link to whichever of these endpoints a port of this node reaches.
  std::function<Status(const std::string& name, const NodeId& node,
                       const std::vector<Endpoint>& endpoints, const Secret& secret,
                       const std::optional<hop::Paths>& paths)>
      open_link;
  // Of a link that was opened with some.
  std::function<void(const std::string& name, const hop::Paths& paths)> set_paths;
  std::function<bool(const std::string& name)> is_up;
  std::function<void(const Endpoint& to, const Bytes& datagram)> probe;  // from the data port
  std::function<void(const std::string& name)> close_link;
  std::function<Status(const std::string& stream, const identity::SecretFile& secret)> take_secret;
  std::function<void(LogLevel level, const std::string& text)> log;
};

struct MembershipCounters {
  uint64_t malformed = 0;  // messages that do not parse; their session is closed
  uint64_t not_taken = 0;  // messages that no session took (queue full, address failed lately)
  uint64_t grants_sent = 0, grants_taken = 0;
  uint64_t grants_refused = 0;  // not asked for, or of one that is not in that subnetwork
  uint64_t links_failed = 0;    // data links that no port could make
};

// The data link to a link partner, or why there is none.
struct DataLink {
  std::string name;  // of the peer in `show peers`
  bool is_open = false;
  std::string problem;
  Secret secret{};
  TimeNs tried_ns = 0;
  bool is_crossed = false;             // one of the two is behind a NAT
  TimeNs up_ns = 0;                    // crossed: when it was last seen to be up, or was opened
  std::set<wire::ResourceId> granted;  // told the secret over the present session
};

// First 16 bytes of SHA-256 of a stream's name.
wire::ResourceId resource_id(const crypto::Toolbox& toolbox, const std::string& stream);

// "joined", "asking the trackers", ...
const char* to_text(join::State state);

class Membership final : public session::Listener, public Kinship {
 public:
  // `network`: as the node's streams have it. The referenced objects outlive this.
  Membership(const MembershipConfig& config, const Digest& network,
             const identity::Identity& identity, const crypto::Toolbox& toolbox,
             MembershipHooks hooks);
  ~Membership() override;

  // What its transport asks about keys, and tells other ends about this node's data plane.
  session::Config session_config(const std::vector<Endpoint>& data);
  // Before start().
  void attach(std::unique_ptr<session::Sessions> sessions);
  void attach(std::unique_ptr<punch::Sockets> relay) { crossing_.attach(std::move(relay)); }
  void start(TimeNs now_ns);
  void tick(TimeNs now_ns);
  TimeNs next_timer_ns() const;
  // Says goodbye. What the sessions have queued still has to leave: until is_quiet().
  void leave(TimeNs now_ns);
  bool is_quiet() const;

  // Streams are subnetworks. Before or after start().
  void add_stream(const StreamConfig& stream, TimeNs now_ns);
  void remove_stream(const std::string& name, TimeNs now_ns);

  session::Sessions& sessions() { return *sessions_; }
  void set_degree(unsigned links, TimeNs now_ns) { member_->set_degree(links, now_ns); }
  const graph::Member& member() const { return *member_; }
  const join::Join& join() const { return *join_; }
  graph::Analyst& analyst() { return analyst_; }
  const std::map<NodeId, DataLink>& data_links() const { return data_links_; }
  const MembershipCounters& counters() const { return counters_; }
  const Digest& network() const { return authority_.network; }
  // Whether a peer may have a stream: not, where it is a link of the network's to one that is no
  // guest. Peers of the configuration are the operator's choice.
  bool lets_in(const std::string& peer, const NodeId& node, const std::string& stream) const;
  Digest graph_digest() const override;
  bool is_live(const NodeId& node) const override;
  std::optional<Kin> kin(const NodeId& origin, const std::string& stream) const override;
  // The stream of that subnetwork, where this node knows its name.
  std::string stream_of(const wire::ResourceId& resource) const;
  wire::ResourceId id_of(const std::string& stream) const;

  void on_open(const session::Remote& remote, TimeNs now_ns) override;
  void on_message(const session::Remote& from, ByteSpan message, TimeNs now_ns) override;
  void on_closed(const session::Remote& remote, const std::string& why, TimeNs now_ns) override;
  void on_failed(const Endpoint& address, const std::string& why, TimeNs now_ns) override;
  void on_carry(uint64_t channel, ByteSpan bytes, TimeNs now_ns) override;
  void on_carry_taken(uint64_t channel, uint32_t bytes, TimeNs now_ns) override;
  void on_carry_end(uint64_t channel, TimeNs now_ns) override;
  // A probe that came to the data port.
  void on_probe(const Endpoint& from, ByteSpan datagram, TimeNs now_ns);
  Crossing& crossing() { return crossing_; }
  const Crossing& crossing() const { return crossing_; }

 private:
  struct Admitted final : graph::Admission {
    explicit Admitted(const std::optional<identity::Genesis>& in) : genesis(in) {}
    bool admits(const PublicKey& key) const override { return !genesis || genesis->admits(key); }
    const std::optional<identity::Genesis>& genesis;
  };
  struct Stream {
    std::string name;
    bool is_host = false;
    std::optional<identity::SecretFile> secret;
    std::set<NodeId> guests;
    bool lets_in(const NodeId& node) const { return guests.empty() || guests.contains(node); }
  };

  graph::Self self(TimeNs now_ns) const;
  std::vector<wire::Subscription> subscriptions() const;
  std::map<wire::ResourceId, std::set<NodeId>> guests() const;
  void send_all(graph::Output& out, TimeNs now_ns);
  void follow_state();
  void reconcile(TimeNs now_ns);
  void open(const NodeId& peer, DataLink& link, const session::Remote& remote, const Secret& secret,
            TimeNs now_ns);
  void follow_paths(const NodeId& peer, DataLink& link, TimeNs now_ns);
  void close(DataLink& link);
  CrossingHooks crossing_hooks();
  void grant(const NodeId& peer, DataLink& link, TimeNs now_ns);
  void on_grant(const session::Remote& from, ByteSpan message, TimeNs now_ns);
  bool is_in(const NodeId& node, const wire::ResourceId& resource) const;
  bool shares_stream(const NodeId& node) const;
  void save(TimeNs now_ns);

  const MembershipConfig config_;
  const identity::Identity& identity_;
  const crypto::Toolbox& toolbox_;
  const MembershipHooks hooks_;
  Admitted admitted_;
  graph::Authority authority_;
  graph::Store store_;
  graph::Analyst analyst_;
  std::unique_ptr<session::Sessions> sessions_;
  Crossing crossing_;
  std::unique_ptr<graph::Member> member_;
  std::unique_ptr<join::Join> join_;
  std::map<wire::ResourceId, Stream> streams_;
  std::map<NodeId, session::Remote> remotes_;  // with an open session
  std::map<NodeId, DataLink> data_links_;
  bool has_left_ = false;
  join::State logged_ = join::State::idle;
  std::set<std::string> told_;  // why trackers failed, until this node is in
  TimeNs last_ns_ = 0;          // when something last happened
  TimeNs started_ns_ = 0, reconcile_ns_ = 0, save_ns_ = time_never;
  MembershipCounters counters_;
};

}  // namespace chaincast::node
