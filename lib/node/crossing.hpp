// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "graph/member.hpp"
#include "hop/links.hpp"
#include "node/config.hpp"
#include "punch/carriage.hpp"
#include "punch/prober.hpp"
#include "punch/relay.hpp"
#include "session/session.hpp"

// A node's part in getting across NATs (docs/membership.md, "Behind a NAT"): drives the machines of
// lib/punch over its sessions and its data port. Every node has one, since its partners may be
// behind one. Control thread.
namespace chaincast::node {

struct CrossingHooks {
  std::function<void(const Endpoint& to, const Bytes& datagram)> probe;  // from the data port
  std::function<const graph::Member*()> member;                          // null before the start
  std::function<void(std::vector<Endpoint>)> set_addresses;
  std::function<void()> changed;  // what is known of paths
  std::function<void(LogLevel level, const std::string& text)> log;
};

struct CrossingCounters {
  uint64_t refused = 0;      // messages that nobody asked for, or of a node that may not send them
  uint64_t not_sent = 0;     // that no session took
  uint64_t backing_off = 0;  // sessions not begun: the last one to that node failed a moment ago
};

class Crossing {
 public:
  Crossing(const MembershipConfig& config, const NodeId& own, const crypto::Toolbox& toolbox,
           CrossingHooks hooks);

  void attach(session::Sessions& sessions) { sessions_ = &sessions; }
  // Sockets of the configured relay.
  void attach(std::unique_ptr<punch::Sockets> sockets);
  void set_own(std::vector<Endpoint> data) { own_data_ = std::move(data); }
  void tick(TimeNs now_ns);
  TimeNs next_timer_ns() const;

  // Where a node behind a NAT is reached: at those who have offered to pass on, or all who might.
  std::vector<Endpoint> addresses() const;
  // A message for a node that may be where only a third one reaches it.
  bool send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns);

  // ---- what Membership hears of sessions ----
  void on_open(const session::Remote& remote, TimeNs now_ns);
  void on_closed(const session::Remote& remote, TimeNs now_ns);
  Status on_message(const session::Remote& from, ByteSpan message, TimeNs now_ns);
  void on_carry(uint64_t handle, ByteSpan bytes, TimeNs now_ns);
  void on_carry_taken(uint64_t handle, uint32_t bytes, TimeNs now_ns);
  void on_carry_end(uint64_t handle, TimeNs now_ns);
  void on_probe(const Endpoint& from, ByteSpan datagram, TimeNs now_ns);

  // ---- data links ----
  // Whether this node or that one is behind a NAT, so that the link between them needs paths.
  bool is_crossed(const NodeId& peer) const;
  // What there is to try now; none while this node's or the peer's addresses are not known yet.
  std::optional<hop::Paths> paths_to(const NodeId& peer, const std::vector<Endpoint>& card,
                                     TimeNs now_ns);
  // The link has been down for a while: addresses are asked for again, and a relay for help.
  void help(const NodeId& peer, bool wants_relay, TimeNs now_ns);
  void forget(const NodeId& peer);

  // ---- for display ----
  bool is_behind_nat() const { return config_.is_behind_nat; }
  const punch::Prober& prober() const { return prober_; }
  const punch::Relay* relay() const { return relay_.get(); }
  const punch::Carriage& carriage() const { return carriage_; }
  const CrossingCounters& counters() const { return counters_; }
  size_t channels() const { return channels_.size(); }
  // The node that forwards for the link with this one.
  std::optional<NodeId> relay_of(const NodeId& peer) const;
  punch::Sockets* sockets() { return sockets_.get(); }

 private:
  struct Offering {  // a node that passes on what is for this one
    Endpoint address;
    std::vector<Endpoint> vantages;
  };
  struct Channel {
    NodeId peer;
    uint32_t number = 0;
    Endpoint via;
    bool is_mine = false;
  };
  struct Granted {
    NodeId relay;
    Endpoint address;
  };
  struct Asked {
    TimeNs addresses_ns = 0, relay_ns = 0;
  };

  void register_again(TimeNs now_ns);
  void take(const session::Remote& from, const punch::Register&, TimeNs now_ns);
  void take(const session::Remote& from, const punch::Offer& offer, TimeNs now_ns);
  void take(const session::Remote& from, const punch::Candidates& candidates, TimeNs now_ns);
  void take(const session::Remote& from, const punch::Carry& carry, TimeNs now_ns);
  void take(const session::Remote& from, const punch::RelayRequest& request, TimeNs now_ns);
  void take(const session::Remote& from, const punch::RelayGrant& grant, TimeNs now_ns);
  void take_carried(const session::Remote& from, const punch::Carry& carry, TimeNs now_ns);
  void pass_on(punch::Carriage::Sends sends, TimeNs now_ns);
  bool say(const NodeId& to, const punch::Message& message, TimeNs now_ns);
  void say_to(const Endpoint& via, const punch::Message& message, TimeNs now_ns);
  std::optional<Endpoint> carrier_of(const NodeId& id, const Endpoint& address) const;
  bool begin_carried(const NodeId& id, const Endpoint& address, TimeNs now_ns);
  bool is_node_behind_nat(const NodeId& id) const;
  std::optional<Secret> probe_key(const NodeId& node) const;
  void tell_candidates(const NodeId& peer, TimeNs now_ns);
  void send_probes(punch::Prober::Datagrams& datagrams);

  const MembershipConfig& config_;
  const NodeId own_;
  const crypto::Toolbox& toolbox_;
  const CrossingHooks hooks_;
  session::Sessions* sessions_ = nullptr;
  std::vector<Endpoint> own_data_;
  std::map<NodeId, session::Remote> remotes_;  // with an open session
  // As a node behind a NAT, or its partner.
  std::map<NodeId, Offering> offers_;
  std::map<uint64_t, Channel> channels_;
  uint64_t next_handle_ = 1;
  std::map<NodeId, TimeNs> held_until_ns_;
  punch::Prober prober_;
  std::map<NodeId, punch::Candidates> theirs_, told_;
  std::map<NodeId, Granted> granted_;
  std::map<NodeId, Asked> asked_;
  TimeNs register_ns_ = time_never;
  // As a node that helps those.
  punch::Carriage carriage_;
  std::unique_ptr<punch::Sockets> sockets_;
  std::unique_ptr<punch::Relay> relay_;
  TimeNs relay_tick_ns_ = time_never;
  CrossingCounters counters_;
};

}  // namespace chaincast::node
