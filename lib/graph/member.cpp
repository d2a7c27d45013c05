// SPDX-License-Identifier: BSD-3-Clause
#include "graph/member.hpp"

#include <algorithm>

namespace chaincast::graph {

Member::Member(const MemberConfig& config, Self self, Store& store, Analyst& analyst,
               const Authority& authority, const crypto::Signer& signer, uint64_t seed)
    : config_(config),
      self_(std::move(self)),
      analyst_(analyst),
      authority_(authority),
      signer_(signer),
      random_(seed),
      id_(id_of(authority.toolbox, signer.public_key())),
      view_(store),
      counter_(self_.first_counter),
      look_interval_ns_(config.peering_interval_ns) {
  CC_ASSERT(config.links_hard_max <= wire::node_links_max);
  CC_ASSERT(config.links_target <= config.links_max && config.links_max <= config.links_hard_max);
  for (const wire::Subscription& s : self_.resources) members_[s.resource].insert(id_);
}

void Member::start(TimeNs now_ns) {
  CC_ASSERT(!is_started_);
  is_started_ = true;
  publish(now_ns);
  look_soon(now_ns);
  lost_at_ns_ = now_ns + config_.lost_interval_ns + random_.below(config_.lost_interval_ns);
}

bool Member::is_own(const wire::ResourceId& resource) const {
  return members_.contains(resource);
}

Member::Link* Member::link_of(const NodeId& id) {
  const auto at = std::lower_bound(links_.begin(), links_.end(), id,
                                   [](const Link& link, const NodeId& i) { return link.id < i; });
  return at != links_.end() && at->id == id ? &*at : nullptr;
}

void Member::send(const Peer& to, MessagePtr message, Output& out) {
  out.sends.push_back({to, std::move(message)});
}

void Member::on_message(const Peer& from, const Message& message, TimeNs now_ns, Output& out) {
  if (!is_started_ || has_left_ || from.id == id_) {
    ++counters_.ignored;
    return;
  }
  if (Link* link = link_of(from.id)) {
    link->heard_ns = now_ns;
    link->is_suspected = false;
    link->address = from.address;
  }
  std::erase_if(accused_, [&](const Accused& a) { return a.id == from.id; });
  take(from, message, now_ns, out);
}

void Member::take(const Peer& from, const Message& message, TimeNs now_ns, Output& out) {
  if (const auto* request = std::get_if<RedirectRequest>(&message)) {
    send(from, make_message(redirect(*request)), out);
  } else if (const auto* attach = std::get_if<Attach>(&message)) {
    on_attach(from, *attach, now_ns, out);
  } else if (const auto* attached = std::get_if<Attached>(&message)) {
    on_attached(from, *attached, now_ns, out);
  } else if (const auto* refused = std::get_if<Refused>(&message)) {
    on_refused(from, *refused, now_ns);
  } else if (std::holds_alternative<Detach>(message)) {
    if (link_of(from.id)) drop_link(from.id, now_ns, out);
  } else if (const auto* ping = std::get_if<Ping>(&message)) {
    on_ping(from, *ping, now_ns, out);
  } else if (const auto* pong = std::get_if<Pong>(&message)) {
    on_pong(from, *pong, now_ns, out);
  } else if (const auto* news = std::get_if<graph::News>(&message)) {
    for (const RecordRef& record : news->records) take_facts({record, {}, from.id}, now_ns);
    for (const AccusationRef& a : news->accusations) take_facts({{}, a, from.id}, now_ns);
  } else if (const auto* compare = std::get_if<Compare>(&message)) {
    on_compare(from, *compare, out);
  } else if (const auto* fetch = std::get_if<Fetch>(&message)) {
    on_fetch(from, *fetch, out);
  } else if (std::holds_alternative<GraphRequest>(message)) {
    send(from, make_message(Graph{view_.root()}), out);
  } else {
    ++counters_.ignored;  // answers to a join that is over
  }
}

// A change of one's own copy is passed on; what changes nothing dies here.
void Member::take_facts(const News& fact, TimeNs now_ns) {
  ++counters_.facts_received;
  const NodeId subject = fact.record ? fact.record->id : fact.accusation->said.suspect;
  if (view_.total() >= config_.nodes_max && !view_.find(subject)) {
    ++counters_.facts_over_limit;
    return;
  }
  if (fact.record && is_given_up(*fact.record)) {
    ++counters_.facts_stale;
    return;
  }
  const View::Merge merge = fact.record ? view_.merge(fact.record) : view_.merge(fact.accusation);
  switch (merge) {
    case View::Merge::changed:
      break;
    case View::Merge::known:
      ++counters_.facts_known;
      return;
    case View::Merge::stale:
      ++counters_.facts_stale;
      return;
    case View::Merge::unknown_subject:
      ++counters_.facts_of_unknown;
      return;
  }
  ++counters_.facts_changed;
  news_.push_back(fact);
  flush_at_ns_ = std::min(flush_at_ns_, now_ns + config_.news_interval_ns);
  after_change(subject, now_ns);
}

void Member::after_change(const NodeId& subject, TimeNs now_ns) {
  changed_ns_ = now_ns;
  if (subject == id_) return on_own_entry(now_ns);
  const Entry* entry = view_.find(subject);
  CC_ASSERT(entry != nullptr);
  const auto& resources = entry->record->said.resources;
  for (auto& [resource, members] : members_) {
    const bool is_in = entry->is_live && std::any_of(resources.begin(), resources.end(),
                                                     [&resource = resource](const auto& s) {
                                                       return s.resource == resource;
                                                     });
    const bool has_changed = is_in ? members.insert(subject).second : members.erase(subject) > 0;
    // Sooner than else, but a search for better links that found none is not begun anew.
    if (has_changed) look_at_ns_ = std::min(look_at_ns_, now_ns + random_.below(2 * ns_per_s));
  }
  if (entry->is_live) return note_silent(*entry, now_ns);
  ++counters_.deaths_seen;
  if (entry->standing == Standing::dead && gone_.size() < config_.remembered_max) {
    gone_.push_back({subject, now_ns});
  }
  if (link_of(subject)) has_dead_links_ = true;
  if (!accused_.empty()) accuse_again_ns_ = std::min(accuse_again_ns_, now_ns + 50 * ns_per_ms);
}

// Others may hold a newer record of this node than it does (a restart that lost its counter), or
// accuse it: a higher counter answers both.
void Member::on_own_entry(TimeNs now_ns) {
  const Entry* own = view_.find(id_);
  const bool is_mine = own->record->said.counter == counter_ && own->accusations.empty() &&
                       own->record->said.has_left == has_left_;
  if (is_mine) return;
  counter_ = std::max(counter_, own->record->said.counter);
  ++counters_.refutations;
  // At once, but whoever accuses again and again gets no faster answers than anyone.
  if (now_ns - published_ns_ >= config_.record_interval_ns) return publish(now_ns);
  touch_record(now_ns);
}

void Member::publish(TimeNs now_ns) {
  wire::NodeRecord record;
  record.counter = ++counter_;
  record.roles = self_.roles;
  record.has_left = has_left_;
  record.addresses = self_.addresses;
  record.resources = self_.resources;
  for (const Link& link : links_) {
    if (!link.is_suspected && !has_left_) {
      record.links.push_back({link.id, link.rtt_us, link.is_random});
    }
  }
  const RecordRef fact = sign(std::move(record), authority_, signer_);
  const View::Merge merge = view_.merge(fact);
  CC_ASSERT(merge == View::Merge::changed);
  news_.push_back({fact, {}, id_});
  ++counters_.records_published;
  published_ns_ = changed_ns_ = now_ns;
  publish_at_ns_ = time_never;
  flush_at_ns_ = std::min(flush_at_ns_, now_ns + config_.news_interval_ns);
}

void Member::touch_record(TimeNs now_ns) {
  const TimeNs soonest_ns = std::max(now_ns, published_ns_) + config_.record_interval_ns;
  publish_at_ns_ = std::min(publish_at_ns_, soonest_ns);
}

void Member::flush_news(Output& out) {
  flush_at_ns_ = time_never;
  const auto messages_for = [&](const NodeId& to) {
    std::vector<MessagePtr> messages;
    graph::News batch;
    const auto close = [&] {
      messages.push_back(make_message(std::move(batch)));
      batch = {};
    };
    for (const News& fact : news_) {
      if (fact.from == to) continue;
      if (fact.record) batch.records.push_back(fact.record);
      if (fact.accusation) batch.accusations.push_back(fact.accusation);
      if (batch.records.size() + batch.accusations.size() == news_facts_max) close();
    }
    if (!batch.records.empty() || !batch.accusations.empty()) close();
    return messages;
  };
  // Most links brought none of it, and share one message.
  const std::vector<MessagePtr> common = messages_for(NodeId{});
  for (const Link& link : links_) {
    const bool brought_some = std::any_of(news_.begin(), news_.end(),
                                          [&](const News& fact) { return fact.from == link.id; });
    for (const MessagePtr& message : brought_some ? messages_for(link.id) : common) {
      send({link.id, link.address}, message, out);
    }
  }
  news_.clear();
}

void Member::tick(TimeNs now_ns, Output& out) {
  if (!is_started_ || has_left_) return;
  if (has_dead_links_) drop_dead_links(now_ns, out);
  if (watch_at_ns_ <= now_ns) watch_links(now_ns, out);
  if (accuse_again_ns_ <= now_ns) accuse_again(now_ns);
  if (silent_at_ns_ <= now_ns) give_up_silent(now_ns);
  if (lost_at_ns_ <= now_ns) probe_lost(now_ns, out);
  if (attempt_) go_on_with_attempt(now_ns, out);
  if (look_at_ns_ <= now_ns) look_after_links(now_ns, out);
  if (publish_at_ns_ <= now_ns) publish(now_ns);
  if (flush_at_ns_ <= now_ns) flush_news(out);
}

TimeNs Member::next_timer_ns() const {
  if (!is_started_ || has_left_) return time_never;
  if (has_dead_links_) return 0;
  TimeNs next = std::min(
      {watch_at_ns_, accuse_again_ns_, silent_at_ns_, lost_at_ns_, publish_at_ns_, flush_at_ns_});
  if (attempt_) {
    const bool is_ready =
        !attempt_->is_asking && attempt_->answers.size() == attempt_->candidates.size();
    if (is_ready) return 0;
    const TimeNs wait_ns = attempt_->is_asking ? config_.attach_wait_ns : config_.probe_wait_ns;
    return std::min(next, attempt_->started_ns + wait_ns);
  }
  return std::min(next, look_at_ns_);
}

void Member::leave(TimeNs now_ns, Output& out) {
  if (!is_started_ || has_left_) return;
  has_left_ = true;
  publish(now_ns);
  flush_news(out);
  for (const Link& link : links_) send({link.id, link.address}, make_message(Detach{}), out);
  links_.clear();
}

void Member::adopt(const PartRef& root, TimeNs now_ns) {
  std::vector<NodeId> conflicts;
  view_.merge(root, conflicts);
  changed_ns_ = now_ns;
  for (auto& [resource, members] : members_) collect_members(resource, members);
  std::vector<EntryRef> all;
  view_.live_below({}, all);
  for (const EntryRef& entry : all) note_silent(*entry, now_ns);
  on_own_entry(now_ns);
  look_soon(now_ns);
}

void Member::collect_members(const wire::ResourceId& resource, std::set<NodeId>& members) const {
  std::vector<EntryRef> all;
  view_.live_below({}, all);
  for (const EntryRef& entry : all) {
    const auto& theirs = entry->record->said.resources;
    if (std::any_of(theirs.begin(), theirs.end(),
                    [&](const wire::Subscription& s) { return s.resource == resource; })) {
      members.insert(entry->id());
    }
  }
}

void Member::set_degree(unsigned links, TimeNs now_ns) {
  CC_ASSERT(links >= 2 && links <= wire::node_links_max / 2);
  config_.links_target = links;
  config_.links_max = links + links / 2;
  config_.links_hard_max = std::max(config_.links_hard_max, config_.links_max);
  look_soon(now_ns);
}

void Member::set_resources(std::vector<wire::Subscription> resources,
                           std::map<wire::ResourceId, std::set<NodeId>> guests, TimeNs now_ns) {
  self_.resources = std::move(resources);
  self_.guests = std::move(guests);
  std::map<wire::ResourceId, std::set<NodeId>> members;
  for (const wire::Subscription& s : self_.resources) {
    members[s.resource].insert(id_);
    collect_members(s.resource, members[s.resource]);
  }
  members_ = std::move(members);
  for (Link& link : links_) {
    if (link.inside && !is_own(*link.inside)) link.inside.reset();
  }
  if (!is_started_ || has_left_) return;
  touch_record(now_ns);
  look_soon(now_ns);
}

std::vector<LinkStatus> Member::links() const {
  std::vector<LinkStatus> out;
  for (const Link& link : links_) {
    out.push_back({link.id, link.address, link.rtt_us, link.is_random, link.is_suspected});
  }
  return out;
}

size_t Member::private_bytes() const {
  constexpr size_t tree_node_bytes = 48;  // of std::map and std::set, beside what they hold
  size_t bytes = sizeof *this + links_.capacity() * sizeof(Link) + news_.capacity() * sizeof(News);
  bytes += asked_.capacity() * sizeof(Asked) + accused_.capacity() * sizeof(Accused);
  bytes += gone_.size() * sizeof(Gone) + refused_until_.size() * (tree_node_bytes + 24);
  for (const auto& [resource, members] : members_) {
    bytes += tree_node_bytes * 2 + members.size() * (tree_node_bytes + sizeof(NodeId));
  }
  if (attempt_) bytes += attempt_->candidates.capacity() * sizeof(Contact);
  return bytes;
}

}  // namespace chaincast::graph
