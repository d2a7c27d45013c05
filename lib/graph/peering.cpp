// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// The choice of link partners: connectivity first, then round trip among candidates within one of
// the lowest degree; some at random, so that near links do not fold the graph into islands
// (docs/graph.md, "Peers").
namespace chaincast::graph {
namespace {

Contact contact_of(const Entry& entry) {
  const wire::NodeRecord& said = entry.record->said;
  return {entry.id(), said.addresses.front(), static_cast<uint16_t>(said.links.size())};
}

template <typename T>
void shuffle(std::vector<T>& list, Random& random) {
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random.below(i)]);
}

// The same at every node that holds the same view, so that one acts and not all of them.
bool is_elected(const Topology& topology, uint32_t self, const std::vector<uint32_t>& group_of) {
  for (uint32_t node = 0; node < topology.nodes.size(); ++node) {
    if (group_of[node] != group_of[self]) continue;
    const auto rank = std::pair(topology.degree(node), node);
    if (rank < std::pair(topology.degree(self), self)) return false;
  }
  return true;
}

}  // namespace

void Member::look_soon(TimeNs now_ns) {
  if (!is_started_) return;
  look_interval_ns_ = config_.peering_interval_ns;
  look_at_ns_ = std::min(look_at_ns_, now_ns + random_.below(300 * ns_per_ms));
}

TimeNs Member::paced(TimeNs interval_ns) const {
  return interval_ns * std::max<size_t>(view_.live(), config_.paced_nodes) / config_.paced_nodes;
}

unsigned Member::links_in(const Entry& entry, const wire::ResourceId& resource) const {
  const auto members = members_.find(resource);
  CC_ASSERT(members != members_.end());
  unsigned count = 0;
  for (const wire::LinkEnd& link : entry.record->said.links) {
    count += members->second.contains(link.peer) ? 1u : 0u;
  }
  return count;
}

bool Member::has_link_inside(const wire::ResourceId& resource) const {
  return std::any_of(links_.begin(), links_.end(), [&](const Link& link) {
    if (link.is_suspected) return false;
    if (link.inside == resource) return true;
    const Entry* entry = view_.find(link.id);
    if (!entry) return false;
    const wire::Subscription* theirs = wire::subscription_of(entry->record->said, resource);
    return theirs != nullptr && !theirs->is_private;
  });
}

void Member::look_after_links(TimeNs now_ns, Output& out) {
  look_at_ns_ = now_ns + look_interval_ns_ + random_.below(look_interval_ns_ / 4 + 1);
  note_apart(now_ns);
  if (attempt_) return;
  std::optional<Need> need = next_need(now_ns);
  if (!need) need = better_need(now_ns);
  if (need) {
    std::vector<Contact> candidates = candidates_for(*need, now_ns);
    const bool is_wanted = !need->replaces;
    if (!candidates.empty()) begin(std::move(*need), std::move(candidates), now_ns, out);
    if (attempt_ && is_wanted) return;
  }
  look_interval_ns_ = std::min(2 * look_interval_ns_, config_.peering_idle_ns);
}

std::optional<Member::Need> Member::next_need(TimeNs now_ns) {
  for (const wire::Subscription& s : self_.resources) {
    if (auto need = inside_need(s.resource, now_ns)) return need;
  }
  if (auto need = whole_need(now_ns)) return need;
  unsigned links = 0, at_random = 0;
  for (const Link& link : links_) {
    links += link.is_suspected ? 0 : 1;
    at_random += link.is_random && !link.is_suspected ? 1u : 0u;
  }
  Need need;
  need.is_urgent = links == 0 && asked_.empty();
  // Half of its links are a newcomer's to ask for; the other half are left to those that come
  // after it, or to nodes that lack some as well. Else each newcomer would add more than it needs.
  need.to_less_than_target = links >= config_.links_target / 2;
  if (links >= config_.links_target && at_random >= config_.random_min) short_since_ns_ = 0;
  const bool lacks_random = at_random < config_.random_min;
  if (links >= config_.links_target && !lacks_random) return std::nullopt;
  if (short_since_ns_ == 0) short_since_ns_ = now_ns;
  const bool has_waited = now_ns - short_since_ns_ >= 10 * config_.peering_interval_ns;
  if (lacks_random && (at_random < (config_.random_min + 1) / 2 || has_waited)) {
    need.kind = Need::Kind::random;
    need.to_less_than_target = need.to_less_than_target && !has_waited;
    return need;
  }
  if (links >= config_.links_target) return std::nullopt;
  if (has_waited && links + 2 <= config_.links_target) need.to_less_than_target = false;
  return need;
}

