// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// Nodes that are gone and that no majority can call dead: one whose newest record states no link,
// or links with nodes alone that are gone as well, has no partner to accuse it, and one whose other
// partners died with it has too few. Whoever lives answers an accusation with a higher counter, and
// states its first link, or one instead of those that it has lost, within seconds. So every node
// gives up, by its own clock, what has stayed like that for `silent_ns`. Between the first and
// the last to do so views differ, and whoever is through is not taught that record again.
namespace chaincast::graph {

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
  const auto known = silent_.find(record.id);
  return known != silent_.end() && known->second.is_given_up &&
         record.said.counter <= known->second.counter;
}

void Member::note_silent(const Record& record, bool is_suspected, TimeNs now_ns) {
  if (record.id == id_ || (!is_suspected && !is_alone(record))) return;
  const auto known = silent_.find(record.id);
  if (known != silent_.end() && known->second.counter == record.said.counter) return;
  if (silent_.size() >= config_.remembered_max && known == silent_.end()) return;
  silent_[record.id] = {record.said.counter, now_ns, false};
  silent_at_ns_ = std::min(silent_at_ns_, now_ns + config_.silent_ns);
}

void Member::note_partners(const Record& record, TimeNs now_ns) {
  for (const wire::LinkEnd& link : record.said.links) {
    const Entry* partner = view_.find(link.peer);
    if (partner != nullptr && partner->is_live) note_silent(*partner->record, false, now_ns);
  }
}

void Member::give_up_silent(TimeNs now_ns) {
  silent_at_ns_ = time_never;
  std::vector<NodeId> settled;
  for (auto& [id, silent] : silent_) {
    const TimeNs due_ns =
        silent.since_ns + (silent.is_given_up ? config_.forget_ns : config_.silent_ns);
    if (due_ns > now_ns) {
      silent_at_ns_ = std::min(silent_at_ns_, due_ns);
      continue;
    }
    const Entry* entry = view_.find(id);
    const bool is_still =
        entry && is_silent(*entry) && !link_of(id) && entry->record->said.counter == silent.counter;
    if (silent.is_given_up || !is_still) {
      settled.push_back(id);
      continue;
    }
    silent.is_given_up = true;
    silent.since_ns = now_ns;
    silent_at_ns_ = std::min(silent_at_ns_, now_ns + config_.forget_ns);
    view_.take_out(id);
    for (auto& [resource, members] : members_) members.erase(id);
    ++counters_.silent_given_up;
    changed_ns_ = now_ns;
  }
  for (const NodeId& id : settled) silent_.erase(id);
}

}  // namespace chaincast::graph
