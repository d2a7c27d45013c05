// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <type_traits>

#include "hop/machine.hpp"
#include "wire/datagram.hpp"

// An established link: sealed messages, keepalive, round-trip time, reports, path MTU, close.
namespace chaincast::hop {
namespace {

constexpr TimeNs probe_timeout_first_ns = 300 * ns_per_ms;  // before a round trip is known
constexpr TimeNs probe_timeout_min_ns = 50 * ns_per_ms;
constexpr TimeNs probe_timeout_max_ns = 1 * ns_per_s;

// RFC 6298's retransmission timeout, within bounds of our own.
TimeNs probe_timeout(const LinkStatus& status, const Live& live) {
  if (status.rtt_ns == 0) return probe_timeout_first_ns;
  return std::clamp(status.rtt_ns + 4 * live.rtt_deviation_ns, probe_timeout_min_ns,
                    probe_timeout_max_ns);
}

}  // namespace

bool Links::Impl::seal(Peer& peer, ByteSpan plaintext, LinkOutput& out) const {
  if (peer.live == nullptr) return false;
  LinkTransmit transmit;
  transmit.peer = peer.index;
  transmit.to = peer.config.remote;
  transmit.bytes = peer.live->session.seal(plaintext, transmit.tag_xor);
  out.transmits.push_back(std::move(transmit));
  return true;
}

bool Links::Impl::send(Peer& peer, const wire::ControlMessage& message, LinkOutput& out) const {
  const Bytes plaintext = wire::encode(message);
  return plaintext.size() <= wire::control_bytes_max && seal(peer, plaintext, out);
}

void Links::Impl::receive_sealed(const Endpoint& from, ByteSpan datagram, Peer* peer, TimeNs now_ns,
                                 LinkOutput& out) {
  if (peer == nullptr || peer->live == nullptr || from != peer->config.remote) {
    ++counters.no_session;
    return;
  }
  Live& live = *peer->live;
  Bytes plaintext;
  switch (live.session.open(datagram, plaintext)) {
    case Session::Opened::ok:
      break;
    case Session::Opened::malformed:
      ++counters.malformed;
      return;
    case Session::Opened::replayed:
      ++counters.replayed;
      return;
    case Session::Opened::bad_seal:
      ++counters.bad_seal;
      return;
  }
  live.heard_ns = std::max(live.heard_ns, now_ns);
  peer->status.last_heard_ns = live.heard_ns;
  if (!live.is_proven) {
    live.is_proven = true;
    live.next_confirm_ns = time_never;
    live.confirm.clear();
    peer->is_asking = false;
  }
  Result<wire::ControlMessage> message = wire::parse_control(plaintext);
  if (message) {
    handle(*peer, std::move(message).value(), datagram.size(), now_ns, out);
  } else if (message.error().code == ErrorCode::unsupported) {
    ++counters.unsupported;
  } else {
    ++counters.malformed;
  }
}

void Links::Impl::handle(Peer& peer, wire::ControlMessage message, size_t datagram_bytes,
                         TimeNs now_ns, LinkOutput& out) {
  if (const auto* alive = std::get_if<wire::Keepalive>(&message)) {
    send(peer, wire::KeepaliveReply{alive->stamp}, out);
  } else if (const auto* reply = std::get_if<wire::KeepaliveReply>(&message)) {
    measure_rtt(peer, reply->stamp, now_ns, out);
  } else if (const auto* report = std::get_if<wire::Report>(&message)) {
    take_report(peer, *report);
  } else if (const auto* probe = std::get_if<wire::MtuProbe>(&message)) {
    answer_probe(peer, *probe, datagram_bytes, out);
  } else if (const auto* passed = std::get_if<wire::MtuReply>(&message)) {
    peer.live->mtu.answered(passed->id, passed->ip_bytes, now_ns);
    note_mtu(peer, out);
  } else if (const auto* close = std::get_if<wire::Close>(&message)) {
    const bool removed = close->reason == wire::CloseReason::removed;
    take_down(peer, removed ? "the peer removed this link" : "the peer shut down", out);
    const TimeNs slow_ns = config.timers.hello_max_ns;
    start_asking(peer, now_ns + jittered(slow_ns), slow_ns);
  } else {
    out.events.emplace_back(LinkMessage{peer.index, std::move(message)});
  }
}

void Links::Impl::keepalive(Peer& peer, TimeNs now_ns, LinkOutput& out) const {
  Live& live = *peer.live;
  live.next_keepalive_ns = now_ns + config.timers.keepalive_ns;
  live.stamps[live.next_stamp++ % live.stamps.size()] = now_ns;
  send(peer, wire::Keepalive{now_ns}, out);
}

// RFC 6298, section 2. Each keepalive has its own stamp, so Karn's ambiguity does not arise.
void Links::Impl::measure_rtt(Peer& peer, uint64_t stamp, TimeNs now_ns, LinkOutput& out) const {
  Live& live = *peer.live;
  const auto sent = std::find(live.stamps.begin(), live.stamps.end(), stamp);
  if (stamp == 0 || stamp > now_ns || sent == live.stamps.end()) return;
  *sent = 0;
  const TimeNs rtt_ns = std::max<TimeNs>(now_ns - stamp, 1);
  LinkStatus& status = peer.status;
  if (status.rtt_ns == 0) {
    status.rtt_ns = rtt_ns;
    live.rtt_deviation_ns = rtt_ns / 2;
    status.rtt_min_ns = rtt_ns;
    out.events.emplace_back(LinkChanged{peer.index});
    return;
  }
  const TimeNs off_ns = rtt_ns > status.rtt_ns ? rtt_ns - status.rtt_ns : status.rtt_ns - rtt_ns;
  live.rtt_deviation_ns = (3 * live.rtt_deviation_ns + off_ns) / 4;
  status.rtt_ns = (7 * status.rtt_ns + rtt_ns) / 8;
  status.rtt_min_ns = std::min(status.rtt_min_ns, rtt_ns);
}

// Counters only grow, but a late arrival takes back a loss, and reports may overtake each other.
void Links::Impl::take_report(Peer& peer, const wire::Report& report) const {
  wire::Report& last = peer.live->last_report;
  if (report.datagrams_received < last.datagrams_received) return;
  const uint64_t received = report.datagrams_received - last.datagrams_received;
  const uint64_t lost =
      report.datagrams_lost - std::min(report.datagrams_lost, last.datagrams_lost);
  last = report;
  const double sent = static_cast<double>(received) + static_cast<double>(lost);
  peer.status.loss = sent > 0 ? static_cast<double>(lost) / sent : 0;
}

// Only a datagram that arrived at its full size proves anything.
void Links::Impl::answer_probe(Peer& peer, const wire::MtuProbe& probe, size_t datagram_bytes,
                               LinkOutput& out) const {
  if (datagram_bytes + ip_udp_bytes(peer.config.remote) != probe.ip_bytes) return;
  send(peer, wire::MtuReply{probe.id, probe.ip_bytes}, out);
}

void Links::Impl::probe_mtu(Peer& peer, TimeNs now_ns, LinkOutput& out) const {
  Live& live = *peer.live;
  const auto probe = live.mtu.due(now_ns, probe_timeout(peer.status, live), live.heard_ns);
  note_mtu(peer, out);
  if (!probe) return;
  Bytes plaintext = wire::encode(wire::MtuProbe{probe->id, probe->bytes});
  const size_t around = ip_udp_bytes(peer.config.remote) + wire::control_overhead_bytes;
  if (probe->bytes < around + plaintext.size()) return;
  plaintext.resize(probe->bytes - around);
  seal(peer, plaintext, out);
}

void Links::Impl::note_mtu(Peer& peer, LinkOutput& out) const {
  const uint16_t mtu = peer.live->mtu.mtu_bytes();
  if (mtu == peer.status.mtu_bytes) return;
  peer.status.mtu_bytes = mtu;
  peer.status.detail = mtu == 0 ? "the path carries no packet of " +
                                      std::to_string(MtuSearch::least_bytes) + " bytes"
                                : std::string();
  out.events.emplace_back(LinkChanged{peer.index});
}

}  // namespace chaincast::hop
