// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// What a member does about nodes that lie (docs/graph.md, "Liars").
namespace chaincast::graph {
namespace {

// A partner that stalled may accuse in good faith once, or twice.
constexpr unsigned false_suspicions_max = 3;
// Of what others bring, an honest partner brings more than one in so many.
constexpr unsigned withheld_share = 8;

}  // namespace

void Member::name(Liar liar, TimeNs now_ns) {
  if (liar.node == id_) return;
  liar.at_ns = now_ns;
  has_dead_links_ = true;  // its link, if there is one
  const auto known = std::find_if(liars_.begin(), liars_.end(), [&](const Liar& l) {
    return l.node == liar.node && l.lie == liar.lie;
  });
  if (known != liars_.end()) {
    known->at_ns = now_ns;
    return;
  }
  if (liars_.size() >= config_.liars_max) {
    ++counters_.liars_over_limit;
    return;
  }
  liars_.push_back(std::move(liar));
}

// Two records under one counter: whoever has only one of them gets both, once.
void Member::prove(const RecordRef& one, const RecordRef& other, TimeNs now_ns) {
  const bool is_known = std::any_of(liars_.begin(), liars_.end(), [&](const Liar& l) {
    return l.node == one->id && l.lie == Lie::two_records;
  });
  name({one->id, Lie::two_records, one, other, now_ns}, now_ns);
  if (is_known || one->id == id_ || liars_.size() >= config_.liars_max) return;
  for (const RecordRef& record : {one, other}) news_.push_back({record, {}, id_, true});
  flush_at_ns_ = std::min(flush_at_ns_, now_ns + config_.news_interval_ns);
}

void Member::on_bad_message(const Peer& from, TimeNs now_ns, Output& out) {
  if (!is_started_ || has_left_) return;
  ++counters_.bad_messages;
  name({from.id, Lie::bad_message, {}, {}, now_ns}, now_ns);
  drop_dead_links(now_ns, out);
}

// A partner of some time whose session works.
bool Member::is_heard(const Link& link, TimeNs now_ns) const {
  return !link.is_suspected && now_ns - link.heard_ns < config_.detection_ns / 2 &&
         now_ns - link.up_ns > config_.detection_ns;
}

void Member::count_false_suspicions(const Entry& own, TimeNs now_ns) {
  for (const AccusationRef& a : own.accusations) {
    Link* link = link_of(a->accuser);
    if (!link || !is_heard(*link, now_ns) || own.record->said.counter != counter_) continue;
    if (++link->false_suspicions < false_suspicions_max) continue;
    name({link->id, Lie::false_suspicion, {}, {}, now_ns}, now_ns);
  }
}

// In a large network, of so many records one.
bool Member::is_watched(const Record& record) const {
  const size_t one_in = view_.live() / config_.paced_nodes + 1;
  return one_in == 1 || load_be32(record.digest.data()) % one_in == 0;
}

// A record goes from its subject to each of its partners first, and from there to all of theirs.
// So a link partner of this node that is the subject's as well, as both of them state, has it one
// step earlier than this node has it from anyone else, and is on its way with it, unless this node
// told it before. Of what liars say of themselves that need not be so: their partners bring less.
void Member::count_brought(Link& by, const Record& record) {
  if (is_watched(record) && states_link_with(record, by.id)) ++by.brought;
}

void Member::count_withheld(const News& fact, TimeNs now_ns) {
  const Record& record = *fact.record;
  if (!is_watched(record)) return;
  for (Link& link : links_) {
    if (link.id == fact.from || !is_heard(link, now_ns)) continue;
    if (!states_link_with(record, link.id)) continue;
    const Entry* partner = view_.find(link.id);
    if (!partner || !states_link_with(*partner->record, record.id)) continue;
    if (++link.brought_by_others < config_.withheld_min) continue;
    if (link.brought * withheld_share < link.brought_by_others) {
      name({link.id, Lie::withholding, {}, {}, now_ns}, now_ns);
    }
    link.brought = link.brought_by_others = 0;
  }
}

bool Member::is_shunned(const NodeId& id, TimeNs now_ns) const {
  return std::any_of(liars_.begin(), liars_.end(), [&](const Liar& l) {
    return l.node == id && now_ns - l.at_ns < config_.shunned_ns;
  });
}

}  // namespace chaincast::graph
