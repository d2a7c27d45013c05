// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "hop/machine.hpp"
#include "port/port.hpp"
#include "wire/datagram.hpp"

// The handshake (docs/links.md has its picture). The answerer keeps nothing per ask: its nonce is a
// cookie, computed again when the confirm comes back. A cookie binds the number of sessions so far,
// so it makes one session at most and an old confirm makes none.
namespace chaincast::hop {
namespace {

// Confirms sent without an echo of life before the initiator asks anew.
constexpr unsigned confirms_max = 4;

std::string range_text(unsigned low, unsigned high) {
  return low == high ? std::to_string(low) : std::to_string(low) + ".." + std::to_string(high);
}

// Every port that a NAT gives out comes once: the stride has no factor in common with their number.
constexpr uint32_t search_ports = 65536 - search_port_min;
constexpr uint32_t search_stride = 24593;

Path path_of(const LinkConfig& config) {
  if (!config.paths) return Path::direct;
  if (config.paths->relay == config.remote) return Path::relayed;
  const std::vector<Endpoint>& own = config.paths->own;
  return std::find(own.begin(), own.end(), config.remote) == own.end() ? Path::punched
                                                                       : Path::direct;
}

// With a link over a relay only what is better.
std::vector<Endpoint> places_to_ask(const Peer& peer) {
  if (!peer.config.paths) return {peer.config.remote};
  const Paths& paths = *peer.config.paths;
  std::vector<Endpoint> out = paths.own;
  out.insert(out.end(), paths.seen.begin(), paths.seen.end());
  if (peer.live == nullptr) {
    if (paths.relay) out.push_back(*paths.relay);
    if (peer.status.sessions > 0) out.push_back(peer.config.remote);
  }
  if (peer.heard_from) out.push_back(*peer.heard_from);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string name_of(const LinkConfig& config) {
  return "peer " + config.name + " at " + port::to_text(config.remote);
}

}  // namespace

void Links::Impl::start_asking(Peer& peer, TimeNs first_ns, TimeNs backoff_ns) {
  toolbox.random_bytes(peer.nonce);
  peer.is_asking = true;
  peer.next_ask_ns = first_ns;
  peer.backoff_ns = backoff_ns;
}

void Links::Impl::ask(Peer& peer, TimeNs now_ns, LinkOutput& out) {
  wire::Hello hello = blank(wire::HelloStep::ask, peer);
  hello.nonce = peer.nonce;
  const Bytes bytes = finish(peer, hello);
  for (const Endpoint& to : places_to_ask(peer)) {
    out.transmits.push_back({peer.index, to, true, bytes, 0});
  }
  peer.last_ask_ns = now_ns;
  peer.next_ask_ns = now_ns + jittered(peer.backoff_ns);
  peer.backoff_ns = std::min(2 * peer.backoff_ns, config.timers.hello_max_ns);
}

void Links::Impl::set_search(Peer& peer, TimeNs at_ns) {
  const bool searches = peer.config.paths->searches && !peer.config.paths->seen.empty();
  peer.next_search_ns = searches ? at_ns : time_never;
  peer.searched = 0;
  peer.search_first = static_cast<uint32_t>(random.below(search_ports));
}

// A NAT that gives each destination another port lets in what comes from where its host has sent
// to: one of these asks arrives, and opens our own NAT for the answer.
void Links::Impl::search(Peer& peer, TimeNs now_ns, LinkOutput& out) {
  wire::Hello hello = blank(wire::HelloStep::ask, peer);
  hello.nonce = peer.nonce;
  const Bytes bytes = finish(peer, hello);
  Endpoint to = peer.config.paths->seen.front();
  for (unsigned i = 0; i < search_burst && peer.searched < search_ports; ++i, ++peer.searched) {
    const uint64_t place =
        (peer.search_first + uint64_t{peer.searched} * search_stride) % search_ports;
    to.port = static_cast<uint16_t>(search_port_min + place);
    out.transmits.push_back({peer.index, to, true, bytes, 0});
  }
  peer.next_search_ns =
      peer.searched < search_ports ? now_ns + config.timers.search_pace_ns : time_never;
}

// What every hello of ours says.
wire::Hello Links::Impl::blank(wire::HelloStep step, const Peer& peer) const {
  wire::Hello hello;
  hello.step = step;
  hello.sender = config.node;
  hello.sender_key = config.key;
  hello.suites = config.suites;
  hello.mtu_bytes = peer.config.mtu_bytes;
  hello.check_off = peer.config.check_off;
  hello.lane_count = config.tx_lanes;
  hello.receive_ports = config.receive_ports;
  if (peer.config.control_port) {
    hello.suites |= wire::control_port_bit;
    ++hello.receive_ports;
  }
  if (peer.config.paths) hello.receive_ports = 1;
  return hello;
}

Bytes Links::Impl::finish(const Peer& peer, wire::Hello& hello) const {
  Bytes encoded = wire::encode(hello);
  const Digest mac = toolbox.hmac_sha256(peer.hello_key, wire::hello_authenticated_bytes(encoded));
  std::copy(mac.begin(), mac.end(), encoded.end() - static_cast<long>(mac.size()));
  const auto header = wire::hello_hop_header();
  encoded.insert(encoded.begin(), header.begin(), header.end());
  return encoded;
}

void Links::Impl::transmit(const Peer& peer, wire::Hello& hello, const Endpoint& to,
                           LinkOutput& out) const {
  out.transmits.push_back({peer.index, to, true, finish(peer, hello), 0});
}

void Links::Impl::receive_hello(const Endpoint& from, ByteSpan datagram, TimeNs now_ns,
                                LinkOutput& out) {
  const wire::HelloView view = wire::read_hello(datagram);
  Peer* peer = find(from);
  if (peer == nullptr) peer = find_sender(view.encoded);
  if (peer == nullptr) {
    ++counters.unknown_address;
    return;
  }
  const TimeNs due_ns = std::max(peer->hello_budget_ns, now_ns);
  if (due_ns > now_ns + (hello_burst - 1) * hello_interval_ns) {
    ++counters.over_budget;
    return;
  }
  peer->hello_budget_ns = due_ns + hello_interval_ns;
  if (view.fault != wire::DatagramFault::none) {
    ++counters.malformed;
    return;
  }
  const Result<wire::Hello> hello = wire::parse_hello(view.encoded);
  if (!hello) {
    ++counters.malformed;
    return;
  }
  const Digest mac =
      toolbox.hmac_sha256(peer->hello_key, wire::hello_authenticated_bytes(view.encoded));
  if (!crypto::equal_constant_time(mac, hello->mac)) {
    ++counters.bad_mac;
    // Where any address will do, anyone may have sent it.
    if (peer->live == nullptr && !peer->config.paths) {
      set_state(*peer, LinkState::wrong_key,
                name_of(peer->config) +
                    ": its hello is made with another key; compare the link "
                    "secret of peer " +
                    peer->config.name + " here with the one for this node there",
                out);
    }
    return;
  }
  if (!admit_hello(*peer, *hello, from, now_ns, out)) return;
  switch (hello->step) {
    case wire::HelloStep::ask:
      return on_ask(*peer, *hello, from, now_ns, out);
    case wire::HelloStep::answer:
      return on_answer(*peer, *hello, from, now_ns, out);
    case wire::HelloStep::confirm:
      return on_confirm(*peer, *hello, from, now_ns, out);
    case wire::HelloStep::refuse:
      return on_refuse(*peer, *hello, now_ns, out);
  }
}

// Authentic: is it from whom it should be, in a version that we speak? Faults of a peer whose link
// is up are counted only: replaying such a hello must not disturb the link.
bool Links::Impl::admit_hello(Peer& peer, const wire::Hello& hello, const Endpoint& from,
                              TimeNs now_ns, LinkOutput& out) {
  if (hello.sender == config.node) {
    ++counters.reflected;
    if (peer.live == nullptr) {
      set_state(peer, LinkState::duplicate_id,
                name_of(peer.config) + ": uses this node's id " + config.node.hex() +
                    "; give one of the two a key of its own (chaincast keygen)",
                out);
    }
    return false;
  }
  const Digest digest = toolbox.sha256(hello.sender_key);
  if (!std::equal(hello.sender.bytes.begin(), hello.sender.bytes.end(), digest.begin())) {
    ++counters.malformed;
    return false;
  }
  if (peer.config.node && *peer.config.node != hello.sender) {
    ++counters.wrong_node;
    if (peer.live == nullptr) {
      set_state(peer, LinkState::wrong_key,
                name_of(peer.config) + ": is node " + hello.sender.hex() + ", configured is node " +
                    peer.config.node->hex() + "; correct the address or the node id",
                out);
    }
    return false;
  }
  if (!agree_version(peer, hello, from, now_ns, out)) return false;
  if (peer.live == nullptr) {
    peer.status.node = hello.sender;
    peer.status.last_heard_ns = now_ns;
    if (hello.step != wire::HelloStep::refuse) set_state(peer, LinkState::connecting, {}, out);
  }
  return true;
}

bool Links::Impl::agree_version(Peer& peer, const wire::Hello& hello, const Endpoint& from,
                                TimeNs now_ns, LinkOutput& out) {
  const wire::Hello own = blank(wire::HelloStep::refuse, peer);
  if (hello.version_min <= own.version_max && own.version_min <= hello.version_max) {
    const uint8_t version = std::min(own.version_max, hello.version_max);
    if (peer.live == nullptr) peer.status.version = version;
    return true;
  }
  ++counters.wrong_version;
  if (hello.step != wire::HelloStep::refuse) {
    wire::Hello refusal = own;
    refusal.refusal = wire::HelloRefusal::bad_version;
    toolbox.random_bytes(refusal.nonce);
    refusal.echo = hello.nonce;
    transmit(peer, refusal, from, out);
  }
  if (peer.live == nullptr) {
    peer.status.node = hello.sender;
    peer.status.last_heard_ns = now_ns;
    set_state(peer, LinkState::wrong_version,
              name_of(peer.config) + ": speaks version " +
                  range_text(hello.version_min, hello.version_max) + ", this node version " +
                  range_text(own.version_min, own.version_max) + "; upgrade the older one",
              out);
  }
  return false;
}

// Both sides may ask at once. The lower node id's ask wins: that side does not answer while it has
// an attempt of its own, and the other waits for it.
void Links::Impl::on_ask(Peer& peer, const wire::Hello& hello, const Endpoint& from, TimeNs now_ns,
                         LinkOutput& out) {
  const bool is_confirming = peer.live != nullptr && !peer.live->is_proven;
  if (config.node < hello.sender && (peer.is_asking || is_confirming)) {
    // Its NAT lets in what comes from where it has sent to, and this is where it sends from.
    if (peer.config.paths) peer.heard_from = from;
    hasten(peer, now_ns);
    return;
  }
  if (!offer(peer, hello.lane_count + 1u)) return;
  wire::Hello answer = blank(wire::HelloStep::answer, peer);
  answer.nonce = cookie(peer, hello.sender, hello.nonce, from);
  answer.echo = hello.nonce;
  answer.link_ids.assign(peer.offered.begin(), peer.offered.begin() + hello.lane_count + 1);
  transmit(peer, answer, from, out);
  if (peer.is_asking) {
    peer.next_ask_ns = std::max(peer.next_ask_ns, now_ns + 2 * config.timers.hello_min_ns);
  }
}

void Links::Impl::on_answer(Peer& peer, const wire::Hello& hello, const Endpoint& from,
                            TimeNs now_ns, LinkOutput& out) {
  if (!peer.is_asking || hello.echo != peer.nonce || !fits(hello)) {
    ++counters.unexpected;
    return;
  }
  if (!offer(peer, hello.lane_count + 1u)) return;
  wire::Hello confirm = blank(wire::HelloStep::confirm, peer);
  confirm.nonce = peer.nonce;
  confirm.echo = hello.nonce;
  confirm.link_ids.assign(peer.offered.begin(), peer.offered.begin() + hello.lane_count + 1);
  establish(peer, hello, from, true, now_ns, out);
  peer.live->confirm = finish(peer, confirm);
  confirm_again(peer, now_ns, out);
  keepalive(peer, now_ns, out);
}

void Links::Impl::on_confirm(Peer& peer, const wire::Hello& hello, const Endpoint& from,
                             TimeNs now_ns, LinkOutput& out) {
  Live* live = peer.live.get();
  if (live != nullptr && !live->is_initiator && live->session.ask() == hello.nonce &&
      live->session.answer() == hello.echo) {
    keepalive(peer, now_ns, out);  // ours was lost, or the confirm was sent before it arrived
    return;
  }
  if (cookie(peer, hello.sender, hello.nonce, from) != hello.echo || !fits(hello) ||
      peer.offered.size() < hello.lane_count + 1u) {
    ++counters.unexpected;
    if (live != nullptr && !live->is_proven && config.node < hello.sender) hasten(peer, now_ns);
    return;
  }
  establish(peer, hello, from, false, now_ns, out);
  keepalive(peer, now_ns, out);
}

void Links::Impl::on_refuse(Peer& peer, const wire::Hello& hello, TimeNs now_ns, LinkOutput& out) {
  if (!peer.is_asking || hello.echo != peer.nonce) {
    ++counters.unexpected;
    return;
  }
  peer.backoff_ns = config.timers.hello_max_ns;
  peer.next_ask_ns = now_ns + jittered(peer.backoff_ns);
  if (peer.live != nullptr) return;
  if (hello.refusal == wire::HelloRefusal::duplicate_id) {
    set_state(peer, LinkState::duplicate_id,
              name_of(peer.config) + ": knows another node with this node's id " +
                  config.node.hex() + "; give one of the two a key of its own",
              out);
  } else {
    set_state(peer, LinkState::down,
              name_of(peer.config) + ": refuses the link; see show peers there", out);
  }
}

bool Links::Impl::fits(const wire::Hello& hello) const {
  return hello.link_ids.size() == config.tx_lanes + 1u &&
         std::find(hello.link_ids.begin(), hello.link_ids.end(), 0u) == hello.link_ids.end();
}

// Sees to it that `count` link ids are ready for the next session with this peer.
bool Links::Impl::offer(Peer& peer, size_t count) {
  while (peer.offered.size() < count) {
    const uint32_t id = config.allocate_link_id(static_cast<uint32_t>(random.next()));
    if (id == 0) {
      ++counters.no_link_id;
      peer.status.detail =
          name_of(peer.config) + ": no free link id; remove peers or use fewer workers";
      return false;
    }
    peer.offered.push_back(id);
  }
  return true;
}

// Good for the address that it was sent to: whoever returns it from there can hear it there.
Nonce Links::Impl::cookie(const Peer& peer, const NodeId& asker, const Nonce& ask,
                          const Endpoint& from) const {
  ByteWriter input;
  input.be64(peer.serial).be64(peer.generation).bytes(asker.bytes).bytes(ask);
  input.bytes(from.address).be16(from.port).u8(from.is_ipv6 ? 6 : 4);
  const Digest mac = toolbox.hmac_sha256(cookie_key, input.buffer());
  Nonce out;
  std::copy_n(mac.begin(), out.size(), out.begin());
  return out;
}

// `from` has proven itself: our challenge came back from it.
void Links::Impl::establish(Peer& peer, const wire::Hello& hello, const Endpoint& from,
                            bool is_initiator, TimeNs now_ns, LinkOutput& out) {
  const Nonce& ask = is_initiator ? hello.echo : hello.nonce;
  const Nonce& answer = is_initiator ? hello.nonce : hello.echo;
  if (peer.live != nullptr) release(peer.live->rx_ids);
  peer.live = std::make_unique<Live>(
      Session(toolbox, peer.config.secret, config.node, hello.sender, ask, answer));
  ++peer.generation;
  peer.is_asking = false;
  peer.config.remote = from;
  peer.heard_from.reset();

  Live& live = *peer.live;
  const auto used = peer.offered.begin() + hello.lane_count + 1;
  live.rx_ids.assign(peer.offered.begin(), used);
  peer.offered.erase(peer.offered.begin(), used);
  live.is_initiator = is_initiator;
  live.is_proven = !is_initiator;
  live.heard_ns = now_ns;
  live.next_keepalive_ns = now_ns + config.timers.keepalive_ns;
  live.next_report_ns = now_ns + config.timers.report_ns;
  live.mtu.start(std::min(peer.config.mtu_bytes, hello.mtu_bytes), now_ns);

  const uint64_t sessions = peer.status.sessions + 1;
  const uint8_t version = std::min(wire::version, hello.version_max);
  peer.status = LinkStatus();
  peer.status.state = LinkState::up;
  peer.status.node = hello.sender;
  peer.status.last_heard_ns = now_ns;
  peer.status.version = version;
  peer.status.check_off = peer.config.check_off && hello.check_off;
  peer.status.sessions = sessions;
  peer.status.path = path_of(peer.config);
  peer.next_upgrade_ns = time_never;
  if (peer.status.path == Path::relayed) {
    // A search that has begun goes on, once the other end has shown that the link works.
    const bool is_searching = peer.next_search_ns != time_never;
    peer.next_upgrade_ns =
        now_ns + (is_searching ? config.timers.keepalive_ns : config.timers.upgrade_ns);
  }
  announce(peer, hello, out);
}

void Links::Impl::announce(const Peer& peer, const wire::Hello& hello, LinkOutput& out) const {
  const Live& live = *peer.live;
  LinkUp up;
  up.peer = peer.index;
  up.node = hello.sender;
  up.remote = peer.config.remote;
  up.remote_ports = std::max<uint16_t>(hello.receive_ports, 1);
  up.remote_control_port = (hello.suites & wire::control_port_bit) != 0 && up.remote_ports > 1;
  up.suites = hello.suites & ~wire::control_port_bit;
  up.check_off = peer.status.check_off;
  for (size_t lane = 0; lane < hello.link_ids.size(); ++lane) {
    up.tx.push_back({hello.link_ids[lane], live.session.tx_lane_key(static_cast<uint8_t>(lane))});
  }
  for (size_t lane = 0; lane < live.rx_ids.size(); ++lane) {
    up.rx.push_back({live.rx_ids[lane], live.session.rx_lane_key(static_cast<uint8_t>(lane))});
  }
  out.events.emplace_back(std::move(up));
}

// Until the answerer shows with a sealed message that it has the session too. If it never does, the
// cookie was overtaken (it made a session of its own meanwhile): ask anew, while keeping the
// link.
void Links::Impl::confirm_again(Peer& peer, TimeNs now_ns, LinkOutput& out) {
  Live& live = *peer.live;
  if (live.confirms_sent == confirms_max) {
    live.next_confirm_ns = time_never;
    if (!peer.is_asking) start_asking(peer, now_ns, config.timers.hello_min_ns);
    return;
  }
  out.transmits.push_back({peer.index, peer.config.remote, true, live.confirm, 0});
  live.next_confirm_ns = now_ns + jittered(config.timers.hello_min_ns << live.confirms_sent);
  ++live.confirms_sent;
}

// The other side shows that it lives and lacks a session: do what we wait for now, at the pace of
// first attempts.
void Links::Impl::hasten(Peer& peer, TimeNs now_ns) const {
  const TimeNs earliest_ns = std::max(now_ns, peer.last_ask_ns + config.timers.hello_min_ns);
  if (peer.is_asking) peer.next_ask_ns = std::min(peer.next_ask_ns, earliest_ns);
}

}  // namespace chaincast::hop
