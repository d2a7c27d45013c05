// SPDX-License-Identifier: BSD-3-Clause
#include "hop/links.hpp"

#include <algorithm>
#include <utility>

#include "hop/machine.hpp"
#include "port/port.hpp"
#include "wire/datagram.hpp"

namespace chaincast::hop {

Links::Impl::Impl(LinksConfig configuration, const crypto::Toolbox& tools, uint64_t seed)
    : config(std::move(configuration)), toolbox(tools), random(seed) {
  const Digest digest = tools.sha256(config.key);
  CC_ASSERT(std::equal(config.node.bytes.begin(), config.node.bytes.end(), digest.begin()));
  CC_ASSERT(config.tx_lanes <= wire::lanes_max);
  CC_ASSERT(config.allocate_link_id && config.release_link_id);
  tools.random_bytes(cookie_key);
}

Peer* Links::Impl::find(uint32_t index) const {
  return index < peers.size() ? peers[index].get() : nullptr;
}

Peer& Links::Impl::get(uint32_t index) const {
  Peer* peer = find(index);
  CC_ASSERT(peer != nullptr);
  return *peer;
}

Peer* Links::Impl::find(const Endpoint& from) const {
  const auto found = by_address.find(from);
  return found == by_address.end() ? nullptr : peers[found->second].get();
}

// Of a hello from an address that nobody is configured with: whom it claims to be from.
Peer* Links::Impl::find_sender(ByteSpan encoded_hello) const {
  constexpr size_t sender_offset = 4;
  NodeId sender;
  if (encoded_hello.size() < sender_offset + sender.bytes.size()) return nullptr;
  std::copy_n(encoded_hello.begin() + sender_offset, sender.bytes.size(), sender.bytes.begin());
  const auto found = by_node.find(sender);
  return found == by_node.end() ? nullptr : peers[found->second].get();
}

// Within a quarter of `about_ns`, so that peers that lost each other together do not ask in step.
TimeNs Links::Impl::jittered(TimeNs about_ns) {
  const TimeNs quarter = about_ns / 4;
  return about_ns - quarter + random.below(2 * quarter + 1);
}

void Links::Impl::set_state(Peer& peer, LinkState state, std::string detail,
                            LinkOutput& out) const {
  const bool changed = peer.status.state != state || peer.status.detail != detail;
  peer.status.state = state;
  peer.status.detail = std::move(detail);
  if (changed) out.events.emplace_back(LinkChanged{peer.index});
}

void Links::Impl::release(std::vector<uint32_t>& ids) const {
  for (const uint32_t id : ids) config.release_link_id(id);
  ids.clear();
}

void Links::Impl::take_down(Peer& peer, const std::string& why, LinkOutput& out) {
  CC_ASSERT(peer.live != nullptr);
  release(peer.live->rx_ids);
  peer.live.reset();
  peer.status.mtu_bytes = 0;
  peer.status.rtt_ns = 0;
  peer.status.loss = 0;
  peer.status.state = LinkState::down;
  peer.status.detail = why;
  out.events.emplace_back(LinkDown{peer.index, why});
}

void Links::Impl::tick_peer(Peer& peer, TimeNs now_ns, LinkOutput& out) {
  if (peer.live != nullptr) {
    Live& live = *peer.live;
    if (config.last_heard) live.heard_ns = std::max(live.heard_ns, config.last_heard(peer.index));
    peer.status.last_heard_ns = std::max(peer.status.last_heard_ns, live.heard_ns);
    if (now_ns >= live.heard_ns + config.timers.dead_ns) {
      take_down(peer,
                "nothing heard for " + std::to_string(config.timers.dead_ns / ns_per_s) + " s",
                out);
      start_asking(peer, now_ns, config.timers.hello_min_ns);
      if (peer.config.paths) set_search(peer, now_ns + config.timers.search_wait_ns);
    }
  }
  if (peer.live != nullptr) {
    Live& live = *peer.live;
    if (now_ns >= live.next_confirm_ns) confirm_again(peer, now_ns, out);
    if (now_ns >= live.next_keepalive_ns) keepalive(peer, now_ns, out);
    if (now_ns >= live.next_report_ns) {
      live.next_report_ns = now_ns + config.timers.report_ns;
      if (config.receive_counters) send(peer, config.receive_counters(peer.index), out);
    }
    if (now_ns >= live.mtu.next_ns()) probe_mtu(peer, now_ns, out);
  }
  if (!peer.is_asking && now_ns >= peer.next_upgrade_ns && peer.live != nullptr) {
    peer.next_upgrade_ns = time_never;
    start_asking(peer, now_ns, config.timers.hello_min_ns);
  }
  if (!peer.is_asking) return;
  if (now_ns >= peer.next_ask_ns) ask(peer, now_ns, out);
  if (now_ns >= peer.next_search_ns) search(peer, now_ns, out);
}

TimeNs Links::Impl::next_timer_ns(const Peer& peer) const {
  TimeNs next = peer.is_asking ? std::min(peer.next_ask_ns, peer.next_search_ns) : time_never;
  if (peer.live == nullptr) return next;
  const Live& live = *peer.live;
  next = std::min(next, live.heard_ns + config.timers.dead_ns);
  if (!peer.is_asking) next = std::min(next, peer.next_upgrade_ns);
  next = std::min({next, live.next_confirm_ns, live.next_keepalive_ns, live.next_report_ns});
  return std::min(next, live.mtu.next_ns());
}

Links::Links(LinksConfig config, const crypto::Toolbox& toolbox, uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(config), toolbox, seed)) {}