// With nothing lacking, a link that was not picked at random is compared with what else
// there is. Only a partner that has links to spare loses one.
std::optional<Member::Need> Member::better_need(TimeNs now_ns) {
  // After a loss, mending comes first.
  if (lost_link_ns_ != 0 && now_ns - lost_link_ns_ < 2 * config_.settled_ns) return std::nullopt;
  if (now_ns < better_at_ns_) return std::nullopt;
  better_interval_ns_ = std::clamp(better_interval_ns_ * 9 / 8, config_.better_interval_ns,
                                   config_.better_interval_max_ns);
  const TimeNs interval_ns = paced(better_interval_ns_);
  better_at_ns_ = now_ns + interval_ns / 2 + random_.below(interval_ns);
  std::vector<const Link*> may_go;
  for (const Link& link : links_) {
    const bool is_settled = now_ns - link.up_ns >= config_.settled_ns;
    if (is_settled && !link.is_random && !link.is_suspected) may_go.push_back(&link);
  }
  if (may_go.empty()) return std::nullopt;
  // Not always the farthest, for which there may be nothing nearer, but the farthest of three.
  const Link* far = may_go[random_.below(may_go.size())];
  for (unsigned i = 0; i < 2; ++i) {
    const Link* other = may_go[random_.below(may_go.size())];
    if (other->rtt_us > far->rtt_us) far = other;
  }
  const Entry* entry = view_.find(far->id);
  if (!entry || entry->record->said.links.size() < config_.links_target) return std::nullopt;
  Need need;
  need.replaces = far->id;
  need.replaced_rtt_us = far->rtt_us;
  for (const auto& [resource, members] : members_) {
    if (!members.contains(far->id)) continue;
    need.kind = Need::Kind::inside;
    need.resource = resource;
    if (links_in(*entry, resource) <= config_.inside_target / 2) return std::nullopt;
  }
  return need;
}

std::optional<Member::Need> Member::inside_need(const wire::ResourceId& resource, TimeNs now_ns) {
  const std::set<NodeId>& members = members_.at(resource);
  if (members.size() < 2) return std::nullopt;
  unsigned inside = 0;
  for (const Link& link : links_) {
    inside += !link.is_suspected && members.contains(link.id) ? 1u : 0u;
  }
  const size_t target = std::min<size_t>(config_.inside_target, members.size() - 1);
  if (inside < target) {
    // Nobody to ask now: other subnetworks must not wait for this one.
    const bool has_some = std::any_of(members.begin(), members.end(), [&](const NodeId& member) {
      return member != id_ && !link_of(member) && !refused_until_.contains(member) &&
             !barred_until_.contains({member, resource});
    });
    if (!has_some) return std::nullopt;
    Need need;
    need.kind = Need::Kind::inside;
    need.resource = resource;
    need.is_urgent = inside == 0 && asked_.empty();
    need.to_less_than_target = inside >= (target + 1) / 2;
    return need;
  }
  if (publish_at_ns_ != time_never) return std::nullopt;  // what others see is about to change
  // A large subnetwork changes all the time, and costs more to look at.
  TimeNs& looked_ns = looked_inside_ns_[resource];
  const TimeNs pause_ns = members.size() > 40 ? members.size() * (50 * ns_per_ms) : 0;
  if (looked_ns != 0 && now_ns - looked_ns < pause_ns) return std::nullopt;
  looked_ns = now_ns;
  std::vector<EntryRef> entries;
  for (const NodeId& id : members) {
    if (const Entry* entry = view_.find(id)) entries.push_back(EntryRef(entry));
  }
  const Topology topology = topology_of(std::move(entries));
  auto need = weak_need(topology, analyse(topology));
  if (need) {
    need->kind = Need::Kind::inside;
    need->resource = resource;
  }
  return need;
}

