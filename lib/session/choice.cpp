// SPDX-License-Identifier: BSD-3-Clause
#include "session/choice.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace chaincast::session {

void Choice::add(Candidate& candidate) {
  groups_[candidate.peer].all.push_back(&candidate);
}

Choice::Opened Choice::open(Candidate& candidate, TimeNs now_ns) {
  Group& group = groups_.at(candidate.peer);
  CC_ASSERT(!candidate.is_open);
  candidate.is_open = true;
  candidate.opened_ns = now_ns;
  Candidate* const old = group.session;
  if (old == nullptr) {
    group.session = &candidate;
    return {true, nullptr};
  }
  const bool is_ending = old->is_finishing || old->hears_no_more;
  const bool crosses = !is_ending && old->is_dialled != candidate.is_dialled &&
                       now_ns - old->opened_ns < crossing_ns_;
  const bool own_wins = own_ < candidate.peer;
  const bool is_session = !crosses || candidate.is_dialled == own_wins;
  Candidate& winner = is_session ? candidate : *old;
  Candidate& loser = is_session ? *old : candidate;
  loser.is_loser = true;
  // Elsewhere nobody may know the older one any more: then no goodbye would come.
  loser.holds_back = winner.is_dialled || crosses || is_ending;
  loser.is_finishing |= winner.is_dialled;
  group.session = &winner;
  return {is_session, is_session ? old : nullptr};
}

Candidate* Choice::remove(Candidate& candidate) {
  const auto found = groups_.find(candidate.peer);
  CC_ASSERT(found != groups_.end());
  Group& group = found->second;
  std::erase(group.all, &candidate);
  if (group.all.empty()) {
    groups_.erase(found);
    return nullptr;
  }
  if (group.session != &candidate) return nullptr;
  group.session = nullptr;
  for (Candidate* other : group.all) {
    if (!other->is_open || other->is_finishing || other->hears_no_more) continue;
    if (!group.session || other->opened_ns > group.session->opened_ns) group.session = other;
  }
  if (group.session) group.session->is_loser = group.session->holds_back = false;
  return group.session;
}

Candidate* Choice::session(const NodeId& peer) const {
  const auto found = groups_.find(peer);
  return found == groups_.end() ? nullptr : found->second.session;
}

std::vector<Candidate*> Choice::all(const NodeId& peer) const {
  const auto found = groups_.find(peer);
  return found == groups_.end() ? std::vector<Candidate*>() : found->second.all;
}

// An own dial with the same node whose messages may be on their way already.
bool Choice::waits_for_hello(const Candidate& candidate) const {
  const auto& all = groups_.at(candidate.peer).all;
  return std::any_of(all.begin(), all.end(), [&](const Candidate* other) {
    return other != &candidate && other->is_dialled && other->is_greeted && !other->is_open;
  });
}

bool Choice::may_read(const Candidate& candidate) const {
  if (!is_session(candidate)) return true;
  const auto& all = groups_.at(candidate.peer).all;
  const bool is_held = std::any_of(all.begin(), all.end(), [&](const Candidate* other) {
    return other != &candidate && other->holds_back && !other->hears_no_more;
  });
  return !is_held && !waits_for_hello(candidate);
}

bool Choice::may_write(const Candidate& candidate) const {
  return !is_session(candidate) || !waits_for_hello(candidate);
}

}  // namespace chaincast::session