Links::~Links() = default;

Result<uint32_t> Links::add(const LinkConfig& config, TimeNs now_ns) {
  Impl& m = *impl_;
  const std::string address = port::to_text(config.remote);
  CC_ASSERT(!config.paths || config.node);
  if (config.paths && m.by_node.contains(*config.node)) {
    return error(ErrorCode::exists, "peer " + config.name + ": node " + config.node->hex() +
                                        " is a peer already; remove that one first");
  }
  if (const Peer* other = config.paths ? nullptr : m.find(config.remote)) {
    return error(ErrorCode::exists, "peer " + config.name + ": address " + address + " is peer " +
                                        other->config.name + "; remove that one first");
  }
  size_t index = m.peers.size();
  for (size_t i = m.peers.size(); i-- > 0;) {
    if (m.peers[i] == nullptr) {
      index = i;
    } else if (m.peers[i]->config.name == config.name) {
      return error(ErrorCode::exists, "peer " + config.name + ": the name is in use for " +
                                          port::to_text(m.peers[i]->config.remote) +
                                          "; choose another name");
    }
  }
  if (index >= peers_max) {
    return error(ErrorCode::refused, "peer " + config.name + ": the node has " +
                                         std::to_string(peers_max) + " peers; remove one first");
  }
  auto peer = std::make_unique<Peer>();
  peer->index = static_cast<uint32_t>(index);
  peer->serial = m.next_serial++;
  peer->config = config;
  peer->hello_key = derive_hello_key(m.toolbox, config.secret);
  m.start_asking(*peer, now_ns, m.config.timers.hello_min_ns);
  if (config.paths) {
    m.by_node.emplace(*config.node, peer->index);
    m.set_search(*peer, now_ns + m.config.timers.search_wait_ns);
  } else {
    m.by_address.emplace(config.remote, peer->index);
  }
  if (index == m.peers.size()) m.peers.emplace_back();
  m.peers[index] = std::move(peer);
  return static_cast<uint32_t>(index);
}

Status Links::remove(uint32_t index, TimeNs, LinkOutput& out) {
  Impl& m = *impl_;
  Peer* peer = m.find(index);
  if (peer == nullptr) {
    return error(ErrorCode::not_found,
                 "peer " + std::to_string(index) + ": not known; see show peers");
  }
  if (peer->live != nullptr) {
    m.send(*peer, wire::Close{wire::CloseReason::removed}, out);
    m.take_down(*peer, "removed", out);
  }
  m.release(peer->offered);
  if (peer->config.paths) {
    m.by_node.erase(*peer->config.node);
  } else {
    m.by_address.erase(peer->config.remote);
  }
  m.peers[index].reset();
  return {};
}