// The whole graph is looked at when it has been quiet, since equal views share the analysis then;
// or after a minute, since a large network is never quiet.
std::optional<Member::Need> Member::whole_need(TimeNs now_ns) {
  const bool is_quiet = now_ns - changed_ns_ >= 2 * ns_per_s && analysed_ns_ < changed_ns_;
  const bool is_due = analysed_ns_ < changed_ns_ && now_ns - analysed_ns_ >= paced(60 * ns_per_s);
  if (!is_quiet && !is_due) return std::nullopt;
  analysed_ns_ = now_ns;
  const auto analysed = analyst_.of(view_);
  return weak_need(analysed->topology, analysed->analysis);
}

// A component, or a leaf block, reaches out through the least busy of its nodes.
std::optional<Member::Need> Member::weak_need(const Topology& topology, const Analysis& analysis) {
  const uint32_t self = topology.position(id_);
  if (self == topology.nodes.size() || analysis.is_biconnected()) return std::nullopt;
  const bool is_split = !analysis.is_connected();
  const std::vector<uint32_t>& group_of = is_split ? analysis.component : analysis.leaf_block;
  if (group_of[self] == no_block || !is_elected(topology, self, group_of)) return std::nullopt;
  Need need;
  need.kind = Need::Kind::random;
  need.is_urgent = true;
  for (uint32_t node = 0; node < topology.nodes.size(); ++node) {
    if (group_of[node] != group_of[self] && group_of[node] != no_block) {
      need.only.push_back(topology.nodes[node]->id());
    }
  }
  if (need.only.empty()) return std::nullopt;
  return need;
}

bool Member::is_candidate(const Entry& entry, const Need& need) const {
  const wire::NodeRecord& said = entry.record->said;
  const NodeId& id = entry.id();
  const bool is_linked =
      std::any_of(links_.begin(), links_.end(), [&](const Link& link) { return link.id == id; });
  if (id == id_ || is_linked || entry.standing != Standing::alive || said.addresses.empty() ||
      refused_until_.contains(id)) {
    return false;
  }
  if (need.kind == Need::Kind::inside && barred_until_.contains({id, need.resource})) return false;
  if (said.links.size() >= (need.is_urgent ? config_.links_hard_max : config_.links_max)) {
    return false;
  }
  if (!need.to_less_than_target) return true;
  return need.kind == Need::Kind::inside ? links_in(entry, need.resource) < config_.inside_target
                                         : said.links.size() < config_.links_target;
}

// Partners of near partners are near: at most both round trips together, as far as the triangle
// inequality holds. What others say of a round trip only decides who is probed.
std::vector<Member::Ranked> Member::near_by(const Need& need, TimeNs now_ns) {
  std::map<NodeId, uint32_t> found;
  for (const Link& link : links_) {
    const Entry* partner = view_.find(link.id);
    if (link.is_suspected || link.rtt_us == 0 || !partner) continue;
    for (const wire::LinkEnd& end : partner->record->said.links) {
      if (end.rtt_us == 0 || end.peer == id_) continue;
      const auto [at, is_new] = found.try_emplace(end.peer, link.rtt_us + end.rtt_us);
      if (!is_new) at->second = std::min(at->second, link.rtt_us + end.rtt_us);
    }
  }
  std::vector<Ranked> out;
  for (const auto& [id, rtt_us] : found) {
    if (auto ranked = ranked_of(view_.find(id), need, now_ns)) {
      ranked->rtt_us = rtt_us;
      out.push_back(*ranked);
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Ranked& a, const Ranked& b) { return a.rtt_us < b.rtt_us; });
  return out;
}

std::optional<Member::Ranked> Member::ranked_of(const Entry* entry, const Need& need,
                                                TimeNs now_ns) const {
  if (!entry || !is_candidate(*entry, need) || is_shunned(entry->id(), now_ns)) return std::nullopt;
  Ranked out;
  out.contact = contact_of(*entry);
  out.degree = static_cast<unsigned>(entry->record->said.links.size());
  if (need.kind == Need::Kind::inside) {
    if (!members_.at(need.resource).contains(entry->id())) return std::nullopt;
    out.degree = links_in(*entry, need.resource);
  }
  return out;
}

