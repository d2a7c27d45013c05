// SPDX-License-Identifier: BSD-3-Clause
#include "join/join.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace chaincast::join {

using graph::Contact;
using graph::Output;
using graph::Peer;

namespace {

constexpr size_t probed_max = 8;
constexpr size_t answered_max = 16;
constexpr size_t refusals_followed_max = 8;

}  // namespace

std::vector<Contact> choose_contacts(std::span<const std::vector<Contact>> answers,
                                     Random& random) {
  struct Named {
    Contact contact;
    size_t times = 0;
    uint64_t draw = 0;
  };
  std::map<NodeId, Named> named;
  for (const std::vector<Contact>& answer : answers) {
    std::vector<NodeId> counted;  // an answer that repeats itself is one voice
    for (const Contact& contact : answer) {
      if (std::find(counted.begin(), counted.end(), contact.id) != counted.end()) continue;
      counted.push_back(contact.id);
      Named& n = named.try_emplace(contact.id, Named{contact, 0, random.next()}).first->second;
      ++n.times;
    }
  }
  std::vector<Named> all;
  for (const auto& [id, n] : named) all.push_back(n);
  // Most named first puts those of a majority before the rest.
  std::sort(all.begin(), all.end(), [](const Named& a, const Named& b) {
    return std::pair(b.times, a.draw) < std::pair(a.times, b.draw);
  });
  std::vector<Contact> out;
  for (const Named& n : all) {
    if (out.size() < graph::contacts_max) out.push_back(n.contact);
  }
  return out;
}

graph::View most_voted(graph::Store& store, std::span<const graph::PartRef> graphs,
                       uint64_t& conflicts) {
  graph::View out(store);
  std::vector<NodeId> disputed;
  for (const graph::PartRef& root : graphs) out.merge(root, disputed);
  std::sort(disputed.begin(), disputed.end());
  disputed.erase(std::unique(disputed.begin(), disputed.end()), disputed.end());
  conflicts += disputed.size();
  for (const NodeId& id : disputed) {
    std::map<Digest, std::pair<size_t, graph::EntryRef>> votes;
    const uint64_t counter = out.find(id)->record->said.counter;
    for (const graph::PartRef& root : graphs) {
      graph::View view(store);
      std::vector<NodeId> none;
      view.merge(root, none);
      const graph::Entry* entry = view.find(id);
      if (!entry || entry->record->said.counter != counter) continue;
      auto& [count, held] = votes[entry->record->digest];
      ++count;
      held = graph::EntryRef(entry);
    }
    const auto best =
        std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) {
          return std::pair(a.second.first, a.first) < std::pair(b.second.first, b.first);
        });
    if (best != votes.end()) out.prefer(best->second.second);
  }
  return out;
}

Join::Join(const JoinConfig& config, graph::Member& member,
           const std::optional<wire::ResourceId>& resource, uint64_t seed)
    : config_(config), member_(member), resource_(resource), random_(seed) {}

void Join::start(std::vector<Endpoint> trackers, std::vector<Contact> remembered, TimeNs now_ns,
                 Output& out) {
  trackers_ = std::move(trackers);
  if (trackers_.size() > config_.trackers_max) trackers_.resize(config_.trackers_max);
  retry_ns_ = config_.retry_ns;
  if (remembered.empty() && trackers_.empty()) return set_joined(now_ns);
  if (remembered.empty()) return ask_trackers(now_ns, out);
  // Those that were link partners are asked without looking for nearer ones first: one round trip.
  state_ = State::entering;
  timer_ns_ = now_ns + retry_ns_;
  for (size_t i = 0; i < std::min<size_t>(remembered.size(), config_.inside_wanted + 1); ++i) {
    attach(remembered[i], now_ns, out);
  }
  enter({}, std::move(remembered), now_ns, out);
}

