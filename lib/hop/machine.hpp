// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "hop/links.hpp"
#include "hop/mtu.hpp"
#include "hop/session.hpp"

// Insides of Links: state of one peer, and the machine whose parts stand in links.cpp (public face,
// timers), hello.cpp (handshake) and alive.cpp (sealed messages of an established link). Internal.
namespace chaincast::hop {

// An established link.
struct Live {
  explicit Live(Session keys) : session(std::move(keys)) {}

  Session session;
  bool is_initiator = false;  // we asked
  bool is_proven = false;     // something sealed under these keys was opened
  TimeNs heard_ns = 0;
  std::vector<uint32_t> rx_ids;  // ours; [0] lane 0

  Bytes confirm;  // initiator, until proven: sent again
  unsigned confirms_sent = 0;
  TimeNs next_confirm_ns = time_never;

  TimeNs next_keepalive_ns = 0;
  TimeNs next_report_ns = 0;
  std::array<uint64_t, 8> stamps{};  // keepalives not answered yet; 0: free
  unsigned next_stamp = 0;
  TimeNs rtt_deviation_ns = 0;
  wire::Report last_report;
  MtuSearch mtu;
};

struct Peer {
  uint32_t index = 0;
  uint64_t serial = 0;      // never reused: bound into cookies
  uint64_t generation = 0;  // sessions so far: a cookie is good for one session
  LinkConfig config;
  Secret hello_key{};
  LinkStatus status;
  std::unique_ptr<Live> live;

  bool is_asking = false;
  Nonce nonce{};  // of the ask under way
  TimeNs next_ask_ns = time_never;
  TimeNs last_ask_ns = 0;
  TimeNs backoff_ns = 0;
  std::vector<uint32_t> offered;  // link ids for the next session, the same in every answer
  TimeNs hello_budget_ns = 0;     // theoretical arrival time (GCRA)

  // With LinkConfig::paths.
  std::optional<Endpoint> heard_from;  // an ask, while ours goes first: asked as well
  TimeNs next_upgrade_ns = time_never;
  TimeNs next_search_ns = time_never;
  uint32_t search_first = 0;  // place of the first port in the order of the search
  uint32_t searched = 0;      // ports
};

struct Links::Impl {
  Impl(LinksConfig configuration, const crypto::Toolbox& tools, uint64_t seed);

  // links.cpp
  Peer& get(uint32_t index) const;
  Peer* find(uint32_t index) const;
  Peer* find(const Endpoint& from) const;
  Peer* find_sender(ByteSpan encoded_hello) const;
  TimeNs jittered(TimeNs about_ns);
  void set_state(Peer& peer, LinkState state, std::string detail, LinkOutput& out) const;
  void take_down(Peer& peer, const std::string& why, LinkOutput& out);
  void release(std::vector<uint32_t>& ids) const;
  void tick_peer(Peer& peer, TimeNs now_ns, LinkOutput& out);
  TimeNs next_timer_ns(const Peer& peer) const;

  // hello.cpp
  void start_asking(Peer& peer, TimeNs first_ns, TimeNs backoff_ns);
  void ask(Peer& peer, TimeNs now_ns, LinkOutput& out);
  void set_search(Peer& peer, TimeNs at_ns);
  void search(Peer& peer, TimeNs now_ns, LinkOutput& out);
  void receive_hello(const Endpoint& from, ByteSpan datagram, TimeNs now_ns, LinkOutput& out);
  bool admit_hello(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
                   LinkOutput& out);
  bool agree_version(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
                     LinkOutput& out);
  void on_ask(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
              LinkOutput& out);
  void on_answer(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
                 LinkOutput& out);
  void on_confirm(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
                  LinkOutput& out);
  void on_refuse(Peer& peer, const wire::Hello& hello, TimeNs now_ns, LinkOutput& out);
  void establish(Peer& peer, const wire::Hello& hello, const Endpoint& from, bool is_initiator,
                 TimeNs now_ns, LinkOutput& out);
  void announce(const Peer& peer, const wire::Hello& hello, LinkOutput& out) const;
  void confirm_again(Peer& peer, TimeNs now_ns, LinkOutput& out);
  void hasten(Peer& peer, TimeNs now_ns) const;
  bool offer(Peer& peer, size_t count);
  bool fits(const wire::Hello& hello) const;
  Nonce cookie(const Peer& peer, const NodeId& asker, const Nonce& ask, const Endpoint& from) const;
  wire::Hello blank(wire::HelloStep step, const Peer& peer) const;
  void transmit(const Peer& peer, wire::Hello& hello, const Endpoint& to, LinkOutput& out) const;
  Bytes finish(const Peer& peer, wire::Hello& hello) const;

  // alive.cpp
  bool seal(Peer& peer, ByteSpan plaintext, LinkOutput& out) const;
  bool send(Peer& peer, const wire::ControlMessage& message, LinkOutput& out) const;
  void receive_sealed(const Endpoint& from, ByteSpan datagram, Peer* peer, TimeNs now_ns,
                      LinkOutput& out);
  void handle(Peer& peer, wire::ControlMessage message, size_t datagram_bytes, TimeNs now_ns,
              LinkOutput& out);
  void keepalive(Peer& peer, TimeNs now_ns, LinkOutput& out) const;
  void measure_rtt(Peer& peer, uint64_t stamp, TimeNs now_ns, LinkOutput& out) const;
  void take_report(Peer& peer, const wire::Report& report) const;
  void answer_probe(Peer& peer, const wire::MtuProbe& probe, size_t datagram_bytes,
                    LinkOutput& out) const;
  void probe_mtu(Peer& peer, TimeNs now_ns, LinkOutput& out) const;
  void note_mtu(Peer& peer, LinkOutput& out) const;

  LinksConfig config;
  const crypto::Toolbox& toolbox;
  Random random;
  Secret cookie_key{};  // of this process
  uint64_t next_serial = 1;
  bool is_stopped = false;
  LinkCounters counters;
  std::vector<std::unique_ptr<Peer>> peers;           // by index; null: free
  std::unordered_map<Endpoint, uint32_t> by_address;  // peers without paths
  std::unordered_map<NodeId, uint32_t> by_node;       // and those with
};

// Bytes of IP and UDP header in front of a datagram to this address.
inline size_t ip_udp_bytes(const Endpoint& remote) {
  return (remote.is_ipv6 ? 40u : 20u) + 8u;
}

}  // namespace chaincast::hop