std::vector<Contact> Member::candidates_for(const Need& need, TimeNs now_ns) {
  std::erase_if(refused_until_, [&](const auto& refused) { return refused.second <= now_ns; });
  std::vector<Ranked> ranked;
  const auto consider = [&](const Entry* entry) {
    if (auto one = ranked_of(entry, need, now_ns)) ranked.push_back(*one);
  };
  if (!need.only.empty()) {
    for (const NodeId& id : need.only) consider(view_.find(id));
  } else if (need.kind == Need::Kind::inside) {
    for (const NodeId& id : members_.at(need.resource)) consider(view_.find(id));
  } else {
    std::set<size_t> positions;
    for (unsigned i = 0; i < config_.sample; ++i) positions.insert(random_.below(view_.live()));
    for (const size_t position : positions) consider(view_.live_at(position).get());
  }
  unsigned lowest = ~0u;
  for (const Ranked& r : ranked) lowest = std::min(lowest, r.degree);
  std::erase_if(ranked, [&](const Ranked& r) { return r.degree > lowest + 1; });
  shuffle(ranked, random_);
  std::vector<Contact> out;
  if (need.only.empty() && need.kind != Need::Kind::random) {
    for (const Ranked& r : near_by(need, now_ns)) {
      if (out.size() == config_.probes_max / 2) break;
      if (r.degree <= lowest + config_.near_slack) out.push_back(r.contact);
    }
  }
  const size_t count = need.kind == Need::Kind::random ? 1 : config_.probes_max;
  for (const Ranked& r : ranked) {
    if (out.size() == count) break;
    const bool is_in =
        std::any_of(out.begin(), out.end(), [&](const Contact& c) { return c.id == r.contact.id; });
    if (!is_in) out.push_back(r.contact);
  }
  return out;
}

void Member::begin(Need need, std::vector<Contact> candidates, TimeNs now_ns, Output& out) {
  attempt_ = Attempt{};
  attempt_->need = std::move(need);
  attempt_->candidates = std::move(candidates);
  attempt_->started_ns = now_ns;
  if (attempt_->candidates.size() == 1 && !attempt_->need.replaces) {
    return ask(attempt_->candidates.front(), now_ns, out);
  }
  attempt_->probed_ns.assign(attempt_->candidates.size(), now_ns);
  for (const Contact& contact : attempt_->candidates) {
    ++counters_.probes;
    send({contact.id, contact.address}, make_message(Ping{now_ns, Digest{}, false}), out);
  }
}

// Making a session takes round trips as well, so the first answer only says that there is one; the
// second is measured.
bool Member::on_probe_answer(const Peer& from, uint64_t nonce, TimeNs now_ns, Output& out) {
  if (!attempt_ || attempt_->is_asking) return false;
  for (size_t i = 0; i < attempt_->candidates.size(); ++i) {
    TimeNs& probed_ns = attempt_->probed_ns[i];
    if (attempt_->candidates[i].id != from.id || probed_ns != nonce) continue;
    if (nonce == attempt_->started_ns) {
      probed_ns = now_ns;
      send(from, make_message(Ping{now_ns, Digest{}, false}), out);
      return true;
    }
    attempt_->answers.emplace_back(static_cast<uint32_t>((now_ns - nonce) / ns_per_us), i);
    return true;
  }
  return false;
}

