// SPDX-License-Identifier: BSD-3-Clause
// What membership makes of its links: data links, and the secrets that go over them.
#include <fmt/format.h>

#include <algorithm>

#include "node/membership.hpp"

namespace chaincast::node {

namespace {

constexpr TimeNs reconcile_interval_ns = ns_per_s;
constexpr TimeNs retry_interval_ns = 5 * ns_per_s;
constexpr const char* link_label = "link";
constexpr TimeNs help_after_ns = 1500 * ns_per_ms;  // that a crossed link is down
constexpr TimeNs relay_after_ns = 8 * ns_per_s;

}  // namespace

bool Membership::is_in(const NodeId& node, const wire::ResourceId& resource) const {
  const graph::Entry* entry = member_->view().find(node);
  return entry != nullptr && entry->is_live &&
         wire::subscription_of(entry->record->said, resource) != nullptr;
}

bool Membership::shares_stream(const NodeId& node) const {
  return std::any_of(streams_.begin(), streams_.end(), [&](const auto& stream) {
    return stream.second.lets_in(node) && is_in(node, stream.first);
  });
}

Digest Membership::graph_digest() const {
  return member_ ? member_->digest() : Digest{};
}

bool Membership::is_live(const NodeId& node) const {
  const graph::Entry* entry = member_ ? member_->view().find(node) : nullptr;
  return entry != nullptr && entry->is_live;
}

// Frames travel between members of the subnetwork, so hops are counted among these alone.
std::optional<Kin> Membership::kin(const NodeId& origin, const std::string& stream) const {
  if (!member_) return std::nullopt;
  const wire::ResourceId resource = id_of(stream);
  std::vector<graph::EntryRef> members;
  member_->view().for_each([&](const graph::EntryRef& entry) {
    const bool is_member = wire::subscription_of(entry->record->said, resource) != nullptr;
    if (entry->is_live && is_member) members.push_back(entry);
  });
  const graph::Topology topology = graph::topology_of(std::move(members));
  const auto nodes = static_cast<uint32_t>(topology.nodes.size());
  const uint32_t from = topology.position(origin);
  const uint32_t own = topology.position(member_->id());
  if (from == nodes || own == nodes) return std::nullopt;
  const std::vector<uint32_t> hops = graph::distances(topology, from);
  if (hops[own] == graph::no_block) return std::nullopt;
  Kin out;
  out.parents = graph::parents_of(topology, hops, own);
  for (uint32_t i = topology.first[own]; i < topology.first[own + 1]; ++i) {
    const NodeId& other = topology.nodes[topology.links[i]]->id();
    if (std::find(out.parents.begin(), out.parents.end(), other) == out.parents.end()) {
      out.children.push_back(other);
    }
  }
  return out;
}

bool Membership::lets_in(const std::string& peer, const NodeId& node,
                         const std::string& stream) const {
  const auto link = data_links_.find(node);
  const auto wanted = streams_.find(id_of(stream));
  if (link == data_links_.end() || link->second.name != peer || wanted == streams_.end()) {
    return true;
  }
  return wanted->second.lets_in(node);
}

// The data links follow the links of the graph, the sessions and the streams: each to a link
// partner with an open session that is in a stream of ours, under that session's secret.
void Membership::reconcile(TimeNs now_ns) {
  reconcile_ns_ = now_ns + reconcile_interval_ns;
  std::set<NodeId> wanted;
  for (const graph::LinkStatus& link : member_->links()) {
    if (shares_stream(link.peer)) wanted.insert(link.peer);
  }
  for (auto& [peer, link] : data_links_) {
    if (wanted.contains(peer)) continue;
    close(link);
    crossing_.forget(peer);
  }
  std::erase_if(data_links_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const NodeId& peer : wanted) {
    // A session that broke leaves the data link as it is: frames go on until the graph says that
    // the link is gone, or another session has another secret.
    const auto remote = remotes_.find(peer);
    const auto secret = sessions_->exported(peer, link_label);
    const auto known = data_links_.find(peer);
    if (known != data_links_.end()) follow_paths(peer, known->second, now_ns);
    if (remote == remotes_.end() || !secret) continue;
    DataLink& link = data_links_[peer];
    const bool is_current = link.tried_ns != 0 && link.secret == *secret;
    if (!is_current || (!link.is_open && now_ns - link.tried_ns >= retry_interval_ns)) {
      open(peer, link, remote->second, *secret, now_ns);
    }
    grant(peer, link, now_ns);
  }
}

void Membership::open(const NodeId& peer, DataLink& link, const session::Remote& remote,
                      const Secret& secret, TimeNs now_ns) {
  std::optional<hop::Paths> paths;
  const auto card = join::parse_card(remote.card);
  const bool is_crossed = crossing_.is_crossed(peer);
  if (is_crossed && card) {
    paths = crossing_.paths_to(peer, card->data, now_ns);
    // Until both have told each other where they are, a link that there is goes on.
    if (!paths) {
      if (link.name.empty()) link.name = peer.hex().substr(0, 16);
      if (!link.is_open) link.problem = "waits until both know their addresses behind the NAT";
      return;
    }
  }
  close(link);
  link = {};
  link.is_crossed = is_crossed;
  link.up_ns = now_ns;
  link.name = peer.hex().substr(0, 16);
  link.secret = secret;
  link.tried_ns = now_ns;
  if (!card) {
    link.problem = card.error().message;
  } else if (Status opened = hooks_.open_link(link.name, peer, card->data, secret, paths);
             !opened) {
    link.problem = opened.error().message;
  } else {
    link.is_open = true;
    return;
  }
  ++counters_.links_failed;
  hooks_.log(LogLevel::warning, fmt::format("network: no data link: {}", link.problem));
}

// What is known of addresses changes while a link is being made, and after.
void Membership::follow_paths(const NodeId& peer, DataLink& link, TimeNs now_ns) {
  if (!link.is_open || !link.is_crossed) return;
  const auto remote = remotes_.find(peer);
  std::optional<hop::Paths> paths;
  if (remote != remotes_.end()) {
    const auto card = join::parse_card(remote->second.card);
    if (card) paths = crossing_.paths_to(peer, card->data, now_ns);
  }
  if (paths) hooks_.set_paths(link.name, *paths);
  if (hooks_.is_up(link.name)) {
    link.up_ns = now_ns;
  } else if (now_ns - link.up_ns >= help_after_ns) {
    crossing_.help(peer, now_ns - link.up_ns >= relay_after_ns, now_ns);
  }
}

void Membership::close(DataLink& link) {
  if (link.is_open) hooks_.close_link(link.name);
  link.is_open = false;
}

// Each stream's secret, once a session, to whom this node lets in.
void Membership::grant(const NodeId& peer, DataLink& link, TimeNs now_ns) {
  for (const auto& [resource, stream] : streams_) {
    if (!stream.secret || !stream.lets_in(peer) || link.granted.contains(resource) ||
        !is_in(peer, resource)) {
      continue;
    }
    const Endpoint& address = remotes_.at(peer).address;
    if (!sessions_->send(peer, address, join::encode(join::Grant{resource, *stream.secret}),
                         now_ns)) {
      ++counters_.not_taken;
      continue;
    }
    link.granted.insert(resource);
    ++counters_.grants_sent;
  }
}

void Membership::on_grant(const session::Remote& from, ByteSpan message, TimeNs now_ns) {
  const auto grant = join::parse_grant(message);
  if (!grant) {
    ++counters_.malformed;
    return sessions_->close(from.id, grant.error().message, now_ns);
  }
  const auto stream = streams_.find(grant->resource);
  const bool is_partner = data_links_.contains(from.id) || is_in(from.id, grant->resource);
  if (stream == streams_.end() || !is_partner) {
    ++counters_.grants_refused;
    return;
  }
  if (stream->second.secret) {
    // Everyone sends it to everyone: another one than ours is worth a line.
    if (*stream->second.secret == grant->secret) return;
    ++counters_.grants_refused;
    hooks_.log(LogLevel::warning,
               fmt::format("stream {}: {} has another secret; one of the two is wrong",
                           stream->second.name, from.id.hex()));
    return;
  }
  if (Status taken = hooks_.take_secret(stream->second.name, grant->secret); !taken) {
    ++counters_.grants_refused;
    hooks_.log(LogLevel::warning, taken.error().message);
    return;
  }
  stream->second.secret = grant->secret;
  ++counters_.grants_taken;
  hooks_.log(LogLevel::info,
             fmt::format("stream {}: its secret came from {}", stream->second.name, from.id.hex()));
  reconcile_ns_ = now_ns;
}

}  // namespace chaincast::node
