// SPDX-License-Identifier: BSD-3-Clause
#include "node/crossing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "port/port.hpp"

namespace chaincast::node {

namespace {

constexpr const char* probe_label = "probe";
constexpr TimeNs register_first_ns = ns_per_s;  // until somebody offers to pass on
constexpr TimeNs register_interval_ns = 10 * ns_per_s;
constexpr TimeNs relay_interval_ns = ns_per_s;
constexpr TimeNs help_interval_ns = 5 * ns_per_s;
constexpr TimeNs held_ns = ns_per_s;
constexpr size_t remembered_max = 1024;

punch::RelayConfig relay_config(const MembershipConfig& config) {
  punch::RelayConfig out;
  out.address = *config.relay;
  out.pairs_max = config.relay_pairs;
  out.rate_bytes_per_s = config.relay_rate_bits_per_s / 8;
  return out;
}

}  // namespace

Crossing::Crossing(const MembershipConfig& config, const NodeId& own,
                   const crypto::Toolbox& toolbox, CrossingHooks hooks)
    : config_(config),
      own_(own),
      toolbox_(toolbox),
      hooks_(std::move(hooks)),
      prober_(own, toolbox) {
  if (config_.is_behind_nat) register_ns_ = 0;
}

void Crossing::attach(std::unique_ptr<punch::Sockets> sockets) {
  sockets_ = std::move(sockets);
  relay_ = std::make_unique<punch::Relay>(
      relay_config(config_), toolbox_, [this](const NodeId& node) { return probe_key(node); },
      [this](unsigned socket, const Endpoint& to, ByteSpan datagram) {
        return sockets_->send(socket, to, datagram);
      });
  sockets_->set_receiver(
      [this](unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
        relay_->receive(socket, from, datagram, now_ns);
      });
  relay_tick_ns_ = 0;
}

void Crossing::tick(TimeNs now_ns) {
  if (register_ns_ <= now_ns) register_again(now_ns);
  if (relay_tick_ns_ <= now_ns) {
    relay_tick_ns_ = now_ns + relay_interval_ns;
    relay_->tick(now_ns);
  }
  if (prober_.next_timer_ns() > now_ns) return;
  punch::Prober::Datagrams datagrams;
  prober_.tick(now_ns, datagrams);
  send_probes(datagrams);
}

TimeNs Crossing::next_timer_ns() const {
  return std::min({register_ns_, relay_tick_ns_, prober_.next_timer_ns()});
}

void Crossing::send_probes(punch::Prober::Datagrams& datagrams) {
  for (const auto& [to, datagram] : datagrams) hooks_.probe(to, datagram);
}

void Crossing::on_probe(const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  punch::Prober::Datagrams datagrams;
  const bool has_changed = prober_.receive(from, datagram, now_ns, datagrams);
  send_probes(datagrams);
  if (has_changed) hooks_.changed();
}

std::optional<Secret> Crossing::probe_key(const NodeId& node) const {
  return remotes_.contains(node) ? sessions_->exported(node, probe_label) : std::nullopt;
}

bool Crossing::is_node_behind_nat(const NodeId& id) const {
  const graph::Member* member = hooks_.member();
  const graph::Entry* entry = member ? member->view().find(id) : nullptr;
  return entry != nullptr && (entry->record->said.roles & wire::role_behind_nat) != 0;
}

// ---- passed on by others --------------------------------------------------------------------

// The trackers are told that this node is there, and keep the way to it open.
void Crossing::register_again(TimeNs now_ns) {
  register_ns_ = now_ns + (offers_.empty() ? register_first_ns : register_interval_ns);
  for (const Endpoint& tracker : config_.trackers) say_to(tracker, punch::Register{}, now_ns);
}

std::vector<Endpoint> Crossing::addresses() const {
  std::vector<Endpoint> addresses;
  for (const auto& [id, offer] : offers_) addresses.push_back(offer.address);
  if (addresses.empty()) addresses = config_.trackers;
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > wire::node_addresses_max) addresses.resize(wire::node_addresses_max);
  return addresses;
}

bool Crossing::say(const NodeId& to, const punch::Message& message, TimeNs now_ns) {
  const auto remote = remotes_.find(to);
  const bool is_sent = remote != remotes_.end() &&
                       sessions_->send(to, remote->second.address, punch::encode(message), now_ns);
  if (!is_sent) ++counters_.not_sent;
  return is_sent;
}

void Crossing::say_to(const Endpoint& via, const punch::Message& message, TimeNs now_ns) {
  if (!sessions_->send(NodeId{}, via, punch::encode(message), now_ns)) ++counters_.not_sent;
}