void Member::go_on_with_attempt(TimeNs now_ns, Output& out) {
  const TimeNs waited_ns = now_ns - attempt_->started_ns;
  if (attempt_->is_asking) {
    if (waited_ns < config_.attach_wait_ns) return;
    refused_until_[attempt_->asked.id] = now_ns + config_.refused_for_ns;
    return end_attempt(now_ns + random_.below(500 * ns_per_ms));
  }
  const bool all_answered = attempt_->answers.size() == attempt_->candidates.size();
  if (!all_answered && waited_ns < config_.probe_wait_ns) return;
  if (attempt_->answers.empty()) {
    for (const Contact& c : attempt_->candidates) {
      refused_until_[c.id] = now_ns + config_.refused_for_ns;
    }
    return end_attempt(now_ns + random_.below(500 * ns_per_ms));
  }
  const auto nearest = *std::min_element(attempt_->answers.begin(), attempt_->answers.end());
  // Much nearer, or the change is not worth its announcements.
  const Need& need = attempt_->need;
  const uint64_t gain_us = std::max<uint64_t>(config_.better_by_us, need.replaced_rtt_us / 4);
  if (need.replaces && nearest.first + gain_us > need.replaced_rtt_us) {
    better_interval_ns_ = std::min(better_interval_ns_ * 3, config_.better_interval_max_ns);
    attempt_.reset();
    return;
  }
  ask(attempt_->candidates[nearest.second], now_ns, out);
}

void Member::ask(const Contact& contact, TimeNs now_ns, Output& out) {
  const Need& need = attempt_->need;
  attempt_->is_asking = true;
  attempt_->started_ns = now_ns;
  attempt_->asked = {contact.id, contact.address};
  Attach attach;
  attach.record = view_.find(id_)->record;
  attach.has_resource = need.kind == Need::Kind::inside;
  attach.resource = need.resource;
  attach.is_random = need.kind == Need::Kind::random;
  attach.is_urgent = need.is_urgent;
  asked_.push_back({contact.id, std::nullopt, attach.is_random, now_ns});
  if (attach.has_resource) asked_.back().inside = attach.resource;
  ++counters_.attaches_sent;
  send(attempt_->asked, make_message(std::move(attach)), out);
}

void Member::end_attempt(TimeNs next_look_ns) {
  attempt_.reset();
  look_interval_ns_ = config_.peering_interval_ns;
  look_at_ns_ = std::min(look_at_ns_, next_look_ns);
}

void Member::attach(const Contact& to, const std::optional<wire::ResourceId>& resource,
                    TimeNs now_ns, Output& out) {
  CC_ASSERT(is_started_);
  Attach attach;
  attach.record = view_.find(id_)->record;
  attach.has_resource = resource.has_value();
  if (resource) attach.resource = *resource;
  if (asked_.size() >= config_.remembered_max) asked_.erase(asked_.begin());
  asked_.push_back({to.id, resource, false, now_ns});
  ++counters_.attaches_sent;
  send({to.id, to.address}, make_message(std::move(attach)), out);
}

Redirect Member::redirect(const RedirectRequest& request) {
  constexpr size_t wanted = 8;
  Redirect out;
  std::vector<EntryRef> inside;
  if (request.has_resource) {
    const auto members = members_.find(request.resource);
    if (members != members_.end()) {
      for (const NodeId& id : members->second) {
        if (const Entry* entry = view_.find(id)) inside.push_back(EntryRef(entry));
      }
    } else {
      std::vector<EntryRef> all;
      view_.live_below({}, all);
      for (EntryRef& entry : all) {
        if (wire::subscription_of(entry->record->said, request.resource))
          inside.push_back(std::move(entry));
      }
    }
  }
  const auto is_liar = [&](const EntryRef& entry) {
    return std::any_of(liars_.begin(), liars_.end(),
                       [&](const Liar& liar) { return liar.node == entry->id(); });
  };
  std::erase_if(inside, [&](const EntryRef& entry) {
    return is_liar(entry) || entry->standing != Standing::alive ||
           entry->record->said.addresses.empty();
  });
  shuffle(inside, random_);
  for (const EntryRef& entry : inside) {
    if (out.inside.size() < wanted) out.inside.push_back(contact_of(*entry));
  }
  for (unsigned i = 0; i < 2 * wanted && out.outside.size() < wanted; ++i) {
    const EntryRef entry = view_.live_at(random_.below(view_.live()));
    const auto is_named = std::any_of(out.outside.begin(), out.outside.end(),
                                      [&](const Contact& c) { return c.id == entry->id(); });
    if (is_named || is_liar(entry) || entry->standing != Standing::alive ||
        entry->record->said.addresses.empty()) {
      continue;
    }
    out.outside.push_back(contact_of(*entry));
  }
  return out;
}

}  // namespace chaincast::graph