void Join::ask_trackers(TimeNs now_ns, Output& out) {
  state_ = State::redirecting;
  answers_.clear();
  graph::RedirectRequest request;
  request.has_resource = resource_.has_value();
  if (resource_) request.resource = *resource_;
  for (const Endpoint& tracker : trackers_) {
    ++counters_.redirects_asked;
    out.sends.push_back(
        {{NodeId{}, tracker}, graph::make_message(graph::RedirectRequest(request))});
  }
  timer_ns_ = now_ns + retry_ns_;
}

bool Join::on_message(const Peer& from, const graph::Message& message, TimeNs now_ns, Output& out) {
  if (state_ == State::idle) return false;
  if (const auto* redirect = std::get_if<graph::Redirect>(&message)) {
    return on_redirect(from, *redirect, now_ns, out);
  }
  if (const auto* pong = std::get_if<graph::Pong>(&message)) {
    return on_probe(from, *pong, now_ns, out);
  }
  if (const auto* graph = std::get_if<graph::Graph>(&message))
    return on_graph(from, *graph, now_ns);
  if (const auto* refused = std::get_if<graph::Refused>(&message)) {
    on_refused(from, *refused, now_ns, out);
  }
  return false;
}

bool Join::on_redirect(const Peer& from, const graph::Redirect& redirect, TimeNs now_ns,
                       Output& out) {
  const bool is_asked =
      std::find(trackers_.begin(), trackers_.end(), from.address) != trackers_.end();
  const bool is_repeated = std::any_of(answers_.begin(), answers_.end(), [&](const auto& a) {
    return a.first.address == from.address;
  });
  if (state_ != State::redirecting || !is_asked || is_repeated) return true;
  ++counters_.redirects;
  answers_.emplace_back(from, redirect);
  if (answers_.size() == trackers_.size()) {
    end_redirection(now_ns, out);
  } else {
    timer_ns_ = std::min(timer_ns_, now_ns + config_.answer_wait_ns);
  }
  return true;
}

void Join::end_redirection(TimeNs now_ns, Output& out) {
  std::vector<std::vector<Contact>> inside, outside;
  for (const auto& [peer, redirect] : answers_) {
    inside.push_back(redirect.inside);
    outside.push_back(redirect.outside);
  }
  std::vector<Contact> others = choose_contacts(outside, random_);
  for (const auto& [peer, redirect] : answers_) others.push_back({peer.id, peer.address, 0});
  enter(choose_contacts(inside, random_), std::move(others), now_ns, out);
}

void Join::enter(std::vector<Contact> inside, std::vector<Contact> outside, TimeNs now_ns,
                 Output& out) {
  state_ = State::entering;
  timer_ns_ = now_ns + config_.retry_ns;
  probed_ns_ = now_ns;
  std::erase_if(inside, [&](const Contact& c) { return c.id == member_.id(); });
  std::erase_if(outside, [&](const Contact& c) { return c.id == member_.id(); });
  inside_ = std::move(inside);
  if (inside_.size() > probed_max) inside_.resize(probed_max);
  for (const Contact& contact : inside_) {
    out.sends.push_back(
        {{contact.id, contact.address}, graph::make_message(graph::Ping{now_ns, Digest{}, false})});
  }
  graphs_asked_.clear();
  for (const Contact& contact : outside) {
    if (graphs_asked_.size() == config_.outside_wanted) break;
    if (std::find(graphs_asked_.begin(), graphs_asked_.end(), contact.id) != graphs_asked_.end()) {
      continue;
    }
    graphs_asked_.push_back(contact.id);
    ++counters_.graphs_asked;
    out.sends.push_back(
        {{contact.id, contact.address}, graph::make_message(graph::GraphRequest{})});
  }
  outside_ = graphs_asked_;
  look(now_ns);
}

void Join::attach(const Contact& contact, TimeNs now_ns, Output& out) {
  attached_to_.push_back(contact.id);
  member_.attach(contact, resource_, now_ns, out);
}

// The first to answer are the nearest.
bool Join::on_probe(const Peer& from, const graph::Pong& pong, TimeNs now_ns, Output& out) {
  if (pong.nonce != probed_ns_) return false;
  const auto at = std::find_if(inside_.begin(), inside_.end(),
                               [&](const Contact& c) { return c.id == from.id; });
  if (at == inside_.end()) return false;
  const Contact contact = *at;
  inside_.erase(at);
  if (attached_to_.size() < config_.inside_wanted) {
    attach(contact, now_ns, out);
  } else {
    answered_.push_back(contact);
  }
  return true;
}