// Where the node says that it is reached, if it is behind a NAT; or the address, if it is another
// node's. None: it is dialled there.
std::optional<Endpoint> Crossing::carrier_of(const NodeId& id, const Endpoint& address) const {
  const auto is_anothers = [&](const Endpoint& one) {
    return std::any_of(remotes_.begin(), remotes_.end(), [&](const auto& remote) {
      return remote.first != id && !remote.second.is_carried && remote.second.address == one;
    });
  };
  const graph::Member* member = hooks_.member();
  const graph::Entry* entry = member ? member->view().find(id) : nullptr;
  if (entry == nullptr || (entry->record->said.roles & wire::role_behind_nat) == 0) {
    return is_anothers(address) ? std::optional(address) : std::nullopt;
  }
  const std::vector<Endpoint>& said = entry->record->said.addresses;
  const auto open = std::find_if(said.begin(), said.end(), is_anothers);
  if (open != said.end()) return *open;
  return said.empty() ? address : said.front();
}

bool Crossing::begin_carried(const NodeId& id, const Endpoint& address, TimeNs now_ns) {
  const bool is_begun = std::any_of(channels_.begin(), channels_.end(), [&](const auto& one) {
    return one.second.is_mine && one.second.peer == id && one.second.via == address;
  });
  if (is_begun) return true;
  const auto held = held_until_ns_.find(id);
  if (held != held_until_ns_.end() && now_ns < held->second) {
    ++counters_.backing_off;
    return false;
  }
  const uint64_t handle = next_handle_++;
  if (!sessions_->dial_carried(handle, id, address, now_ns)) return false;
  Channel& channel = channels_[handle];
  channel = {id, 0, address, true};
  std::array<uint8_t, 4> number{};
  toolbox_.random_bytes(number);
  channel.number = load_be32(number.data());
  punch::Carry open;
  open.peer = id;
  open.channel = channel.number;
  say_to(address, open, now_ns);
  return true;
}

bool Crossing::send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) {
  if (id == NodeId{} || remotes_.contains(id)) {
    return sessions_->send(id, address, std::move(message), now_ns);
  }
  const auto carrier = carrier_of(id, address);
  // Who is registered here is not there now.
  if (carrier == sessions_->address()) return false;
  if (carrier && !begin_carried(id, *carrier, now_ns)) return false;
  return sessions_->send(id, carrier.value_or(address), std::move(message), now_ns);
}

void Crossing::on_carry(uint64_t handle, ByteSpan bytes, TimeNs now_ns) {
  const auto found = channels_.find(handle);
  if (found == channels_.end()) return;
  punch::Carry data{punch::Carry::Kind::data, false, found->second.peer,
                    found->second.number,     0,     Bytes(bytes.begin(), bytes.end())};
  if (sessions_->send(NodeId{}, found->second.via, punch::encode(std::move(data)), now_ns)) return;
  ++counters_.not_sent;
  sessions_->carried_end(handle);
}

void Crossing::on_carry_taken(uint64_t handle, uint32_t bytes, TimeNs now_ns) {
  const auto found = channels_.find(handle);
  if (found == channels_.end()) return;
  const Channel& channel = found->second;
  say_to(channel.via,
         punch::Carry{punch::Carry::Kind::credit, false, channel.peer, channel.number, bytes, {}},
         now_ns);
}

void Crossing::on_carry_end(uint64_t handle, TimeNs now_ns) {
  const auto found = channels_.find(handle);
  if (found == channels_.end()) return;
  const Channel channel = found->second;
  channels_.erase(found);
  if (!remotes_.contains(channel.peer) && channel.is_mine) {
    if (held_until_ns_.size() >= remembered_max) held_until_ns_.clear();
    held_until_ns_[channel.peer] = now_ns + held_ns;
  }
  const bool has_carrier = std::any_of(remotes_.begin(), remotes_.end(), [&](const auto& one) {
    return !one.second.is_carried && one.second.address == channel.via;
  });
  if (!has_carrier) return;
  say_to(channel.via,
         punch::Carry{punch::Carry::Kind::close, false, channel.peer, channel.number, 0, {}},
         now_ns);
}

void Crossing::take_carried(const session::Remote& from, const punch::Carry& carry, TimeNs now_ns) {
  using Kind = punch::Carry::Kind;
  const auto found = std::find_if(channels_.begin(), channels_.end(), [&](const auto& one) {
    return one.second.peer == carry.peer && one.second.number == carry.channel &&
           one.second.via == from.address;
  });
  if (carry.kind == Kind::open) {
    // By one that this node has registered with. Whoever carries it, the two ends prove their keys
    // to each other.
    const uint64_t handle = next_handle_++;
    if (offers_.contains(from.id) && found == channels_.end() &&
        sessions_->accept_carried(handle, from.address, now_ns)) {
      channels_[handle] = {carry.peer, carry.channel, from.address, false};
      return;
    }
    say(from.id, punch::Carry{Kind::close, false, carry.peer, carry.channel, 0, {}}, now_ns);
    return;
  }
  if (found == channels_.end()) {
    ++counters_.refused;
    return;
  }
  if (carry.kind == Kind::data) sessions_->carried(found->first, carry.bytes, now_ns);
  if (carry.kind == Kind::credit) sessions_->carried_taken(found->first, carry.credit);
  if (carry.kind == Kind::close) sessions_->carried_end(found->first);
}