void Links::lose(uint32_t index, const std::string& why, TimeNs now_ns, LinkOutput& out) {
  Peer* peer = impl_->find(index);
  if (peer == nullptr || peer->live == nullptr) return;
  impl_->take_down(*peer, why, out);
  impl_->start_asking(*peer, now_ns, impl_->config.timers.hello_min_ns);
}

void Links::set_mtu(uint32_t index, uint16_t mtu_bytes, TimeNs now_ns, LinkOutput& out) {
  Peer* peer = impl_->find(index);
  if (peer == nullptr || peer->config.mtu_bytes == mtu_bytes) return;
  peer->config.mtu_bytes = mtu_bytes;
  lose(index, "the port's mtu is " + std::to_string(mtu_bytes) + " now", now_ns, out);
}

void Links::set_paths(uint32_t index, const Paths& paths, TimeNs now_ns) {
  Peer* peer = impl_->find(index);
  if (peer == nullptr || !peer->config.paths || *peer->config.paths == paths) return;
  const Paths before = std::exchange(*peer->config.paths, paths);
  if (before.seen != paths.seen || before.searches != paths.searches) {
    impl_->set_search(*peer, now_ns + impl_->config.timers.search_wait_ns);
  }
  if (peer->live != nullptr && peer->status.path != Path::relayed) return;
  impl_->start_asking(*peer, now_ns, impl_->config.timers.hello_min_ns);
}

void Links::receive(const Endpoint& from, ByteSpan datagram, uint32_t peer, TimeNs now_ns,
                    LinkOutput& out) {
  if (impl_->is_stopped) return;
  const wire::DatagramHead head = wire::read_head(datagram);
  if (head.fault != wire::DatagramFault::none || head.type == wire::DatagramType::data) {
    ++impl_->counters.malformed;
  } else if (head.type == wire::DatagramType::hello) {
    impl_->receive_hello(from, datagram, now_ns, out);
  } else {
    impl_->receive_sealed(from, datagram, impl_->find(peer), now_ns, out);
  }
}

void Links::tick(TimeNs now_ns, LinkOutput& out) {
  if (impl_->is_stopped) return;
  for (const auto& peer : impl_->peers) {
    if (peer != nullptr) impl_->tick_peer(*peer, now_ns, out);
  }
}

TimeNs Links::next_timer_ns() const {
  TimeNs next = time_never;
  if (impl_->is_stopped) return next;
  for (const auto& peer : impl_->peers) {
    if (peer != nullptr) next = std::min(next, impl_->next_timer_ns(*peer));
  }
  return next;
}

bool Links::send(uint32_t peer, const wire::ControlMessage& message, LinkOutput& out) {
  Peer* found = impl_->find(peer);
  return found != nullptr && impl_->send(*found, message, out);
}

bool Links::ping(uint32_t peer, TimeNs now_ns, LinkOutput& out) {
  Peer* found = impl_->find(peer);
  if (found == nullptr || found->live == nullptr) return false;
  impl_->keepalive(*found, now_ns, out);
  return true;
}

void Links::shutdown(TimeNs, LinkOutput& out) {
  for (const auto& peer : impl_->peers) {
    if (peer == nullptr || peer->live == nullptr) continue;
    impl_->send(*peer, wire::Close{wire::CloseReason::shutdown}, out);
    impl_->take_down(*peer, "shut down", out);
  }
  impl_->is_stopped = true;
}

const LinkStatus& Links::status(uint32_t peer) const {
  return impl_->get(peer).status;
}

const LinkConfig& Links::config(uint32_t peer) const {
  return impl_->get(peer).config;
}

std::vector<uint32_t> Links::peers() const {
  std::vector<uint32_t> out;
  for (const auto& peer : impl_->peers) {
    if (peer != nullptr) out.push_back(peer->index);
  }
  return out;
}

const LinkCounters& Links::counters() const {
  return impl_->counters;
}

}  // namespace chaincast::hop