bool Join::on_graph(const Peer& from, const graph::Graph& graph, TimeNs now_ns) {
  const auto asked = std::find(graphs_asked_.begin(), graphs_asked_.end(), from.id);
  if (asked == graphs_asked_.end()) return true;
  graphs_asked_.erase(asked);
  ++counters_.graphs;
  graphs_.push_back(graph.root);
  if (graphs_asked_.empty() || has_graph_) adopt(now_ns);
  return true;
}

void Join::adopt(TimeNs now_ns) {
  if (graphs_.empty()) return;
  has_graph_ = true;
  const graph::View voted = most_voted(member_.view().store(), graphs_, counters_.conflicts);
  graphs_.clear();
  member_.adopt(voted.root(), now_ns);
  look(now_ns);
}

void Join::on_refused(const Peer& from, const graph::Refused& refused, TimeNs now_ns, Output& out) {
  const auto asked = std::find(attached_to_.begin(), attached_to_.end(), from.id);
  if (asked == attached_to_.end() || state_ != State::entering) return;
  ++counters_.refusals;
  if (refused.reason == graph::Refusal::not_admitted) {
    // One member's word may be a lie; as many as are asked agree.
    if (++not_admitted_ >= std::min<size_t>(config_.inside_wanted, attached_to_.size())) {
      state_ = State::refused;
      timer_ns_ = time_never;
    }
    return;
  }
  attached_to_.erase(asked);
  refused_by_.push_back(from.id);
  // Whom the trackers named comes before whom somebody names that refuses: it may be a liar that
  // sends newcomers round among its accomplices.
  std::vector<Contact> next = std::exchange(answered_, {});
  if (refused_by_.size() <= refusals_followed_max) {
    next.insert(next.end(), refused.instead.begin(), refused.instead.end());
  }
  const auto is_in = [](const std::vector<NodeId>& list, const NodeId& id) {
    return std::find(list.begin(), list.end(), id) != list.end();
  };
  bool has_asked = false;
  for (const Contact& contact : next) {
    const bool is_new = contact.id != member_.id() && !is_in(attached_to_, contact.id) &&
                        !is_in(refused_by_, contact.id);
    if (!is_new) continue;
    if (has_asked) {
      if (answered_.size() < answered_max) answered_.push_back(contact);
      continue;
    }
    attach(contact, now_ns, out);
    has_asked = true;
  }
}

void Join::look(TimeNs now_ns) {
  if (state_ != State::entering) return;
  const bool is_alone = inside_.empty() && attached_to_.empty();
  const bool is_in = resource_ && !is_alone ? member_.has_link_inside(*resource_) : has_graph_;
  if (is_in) set_joined(now_ns);
}

void Join::set_joined(TimeNs now_ns) {
  if (joined_ns_ == 0) joined_ns_ = now_ns;
  state_ = State::joined;
  // Graphs may still be on their way.
  timer_ns_ = graphs_asked_.empty() ? time_never : now_ns + config_.answer_wait_ns;
}

void Join::tick(TimeNs now_ns, Output& out) {
  if (now_ns < timer_ns_) return;
  timer_ns_ = time_never;
  if (state_ == State::redirecting && !answers_.empty()) return end_redirection(now_ns, out);
  if (state_ == State::joined || (state_ == State::entering && !has_graph_)) adopt(now_ns);
  if (state_ == State::joined || state_ == State::refused) return;
  // Nobody answered: again, from the start.
  ++counters_.retries;
  retry_ns_ = std::min(2 * retry_ns_, config_.retry_max_ns);
  attached_to_.clear();
  answered_.clear();
  refused_by_.clear();
  if (trackers_.empty()) return set_joined(now_ns);
  ask_trackers(now_ns, out);
}

}  // namespace chaincast::join
