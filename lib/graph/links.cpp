// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// Links of a member: made, watched, accused, dropped.
namespace chaincast::graph {

std::optional<Refusal> Member::refusal_of(const Peer& from, const Attach& attach) {
  if (attach.has_resource) {
    const auto mine =
        std::find_if(self_.resources.begin(), self_.resources.end(),
                     [&](const wire::Subscription& s) { return s.resource == attach.resource; });
    if (mine == self_.resources.end()) return Refusal::not_member;
    const auto guests = self_.guests.find(attach.resource);
    if (mine->is_private && (guests == self_.guests.end() || !guests->second.contains(from.id))) {
      return Refusal::not_admitted;
    }
  }
  if (std::any_of(links_.begin(), links_.end(),
                  [&](const Link& link) { return link.id == from.id; })) {
    return std::nullopt;  // nothing more to hold
  }
  const bool is_urgent = attach.is_urgent || links_.empty();
  const size_t bound = is_urgent ? config_.links_hard_max : config_.links_max;
  if (links_.size() >= bound) return Refusal::full;
  return std::nullopt;
}

void Member::on_attach(const Peer& from, const Attach& attach, TimeNs now_ns, Output& out) {
  if (!attach.record || attach.record->id != from.id) {
    ++counters_.ignored;
    return;
  }
  Asked asked{from.id, std::nullopt, attach.is_random, now_ns};
  if (attach.has_resource) asked.inside = attach.resource;
  const auto refusal = refusal_of(from, attach);
  if (refusal) {
    ++counters_.refusals_sent;
    RedirectRequest others{attach.has_resource, attach.resource};
    Redirect redirected = redirect(others);
    auto& instead = attach.has_resource ? redirected.inside : redirected.outside;
    std::erase_if(instead, [&](const Contact& c) { return c.id == from.id || c.id == id_; });
    send(from, make_message(Refused{*refusal, std::move(instead)}), out);
    return;
  }
  take_facts({attach.record, {}, from.id}, now_ns);
  send(from, make_message(Attached{RecordRef(view_.find(id_)->record)}), out);
  add_link(from, asked, false, now_ns, out);
}

void Member::on_attached(const Peer& from, const Attached& attached, TimeNs now_ns, Output& out) {
  const auto asked =
      std::find_if(asked_.begin(), asked_.end(), [&](const Asked& a) { return a.id == from.id; });
  if (asked == asked_.end() || !attached.record || attached.record->id != from.id) {
    ++counters_.ignored;
    return;
  }
  const Asked granted = *asked;
  asked_.erase(asked);
  take_facts({attached.record, {}, from.id}, now_ns);
  add_link(from, granted, true, now_ns, out);
  if (attempt_ && attempt_->is_asking && attempt_->asked.id == from.id) {
    give_up_replaced(now_ns, out);
    end_attempt(now_ns + random_.below(200 * ns_per_ms));
  }
}

// The nearer link is up, so the farther one may go.
void Member::give_up_replaced(TimeNs now_ns, Output& out) {
  if (!attempt_->need.replaces) return;
  const Link* link = link_of(*attempt_->need.replaces);
  if (!link) return;
  send({link->id, link->address}, make_message(Detach{}), out);
  drop_link(NodeId(link->id), now_ns, out);
}

void Member::on_refused(const Peer& from, const Refused& refused, TimeNs now_ns) {
  const auto asked =
      std::find_if(asked_.begin(), asked_.end(), [&](const Asked& a) { return a.id == from.id; });
  if (asked == asked_.end()) {
    ++counters_.ignored;
    return;
  }
  const auto inside = asked->inside;
  asked_.erase(asked);
  ++counters_.refused;
  // Who does not let this node into one subnetwork may do so into another.
  if (refused.reason == Refusal::not_admitted && inside) {
    if (barred_until_.size() < config_.remembered_max) {
      barred_until_[{from.id, *inside}] = now_ns + config_.barred_for_ns;
    }
  } else if (refused_until_.size() < config_.remembered_max) {
    refused_until_[from.id] = now_ns + config_.refused_for_ns;
  }
  if (attempt_ && attempt_->is_asking && attempt_->asked.id == from.id) {
    end_attempt(now_ns + random_.below(500 * ns_per_ms));
  }
}

void Member::add_link(const Peer& peer, const Asked& asked, bool is_mine, TimeNs now_ns,
                      Output& out) {
  if (Link* known = link_of(peer.id)) {
    if (asked.inside) known->inside = asked.inside;
    return;
  }
  Link link;
  link.id = peer.id;
  link.address = peer.address;
  link.inside = asked.inside;
  link.is_random = asked.is_random;
  link.is_mine = is_mine;
  link.up_ns = link.heard_ns = link.pinged_ns = now_ns;
  const auto at = std::lower_bound(links_.begin(), links_.end(), peer.id,
                                   [](const Link& l, const NodeId& id) { return l.id < id; });
  links_.insert(at, link);
  ++counters_.links_up;
  out.changes.push_back({peer.id, Output::Change::up});
  // Each end measures the round trip for itself.
  send(peer, make_message(Ping{now_ns, view_.digest(), true}), out);
  watch_at_ns_ = std::min(watch_at_ns_, now_ns + config_.ping_interval_ns);
  touch_record(now_ns);
}

void Member::drop_link(const NodeId& id, TimeNs now_ns, Output& out) {
  std::erase_if(links_, [&](const Link& link) { return link.id == id; });
  ++counters_.links_down;
  out.changes.push_back({id, Output::Change::down});
  touch_record(now_ns);
  look_soon(now_ns);
}

void Member::on_session_lost(const NodeId& peer, TimeNs now_ns, Output&) {
  Link* link = link_of(peer);
  if (!link || link->is_suspected || has_left_) return;
  link->is_suspected = true;
  link->suspected_ns = now_ns;
  accuse(peer, now_ns);
  look_soon(now_ns);
}

void Member::drop_dead_links(TimeNs now_ns, Output& out) {
  has_dead_links_ = false;
  for (size_t i = links_.size(); i-- > 0;) {
    const Peer peer{links_[i].id, links_[i].address};
    const bool is_liar = is_shunned(peer.id, now_ns);
    const Entry* entry = view_.find(peer.id);
    if (is_liar) send(peer, make_message(Detach{}), out);
    if (is_liar || (entry && !entry->is_live)) drop_link(peer.id, now_ns, out);
  }
}

void Member::on_ping(const Peer& from, const Ping& ping, TimeNs now_ns, Output& out) {
  send(from, make_message(Pong{ping.nonce, view_.digest()}), out);
  if (ping.is_linked && !link_of(from.id)) send(from, make_message(Detach{}), out);
  compare_digest(from, ping.digest, now_ns, out);
}

void Member::on_pong(const Peer& from, const Pong& pong, TimeNs now_ns, Output& out) {
  if (on_probe_answer(from, pong.nonce, now_ns, out)) return;
  if (Link* link = link_of(from.id); link && link->pinged_ns == pong.nonce) {
    const auto rtt_us = static_cast<uint32_t>((now_ns - pong.nonce) / ns_per_us);
    const bool is_first = link->rtt_us == 0;
    // The smallest is nearest to the path's own; queues only add to it.
    link->rtt_us = is_first ? std::max(rtt_us, 1u) : std::clamp(rtt_us, 1u, link->rtt_us);
    if (is_first) touch_record(now_ns);
  }
  compare_digest(from, pong.digest, now_ns, out);
}

// Silence of a link partner: the end that asked for the link pings, the other one only if that
// stays away.
void Member::watch_links(TimeNs now_ns, Output& out) {
  watch_at_ns_ = time_never;
  std::vector<NodeId> unreachable;
  for (Link& link : links_) {
    if (!link.is_suspected && now_ns - link.heard_ns >= config_.detection_ns) {
      lost_link_ns_ = now_ns;
      link.is_suspected = true;
      link.suspected_ns = now_ns;
      accuse(link.id, now_ns);
      look_soon(now_ns);
    }
    if (link.is_suspected && now_ns - link.suspected_ns >= config_.detection_ns) {
      unreachable.push_back(link.id);
      continue;
    }
    TimeNs ping_at_ns = link.pinged_ns + config_.ping_interval_ns;
    if (!link.is_mine) {
      ping_at_ns = std::max(ping_at_ns, link.heard_ns + config_.ping_interval_ns * 3 / 2);
    }
    if (ping_at_ns <= now_ns) {
      link.pinged_ns = now_ns;
      send({link.id, link.address}, make_message(Ping{now_ns, view_.digest(), true}), out);
      ping_at_ns = now_ns + config_.ping_interval_ns;
    }
    const TimeNs silent_at_ns =
        (link.is_suspected ? link.suspected_ns : link.heard_ns) + config_.detection_ns;
    watch_at_ns_ = std::min({watch_at_ns_, ping_at_ns, silent_at_ns});
  }
  for (const NodeId& id : unreachable) drop_link(id, now_ns, out);
}

void Member::accuse(const NodeId& id, TimeNs now_ns) {
  const Entry* entry = view_.find(id);
  if (!entry || !entry->is_live) return;
  wire::Suspicion suspicion;
  suspicion.suspect = id;
  suspicion.counter = entry->record->said.counter;
  for (const wire::LinkEnd& link : entry->record->said.links) {
    const Entry* partner = view_.find(link.peer);
    if (partner && !partner->is_live) suspicion.excused.push_back(link.peer);
  }
  const auto before =
      std::find_if(accused_.begin(), accused_.end(), [&](const Accused& a) { return a.id == id; });
  const size_t excused = suspicion.excused.size();
  if (before != accused_.end() && before->counter == suspicion.counter) {
    if (before->excused == excused) return;
    suspicion.round = ++before->round;
    before->excused = excused;
  } else {
    const bool is_repeated = before != accused_.end();
    if (is_repeated) accused_.erase(before);
    accused_.push_back({id, suspicion.counter, 0, excused, now_ns, is_repeated});
    if (gone_.size() < config_.remembered_max) gone_.push_back({id, now_ns});
  }
  ++counters_.accusations;
  take_facts({{}, sign(std::move(suspicion), authority_, signer_), id_}, now_ns);
}

// Once more partners of a suspect are known to be dead, those that still speak may be a majority.
// And a newer record need not be an answer: the suspect may have signed it before it died, and the
// suspicion counts for nothing beside it. Whoever is named there as a partner and hears nothing for
// a detection time says so once more.
void Member::accuse_again(TimeNs now_ns) {
  accuse_again_ns_ = time_never;
  std::vector<NodeId> due;
  std::erase_if(accused_, [&](const Accused& a) {
    const Entry* entry = view_.find(a.id);
    const TimeNs repeat_ns = a.at_ns + config_.detection_ns;
    // Of one that is dead a newer record may be on its way.
    if (!entry || !entry->is_live) return repeat_ns <= now_ns;
    if (entry->record->said.counter == a.counter) {
      due.push_back(a.id);
      return false;
    }
    if (a.is_repeated || !states_link_with(*entry->record, id_)) return repeat_ns <= now_ns;
    if (repeat_ns <= now_ns) {
      due.push_back(a.id);
    } else {
      accuse_again_ns_ = std::min(accuse_again_ns_, repeat_ns);
    }
    return false;
  });
  for (const NodeId& id : due) accuse(id, now_ns);
}

void Member::probe_lost(TimeNs now_ns, Output& out) {
  lost_at_ns_ = now_ns + config_.lost_interval_ns / 2 + random_.below(config_.lost_interval_ns);
  while (!gone_.empty() && now_ns - gone_.front().at_ns >= config_.forget_ns) {
    view_.forget(gone_.front().id);
    gone_.pop_front();
  }
  std::erase_if(refused_until_, [&](const auto& refused) { return refused.second <= now_ns; });
  std::erase_if(barred_until_, [&](const auto& barred) { return barred.second <= now_ns; });
  std::erase_if(asked_,
                [&](const Asked& a) { return now_ns - a.since_ns >= 2 * config_.attach_wait_ns; });
  probe_given_up(now_ns, out);
  if (gone_.empty()) return;
  const Gone& lost = gone_[random_.below(gone_.size())];
  const Entry* entry = view_.find(lost.id);
  const bool is_lost =
      entry && (entry->standing == Standing::dead || entry->standing == Standing::suspected);
  if (is_lost) ping(*entry->record, now_ns, out);
}

}  // namespace chaincast::graph
