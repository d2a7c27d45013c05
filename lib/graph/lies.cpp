// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// What a member does about nodes that lie (docs/graph.md, "Liars").
namespace chaincast::graph {
namespace {

// A partner that stalled may accuse in good faith once, or twice.
constexpr unsigned false_suspicions_max = 3;

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

void Member::count_false_suspicions(const Entry& own, TimeNs now_ns) {
  for (const AccusationRef& a : own.accusations) {
    Link* link = link_of(a->accuser);
    const bool is_heard = link && !link->is_suspected &&
                          now_ns - link->heard_ns < config_.detection_ns / 2 &&
                          now_ns - link->up_ns > config_.detection_ns;
    if (!is_heard || own.record->said.counter != counter_) continue;
    if (++link->false_suspicions < false_suspicions_max) continue;
    name({link->id, Lie::false_suspicion, {}, {}, now_ns}, now_ns);
  }
}

bool Member::is_shunned(const NodeId& id, TimeNs now_ns) const {
  return std::any_of(liars_.begin(), liars_.end(), [&](const Liar& l) {
    return l.node == id && now_ns - l.at_ns < config_.shunned_ns;
  });
}

}  // namespace chaincast::graph