// ---- sessions -------------------------------------------------------------------------------

void Crossing::on_open(const session::Remote& remote, TimeNs now_ns) {
  remotes_[remote.id] = remote;
  told_.erase(remote.id);
  if (config_.is_behind_nat && !remote.is_carried) register_ns_ = now_ns;
}

void Crossing::on_closed(const session::Remote& remote, TimeNs now_ns) {
  remotes_.erase(remote.id);
  told_.erase(remote.id);
  theirs_.erase(remote.id);
  if (!remote.is_carried) {
    for (const auto& [handle, channel] : channels_) {
      if (channel.via == remote.address) sessions_->carried_end(handle);
    }
  }
  if (offers_.erase(remote.id) != 0) {
    register_ns_ = std::min(register_ns_, now_ns + register_first_ns);
    hooks_.set_addresses(addresses());
  }
  punch::Carriage::Sends sends;
  carriage_.lost(remote.id, sends);
  pass_on(std::move(sends), now_ns);
}

Status Crossing::on_message(const session::Remote& from, ByteSpan message, TimeNs now_ns) {
  const auto parsed = punch::parse_message(message);
  if (!parsed) return parsed.error();
  std::visit([&](const auto& body) { take(from, body, now_ns); }, *parsed);
  return {};
}

// ---- for those behind a NAT -----------------------------------------------------------------

void Crossing::take(const session::Remote& from, const punch::Register&, TimeNs now_ns) {
  punch::Offer offer;
  const bool relays = relay_ && !from.is_carried;
  if (relays && carriage_.enrol(from.id)) offer.vantages = relay_->vantage_points();
  say(from.id, offer, now_ns);
}

void Crossing::take(const session::Remote& from, const punch::Carry& carry, TimeNs now_ns) {
  if (from.is_carried) {
    ++counters_.refused;
    return;
  }
  if (carry.is_from_carrier) return take_carried(from, carry, now_ns);
  punch::Carriage::Sends sends;
  carriage_.take(from.id, carry, sends);
  pass_on(std::move(sends), now_ns);
}

// What one end cannot take ends the channel, and the other end is told.
void Crossing::pass_on(punch::Carriage::Sends sends, TimeNs now_ns) {
  for (size_t i = 0; i < sends.size(); ++i) {
    const NodeId to = sends[i].first;
    if (!say(to, std::move(sends[i].second), now_ns)) carriage_.lost(to, sends);
  }
}

void Crossing::take(const session::Remote& from, const punch::RelayRequest& request,
                    TimeNs now_ns) {
  punch::RelayGrant grant;
  grant.peer = request.peer;
  const bool may = relay_ && carriage_.is_enrolled(from.id) &&
                   carriage_.is_enrolled(request.peer) && remotes_.contains(request.peer);
  if (may) grant.address = relay_->open(from.id, request.peer, now_ns);
  if (!grant.address) ++counters_.refused;
  say(from.id, grant, now_ns);
  if (!grant.address) return;
  grant.peer = from.id;
  say(request.peer, grant, now_ns);
}

// ---- seen addresses and paths ---------------------------------------------------------------

void Crossing::take(const session::Remote& from, const punch::Offer& offer, TimeNs now_ns) {
  const bool is_tracker = std::find(config_.trackers.begin(), config_.trackers.end(),
                                    from.address) != config_.trackers.end();
  const auto key = probe_key(from.id);
  if (!config_.is_behind_nat || !is_tracker || from.is_carried || !key) {
    ++counters_.refused;
    return;
  }
  if (offer.vantages.empty()) {
    offers_.erase(from.id);
    return hooks_.set_addresses(addresses());
  }
  const bool is_new = !offers_.contains(from.id);
  offers_[from.id] = {from.address, offer.vantages};
  for (const Endpoint& vantage : offer.vantages) prober_.set(vantage, *key, true, now_ns);
  for (const auto& [peer, granted] : granted_) {
    if (granted.relay == from.id) prober_.set(granted.address, *key, false, now_ns);
  }
  if (!is_new) return;
  hooks_.log(LogLevel::info, fmt::format("network: {} passes on what is for this node",
                                         port::to_text(from.address)));
  hooks_.set_addresses(addresses());
}

