// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// Nodes that are gone and that no majority can call dead. Alone: one whose newest record states no
// link, or links with nodes alone that are gone as well, has no partner to accuse it, and one whose
// other partners died with it has too few. Together: a component of nodes with links among
// themselves, and none that both ends state with anyone whom links reach from here. Whoever lives
// answers an accusation with a higher counter, states its first link, or one instead of those that
// it has lost, within seconds, and answers a ping. So every node gives up, by its own clock, what
// has stayed like that for `silent_ns` and then does not answer for a detection time: a component
// as a whole, or not at all. Between the first and the last to do so views differ, and whoever is
// through is not taught those records again.
//
// The far side of a partition looks the same. So what was given up is kept, pinged now and then,
// and learnt again once one of it speaks, or is stated as a partner in news.
namespace chaincast::graph {

namespace {

constexpr size_t asked_at_once = 64;      // pings before nodes are given up, each detection time
constexpr size_t asked_of_component = 4;  // and of one component

// The components of a view but the one that holds `self`, ascending by their first node. Nothing
// where that is accused at the moment, and so in none.
std::optional<std::vector<std::vector<NodeId>>> apart_from(const NodeId& self,
                                                           const Analysed& analysed) {
  const Topology& topology = analysed.topology;
  const uint32_t position = topology.position(self);
  if (position == topology.nodes.size()) return std::nullopt;
  const std::vector<uint32_t>& component = analysed.analysis.component;
  std::vector<std::vector<NodeId>> out(analysed.analysis.components);
  for (uint32_t node = 0; node < topology.nodes.size(); ++node) {
    if (component[node] == component[position]) continue;
    out[component[node]].push_back(topology.nodes[node]->id());
  }
  std::erase_if(out, [](const std::vector<NodeId>& nodes) { return nodes.empty(); });
  return out;
}

}  // namespace

// Nobody that it has stated a link with is a node that nobody accuses.
bool Member::is_alone(const Record& record) const {
  const auto& links = record.said.links;
  return std::none_of(links.begin(), links.end(), [this](const wire::LinkEnd& link) {
    const Entry* partner = view_.find(link.peer);
    return partner != nullptr && partner->standing == Standing::alive;
  });
}

bool Member::is_silent(const Entry& entry) const {
  return entry.standing == Standing::suspected || (entry.is_live && is_alone(*entry.record));
}

bool Member::is_given_up(const Record& record) const {
  const auto known = given_up_.find(record.id);
  return known != given_up_.end() && record.said.counter <= known->second.record->said.counter;
}

void Member::note_silent(const Record& record, bool is_suspected, TimeNs now_ns) {
  if (record.id == id_) return;
  if (is_suspected || is_alone(record)) return note(record, false, now_ns);
  const auto known = silent_.find(record.id);
  const bool is_news = known != silent_.end() && record.said.counter > known->second.counter;
  if (is_news && !known->second.is_apart) silent_.erase(known);
}

void Member::note(const Record& record, bool is_apart, TimeNs now_ns) {
  const auto known = silent_.find(record.id);
  if (known != silent_.end() && known->second.counter == record.said.counter) {
    known->second.is_apart = known->second.is_apart || is_apart;
    return;
  }
  if (silent_.size() >= config_.remembered_max && known == silent_.end()) return;
  silent_[record.id] = {record.said.counter, now_ns, 0, is_apart};
  silent_at_ns_ = std::min(silent_at_ns_, now_ns + config_.silent_ns);
}

void Member::note_partners(const Record& record, TimeNs now_ns) {
  for (const wire::LinkEnd& link : record.said.links) {
    const Entry* partner = view_.find(link.peer);
    if (partner != nullptr && partner->is_live) note_silent(*partner->record, false, now_ns);
  }
}

// When the graph has been quiet, or after a minute: the analysis is then shared with whoever looks
// for what connectivity lacks.
void Member::note_apart(TimeNs now_ns) {
  if (apart_ns_ >= changed_ns_) return;
  const bool is_quiet = now_ns - changed_ns_ >= 2 * ns_per_s;
  if (!is_quiet && now_ns - apart_ns_ < paced(60 * ns_per_s)) return;
  const auto components = apart_from(id_, *analyst_.of(view_));
  if (!components) return;
  apart_ns_ = now_ns;
  std::set<NodeId> apart;
  for (const std::vector<NodeId>& nodes : *components) apart.insert(nodes.begin(), nodes.end());
  std::erase_if(silent_, [&](const auto& silent) {
    const Entry* entry = view_.find(silent.first);
    return entry && !is_silent(*entry) && !apart.contains(silent.first);
  });
  for (const std::vector<NodeId>& nodes : *components) {
    const auto is_new = [this](const NodeId& id) { return !silent_.contains(id); };
    const auto news = std::count_if(nodes.begin(), nodes.end(), is_new);
    if (silent_.size() + static_cast<size_t>(news) > config_.remembered_max) continue;
    for (const NodeId& id : nodes) note(*view_.find(id)->record, true, now_ns);
  }
}

TimeNs Member::due_ns(const Silent& silent) const {
  return silent.asked_ns == 0 ? silent.since_ns + config_.silent_ns
                              : silent.asked_ns + config_.detection_ns;
}

// Who is due is asked, a few at a time, and given up if that was in vain.
void Member::give_up_silent(TimeNs now_ns, Output& out) {
  silent_at_ns_ = time_never;
  std::vector<NodeId> due;
  for (const auto& [id, silent] : silent_) {
    if (due_ns(silent) <= now_ns) {
      due.push_back(id);
    } else {
      silent_at_ns_ = std::min(silent_at_ns_, due_ns(silent));
    }
  }
  // A network that grows has many, due one by one: a look at all of them for each would be
  // quadratic.
  silent_at_ns_ = std::max(silent_at_ns_, now_ns + ns_per_s);
  std::sort(due.begin(), due.end());
  size_t may_ask = asked_at_once;
  bool may_be_apart = false;
  for (const NodeId& id : due) {
    const Entry* entry = view_.find(id);
    const bool is_same = entry && entry->is_live && !link_of(id) &&
                         entry->record->said.counter == silent_.at(id).counter;
    if (!is_same) {
      silent_.erase(id);
    } else if (!is_silent(*entry)) {
      // The look at the whole graph is for those alone that an earlier one has found.
      if (silent_.at(id).is_apart) {
        may_be_apart = true;
      } else {
        silent_.erase(id);
      }
    } else if (silent_.at(id).asked_ns == 0) {
      ask_silent({id}, may_ask, now_ns, out);
    } else {
      give_up({id}, now_ns);
    }
  }
  if (may_be_apart) give_up_apart(may_ask, now_ns, out);
}

// A component of which one has spoken since, or says something new, is left as it is until that one
// is due as well.
void Member::give_up_apart(size_t may_ask, TimeNs now_ns, Output& out) {
  const auto components = apart_from(id_, *analyst_.of(view_));
  if (!components) {
    silent_at_ns_ = std::min(silent_at_ns_, now_ns + ns_per_s);
    return;
  }
  const auto is_due = [&](const NodeId& id) {
    const auto known = silent_.find(id);
    return known != silent_.end() && due_ns(known->second) <= now_ns && !link_of(id) &&
           known->second.counter == view_.find(id)->record->said.counter;
  };
  const auto is_asked = [&](const NodeId& id) { return silent_.at(id).asked_ns != 0; };
  std::set<NodeId> waiting;
  for (const std::vector<NodeId>& nodes : *components) {
    const bool are_due = std::all_of(nodes.begin(), nodes.end(), is_due);
    if (are_due && std::all_of(nodes.begin(), nodes.end(), is_asked)) {
      give_up(nodes, now_ns);
      continue;
    }
    waiting.insert(nodes.begin(), nodes.end());
    if (are_due) ask_silent(nodes, may_ask, now_ns, out);
  }
  std::erase_if(silent_, [&](const auto& silent) {
    const bool is_over = due_ns(silent.second) <= now_ns && !waiting.contains(silent.first);
    const Entry* entry = is_over ? view_.find(silent.first) : nullptr;
    return is_over && !(entry && is_silent(*entry));
  });
}

// All of them, or as many at random.
void Member::ask_silent(const std::vector<NodeId>& nodes, size_t& may_ask, TimeNs now_ns,
                        Output& out) {
  silent_at_ns_ = std::min(silent_at_ns_, now_ns + config_.detection_ns);
  const size_t count = std::min(nodes.size(), asked_of_component);
  if (may_ask < count) return;  // next time
  may_ask -= count;
  for (const NodeId& id : nodes) silent_.at(id).asked_ns = now_ns;
  const size_t first = random_.below(nodes.size());
  for (size_t i = 0; i < count; ++i) {
    ping(*view_.find(nodes[(first + i) % nodes.size()])->record, now_ns, out);
  }
}

// At most remembered_max are kept: the oldest give way.
void Member::give_up(const std::vector<NodeId>& nodes, TimeNs now_ns) {
  CC_ASSERT(nodes.size() <= config_.remembered_max);
  if (given_up_.size() + nodes.size() > config_.remembered_max) {
    std::vector<std::pair<TimeNs, NodeId>> oldest;
    for (const auto& [id, one] : given_up_) oldest.emplace_back(one.at_ns, id);
    std::sort(oldest.begin(), oldest.end());
    oldest.resize(given_up_.size() + nodes.size() - config_.remembered_max);
    for (const auto& [at_ns, id] : oldest) given_up_.erase(id);
  }
  for (const NodeId& id : nodes) {
    given_up_[id] = {view_.find(id)->record, now_ns};
    silent_.erase(id);
    view_.take_out(id);
    for (auto& [resource, members] : members_) members.erase(id);
    ++counters_.silent_given_up;
  }
  changed_ns_ = now_ns;
}

// With it come those that it, and they, had stated links with.
void Member::take_back(const NodeId& id) {
  std::vector<NodeId> waiting{id};
  bool is_any = false;
  while (!waiting.empty()) {
    const auto known = given_up_.find(waiting.back());
    waiting.pop_back();
    if (known == given_up_.end()) continue;
    for (const wire::LinkEnd& link : known->second.record->said.links) {
      waiting.push_back(link.peer);
    }
    given_up_.erase(known);
    is_any = true;
  }
  if (is_any) seen_.clear();  // their records were, and are not known any more
}

void Member::take_back_partners(const Record& record) {
  if (given_up_.empty()) return;
  take_back(record.id);
  for (const wire::LinkEnd& link : record.said.links) take_back(link.peer);
}

// It speaks: its time begins anew, and what was given up with it was alive.
void Member::note_speaker(const NodeId& id, TimeNs now_ns) {
  if (const auto known = silent_.find(id); known != silent_.end()) {
    known->second.since_ns = now_ns;
    known->second.asked_ns = 0;
    silent_at_ns_ = std::min(silent_at_ns_, now_ns + config_.silent_ns);
  }
  if (!given_up_.empty()) take_back(id);
}

void Member::ping(const Record& record, TimeNs now_ns, Output& out) {
  if (record.said.addresses.empty()) return;
  ++counters_.probes;
  send({record.id, record.said.addresses.front()},
       make_message(Ping{now_ns, view_.digest(), false}), out);
}

void Member::probe_given_up(TimeNs now_ns, Output& out) {
  if (given_up_.empty()) return;
  const auto place = static_cast<ptrdiff_t>(random_.below(given_up_.size()));
  ping(*std::next(given_up_.begin(), place)->second.record, now_ns, out);
}

}  // namespace chaincast::graph
