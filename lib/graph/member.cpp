// SPDX-License-Identifier: BSD-3-Clause
#include "graph/member.hpp"

#include <algorithm>
#include <cmath>

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
  note_speaker(from.id, now_ns);
  take(from, message, now_ns, out);
}

void Member::take(const Peer& from, const Message& message, TimeNs now_ns, Output& out) {
  const bool is_for_a_link =
      std::holds_alternative<Attach>(message) || std::holds_alternative<Attached>(message);
  if (is_for_a_link && is_shunned(from.id, now_ns)) {
    ++counters_.shunned;
    send(from, make_message(Detach{}), out);
  } else if (const auto* request = std::get_if<RedirectRequest>(&message)) {
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
    take_news(from, *news, now_ns);
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

// A large network has news at any time: gathered for longer, there are fewer messages of more
// facts. What says that a node died does not wait.
TimeNs Member::news_delay_ns(const News& fact) const {
  if (fact.accusation || view_.live() <= config_.paced_nodes) return config_.news_interval_ns;
  const double times = static_cast<double>(view_.live()) / static_cast<double>(config_.paced_nodes);
  return static_cast<TimeNs>(static_cast<double>(config_.news_interval_ns) * std::sqrt(times));
}

// One fact at once: one's own, or one that a link hangs on.
void Member::take_facts(const News& fact, TimeNs now_ns) {
  ++counters_.facts_received;
  const NodeId subject = fact.record ? fact.record->id : fact.accusation->said.suspect;
  const Entry* known = view_.find(subject);
  if (!known && view_.total() >= config_.nodes_max) {
    ++counters_.facts_over_limit;
    seen_.clear();  // there may be room for it later
    return;
  }
  if (fact.record && is_given_up(*fact.record)) {
    ++counters_.facts_stale;
    return;
  }
  if (known && fact.record && known->record->said.counter == fact.record->said.counter &&
      known->record->digest != fact.record->digest) {
    prove(RecordRef(known->record), fact.record, now_ns);
  }
  settle_fact(fact, fact.record ? view_.merge(fact.record) : view_.merge(fact.accusation), now_ns);
}

// A change of one's own copy is passed on; what changes nothing dies here.
void Member::settle_fact(const News& fact, View::Merge merge, TimeNs now_ns) {
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
  if (fact.record) count_withheld(fact, now_ns);
  news_.push_back(fact);
  flush_at_ns_ = std::min(flush_at_ns_, now_ns + news_delay_ns(fact));
  after_change(fact, now_ns);
}

// What others bring waits for the end of the interval, when it would be passed on: merging all of
// it in one pass makes each part of the view anew once.
void Member::take_news(const Peer& from, const graph::News& news, TimeNs now_ns) {
  Link* link = link_of(from.id);
  for (const RecordRef& record : news.records) {
    if (link) count_brought(*link, *record);
    if (is_given_up(*record) || seen_.insert(view_.store().serial(*record))) {
      incoming_.push_back({record, {}, from.id});
      continue;
    }
    ++counters_.facts_received;
    ++counters_.facts_known;
  }
  for (const AccusationRef& a : news.accusations) incoming_.push_back({{}, a, from.id});
  if (incoming_.empty()) return;
  flush_at_ns_ = std::min(flush_at_ns_, now_ns + news_delay_ns(incoming_.back()));
  if (incoming_.size() >= config_.incoming_max) take_incoming(now_ns);
}

void Member::take_incoming(TimeNs now_ns) {
  std::vector<News> records = std::exchange(incoming_, {});
  std::vector<News> accusations;
  for (News& fact : records) {
    if (fact.accusation) accusations.push_back(std::move(fact));
  }
  std::erase_if(records, [](const News& fact) { return !fact.record; });
  // Of what was given up, that which the rest brings back.
  while (!records.empty()) {
    const auto held = std::stable_partition(records.begin(), records.end(),
                                            [&](const News& f) { return !is_given_up(*f.record); });
    if (held == records.begin()) break;
    std::vector<News> taken(std::make_move_iterator(records.begin()),
                            std::make_move_iterator(held));
    records.erase(records.begin(), held);
    if (view_.total() + taken.size() > config_.nodes_max) {
      for (const News& fact : taken) take_facts(fact, now_ns);
    } else {
      take_records(taken, now_ns);
    }
  }
  counters_.facts_received += records.size();
  counters_.facts_stale += records.size();
  // A suspicion counts only beside the record that it is about.
  for (const News& fact : accusations) take_facts(fact, now_ns);
}

void Member::take_records(const std::vector<News>& facts, TimeNs now_ns) {
  counters_.facts_received += facts.size();
  struct Place {
    uint64_t front = 0;  // of the subject's id
    size_t at = 0;       // in `facts`
  };
  std::vector<Place> order;
  order.reserve(facts.size());
  for (size_t i = 0; i < facts.size(); ++i) {
    order.push_back({load_be64(facts[i].record->id.bytes.data()), i});
  }
  // Of several records of one node the one that stands comes first.
  std::sort(order.begin(), order.end(), [&](const Place& a, const Place& b) {
    if (a.front != b.front) return a.front < b.front;
    const Record& one = *facts[a.at].record;
    const Record& other = *facts[b.at].record;
    if (one.id != other.id) return one.id < other.id;
    if (one.digest != other.digest) return supersedes(one, other);
    return a.at < b.at;
  });
  std::vector<RecordRef> records;
  std::vector<size_t> places;  // of each record, in `facts`
  records.reserve(order.size());
  places.reserve(order.size());
  for (const Place& place : order) {
    const RecordRef& record = facts[place.at].record;
    if (records.empty() || records.back()->id != record->id) {
      records.push_back(record);
      places.push_back(place.at);
      continue;
    }
    ++counters_.facts_stale;
    const Record& newer = *records.back();
    if (newer.said.counter == record->said.counter && newer.digest != record->digest) {
      prove(records.back(), record, now_ns);
    }
  }
  std::vector<View::Merge> outcomes;
  std::vector<std::pair<RecordRef, RecordRef>> lies;
  view_.merge(records, outcomes, lies);
  for (const auto& [one, other] : lies) prove(one, other, now_ns);
  for (size_t i = 0; i < records.size(); ++i) settle_fact(facts[places[i]], outcomes[i], now_ns);
}

void Member::after_change(const News& fact, TimeNs now_ns) {
  changed_ns_ = now_ns;
  const NodeId& subject = fact.record ? fact.record->id : fact.accusation->said.suspect;
  if (subject == id_) return on_own_entry(now_ns);
  // A new record is accused by nobody yet.
  const Entry* entry = fact.record ? nullptr : view_.find(subject);
  const Record& record = fact.record ? *fact.record : *entry->record;
  const bool has_died = entry && entry->standing == Standing::dead;
  const bool is_live = !has_died && !record.said.has_left;
  look_at_members(subject, record, is_live, now_ns);
  if (fact.record) take_back_partners(record);
  const auto is_accused = [&](const Accused& a) { return a.id == subject; };
  if (fact.record && std::any_of(accused_.begin(), accused_.end(), is_accused)) {
    accuse_again_ns_ = std::min(accuse_again_ns_, now_ns + 50 * ns_per_ms);
  }
  if (has_died || (entry && entry->accusations.size() == 1)) note_partners(record, now_ns);
  if (is_live) return note_silent(record, entry != nullptr, now_ns);
  ++counters_.deaths_seen;
  if (has_died && gone_.size() < config_.remembered_max) gone_.push_back({subject, now_ns});
  if (link_of(subject)) has_dead_links_ = true;
  if (!accused_.empty()) accuse_again_ns_ = std::min(accuse_again_ns_, now_ns + 50 * ns_per_ms);
}

void Member::look_at_members(const NodeId& subject, const Record& record, bool is_live,
                             TimeNs now_ns) {
  for (auto& [resource, members] : members_) {
    const bool is_in = is_live && wire::subscription_of(record.said, resource) != nullptr;
    const bool has_changed = is_in ? members.insert(subject).second : members.erase(subject) > 0;
    // Sooner than else, but a search for better links that found none is not begun anew. In a large
    // subnetwork members come and go all the time.
    const TimeNs within_ns = 2 * ns_per_s + members.size() * (40 * ns_per_ms);
    if (has_changed) look_at_ns_ = std::min(look_at_ns_, now_ns + random_.below(within_ns));
  }
}

// Others may hold a newer record of this node than it does (a restart that lost its counter), or
// accuse it: a higher counter answers both.
void Member::on_own_entry(TimeNs now_ns) {
  const Entry* own = view_.find(id_);
  const bool is_mine = own->record->said.counter == counter_ && own->accusations.empty() &&
                       own->record->said.has_left == has_left_;
  if (is_mine) return;
  count_false_suspicions(*own, now_ns);
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

// What was overtaken meanwhile is left out: whoever says something new of itself all the time is
// passed on once an interval.
bool Member::is_current(const News& fact) const {
  if (fact.is_proof) return true;
  const Entry* entry = view_.find(fact.record ? fact.record->id : fact.accusation->said.suspect);
  if (!entry) return false;
  return fact.record ? entry->record->digest == fact.record->digest
                     : entry->record->said.counter == fact.accusation->said.counter;
}

void Member::flush_news(TimeNs now_ns, Output& out) {
  const auto waiting = static_cast<ptrdiff_t>(news_.size());
  take_incoming(now_ns);  // each node at most once, and all of it current
  const auto end = news_.begin() + waiting;
  news_.erase(
      std::remove_if(news_.begin(), end, [&](const News& fact) { return !is_current(fact); }), end);
  flush_at_ns_ = time_never;
  const auto messages_for = [&](const NodeId& to) {
    std::vector<MessagePtr> messages;
    graph::News batch;
    batch.records.reserve(std::min(news_.size(), news_facts_max));
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
  news_ = {};
}

void Member::tick(TimeNs now_ns, Output& out) {
  if (!is_started_ || has_left_) return;
  if (has_dead_links_) drop_dead_links(now_ns, out);
  if (watch_at_ns_ <= now_ns) watch_links(now_ns, out);
  if (accuse_again_ns_ <= now_ns) accuse_again(now_ns);
  if (silent_at_ns_ <= now_ns) give_up_silent(now_ns, out);
  if (lost_at_ns_ <= now_ns) probe_lost(now_ns, out);
  if (attempt_) go_on_with_attempt(now_ns, out);
  if (look_at_ns_ <= now_ns) look_after_links(now_ns, out);
  if (publish_at_ns_ <= now_ns) publish(now_ns);
  if (flush_at_ns_ <= now_ns) flush_news(now_ns, out);
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
  flush_news(now_ns, out);
  for (const Link& link : links_) send({link.id, link.address}, make_message(Detach{}), out);
  links_.clear();
}

void Member::adopt(const PartRef& root, TimeNs now_ns) {
  std::vector<NodeId> conflicts;
  view_.merge(root, conflicts);
  given_up_.clear();
  seen_.clear();  // a vote may have preferred what was overtaken before
  changed_ns_ = now_ns;
  std::vector<EntryRef> all;
  view_.live_below({}, all);
  for (auto& [resource, members] : members_) collect_members(all, resource, members);
  for (const EntryRef& entry : all) {
    note_silent(*entry->record, entry->standing == Standing::suspected, now_ns);
  }
  on_own_entry(now_ns);
  look_soon(now_ns);
}

void Member::collect_members(const std::vector<EntryRef>& all, const wire::ResourceId& resource,
                             std::set<NodeId>& members) {
  for (const EntryRef& entry : all) {
    if (wire::subscription_of(entry->record->said, resource)) members.insert(entry->id());
  }
}

void Member::set_degree(unsigned links, TimeNs now_ns) {
  CC_ASSERT(links >= 2 && links <= wire::node_links_max / 2);
  config_.set_degree(links);
  look_soon(now_ns);
}

void Member::set_addresses(std::vector<Endpoint> addresses, TimeNs now_ns) {
  if (self_.addresses == addresses) return;
  self_.addresses = std::move(addresses);
  if (is_started_ && !has_left_) touch_record(now_ns);
}

void Member::set_resources(std::vector<wire::Subscription> resources,
                           std::map<wire::ResourceId, std::set<NodeId>> guests, TimeNs now_ns) {
  self_.resources = std::move(resources);
  self_.guests = std::move(guests);
  std::vector<EntryRef> all;
  view_.live_below({}, all);
  std::map<wire::ResourceId, std::set<NodeId>> members;
  for (const wire::Subscription& s : self_.resources) {
    members[s.resource].insert(id_);
    collect_members(all, s.resource, members[s.resource]);
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

bool Member::is_linked(const NodeId& peer) const {
  return std::any_of(links_.begin(), links_.end(),
                     [&](const Link& link) { return link.id == peer && !link.is_suspected; });
}

size_t Member::private_bytes() const {
  constexpr size_t tree_node_bytes = 48;  // of std::map and std::set, beside what they hold
  size_t bytes = sizeof *this + links_.capacity() * sizeof(Link) + news_.capacity() * sizeof(News);
  bytes += incoming_.capacity() * sizeof(News) + liars_.capacity() * sizeof(Liar);
  bytes += asked_.capacity() * sizeof(Asked) + accused_.capacity() * sizeof(Accused);
  bytes += silent_.size() * (tree_node_bytes + sizeof(Silent));
  bytes += given_up_.size() * (tree_node_bytes + sizeof(GivenUp));
  bytes += gone_.size() * sizeof(Gone) + refused_until_.size() * (tree_node_bytes + 24);
  for (const auto& [resource, members] : members_) {
    bytes += tree_node_bytes * 2 + members.size() * (tree_node_bytes + sizeof(NodeId));
  }
  if (attempt_) bytes += attempt_->candidates.capacity() * sizeof(Contact);
  return bytes;
}

}  // namespace chaincast::graph