void Crossing::take(const session::Remote& from, const punch::Candidates& candidates, TimeNs) {
  if (theirs_.size() >= remembered_max && !theirs_.contains(from.id)) {
    ++counters_.refused;
    return;
  }
  if (theirs_[from.id] == candidates) return;
  theirs_[from.id] = candidates;
  hooks_.changed();
}

void Crossing::take(const session::Remote& from, const punch::RelayGrant& grant, TimeNs now_ns) {
  const auto key = probe_key(from.id);
  // Only of one that this node has registered with, about one that it has a link with.
  if (!key || !offers_.contains(from.id) || !theirs_.contains(grant.peer)) {
    ++counters_.refused;
    return;
  }
  const auto known = granted_.find(grant.peer);
  if (known != granted_.end() && grant.address != known->second.address) {
    prober_.remove(known->second.address);
    granted_.erase(known);
  }
  if (!grant.address) {
    hooks_.log(LogLevel::warning,
               fmt::format("network: {} does not forward for {}: it has no session with both, or "
                           "no free pair",
                           port::to_text(from.address), grant.peer.hex()));
    return hooks_.changed();
  }
  granted_[grant.peer] = {from.id, *grant.address};
  prober_.set(*grant.address, *key, false, now_ns);
  hooks_.changed();
}

bool Crossing::is_crossed(const NodeId& peer) const {
  return config_.is_behind_nat || is_node_behind_nat(peer);
}

void Crossing::tell_candidates(const NodeId& peer, TimeNs now_ns) {
  punch::Candidates mine;
  mine.mapping = prober_.mapping();
  mine.own = own_data_;
  if (mine.own.size() > punch::endpoints_max) mine.own.resize(punch::endpoints_max);
  mine.seen = prober_.seen();
  const auto told = told_.find(peer);
  if (told != told_.end() && told->second == mine) return;
  if (say(peer, mine, now_ns)) told_[peer] = std::move(mine);
}

std::optional<hop::Paths> Crossing::paths_to(const NodeId& peer, const std::vector<Endpoint>& card,
                                             TimeNs now_ns) {
  if (config_.is_behind_nat) {
    if (!prober_.is_settled(now_ns)) return std::nullopt;
    tell_candidates(peer, now_ns);
  }
  hop::Paths out;
  const auto theirs = theirs_.find(peer);
  if (is_node_behind_nat(peer)) {
    if (theirs == theirs_.end()) return std::nullopt;
    out.own = theirs->second.own;
    out.seen = theirs->second.seen;
    out.searches = config_.is_behind_nat && prober_.mapping() == punch::Mapping::independent &&
                   theirs->second.mapping == punch::Mapping::dependent;
  } else {
    out.own = card;
    if (out.own.size() > hop::path_endpoints_max) out.own.resize(hop::path_endpoints_max);
  }
  // Behind two NATs two hosts may have one address.
  std::erase_if(out.own, [this](const Endpoint& one) {
    return std::find(own_data_.begin(), own_data_.end(), one) != own_data_.end();
  });
  const auto granted = granted_.find(peer);
  if (granted != granted_.end()) out.relay = granted->second.address;
  return out;
}

void Crossing::help(const NodeId& peer, bool wants_relay, TimeNs now_ns) {
  if (!config_.is_behind_nat) return;
  Asked& asked = asked_[peer];
  if (now_ns - asked.addresses_ns >= help_interval_ns || asked.addresses_ns == 0) {
    asked.addresses_ns = now_ns;
    prober_.ask_again(now_ns);
  }
  if (!wants_relay || !is_node_behind_nat(peer)) return;
  if (asked.relay_ns != 0 && now_ns - asked.relay_ns < help_interval_ns) return;
  asked.relay_ns = now_ns;
  const graph::Entry* entry = hooks_.member()->view().find(peer);
  for (const auto& [id, offer] : offers_) {
    const auto& theirs = entry->record->said.addresses;
    if (std::find(theirs.begin(), theirs.end(), offer.address) == theirs.end()) continue;
    say(id, punch::RelayRequest{peer}, now_ns);
    return;
  }
}

void Crossing::forget(const NodeId& peer) {
  const auto granted = granted_.find(peer);
  if (granted != granted_.end()) {
    prober_.remove(granted->second.address);
    granted_.erase(granted);
  }
  asked_.erase(peer);
}

std::optional<NodeId> Crossing::relay_of(const NodeId& peer) const {
  const auto granted = granted_.find(peer);
  if (granted == granted_.end()) return std::nullopt;
  return granted->second.relay;
}

}  // namespace chaincast::node
