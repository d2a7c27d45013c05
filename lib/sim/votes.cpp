// SPDX-License-Identifier: BSD-3-Clause
#include "sim/votes.hpp"

#include <algorithm>
#include <queue>
#include <set>

namespace chaincast::sim {
namespace {

NodeId id_at(uint32_t position) {
  NodeId out;
  store_be32(out.bytes.data(), position);
  return out;
}

// As graph::parents_of() has it.
bool is_parent(const std::vector<uint32_t>& hops, uint32_t parent, uint32_t node) {
  return hops[parent] < hops[node] || (hops[parent] == hops[node] && parent < node);
}

std::vector<uint32_t> parents_at(const graph::Topology& topology, const std::vector<uint32_t>& hops,
                                 uint32_t node) {
  std::vector<uint32_t> out;
  for (uint32_t i = topology.first[node]; i < topology.first[node + 1]; ++i) {
    if (is_parent(hops, topology.links[i], node)) out.push_back(topology.links[i]);
  }
  return out;
}

class Frame {
 public:
  Frame(const graph::Topology& topology, const std::vector<uint32_t>& places,
        const Latencies& latencies, uint32_t origin, const vote::VoteConfig& config,
        const std::vector<bool>& is_liar)
      : topology_(topology),
        places_(places),
        latencies_(latencies),
        origin_(origin),
        is_liar_(is_liar),
        hops_(graph::distances(topology, origin)),
        arrived_ns_(places.size(), time_never),
        accepted_ns_(places.size(), time_never) {
    CC_ASSERT(is_liar.empty() || is_liar.size() == places.size());
    for (uint32_t node = 0; node < places.size(); ++node) {
      votes_.emplace_back(config);
      std::vector<NodeId> parents;
      for (const uint32_t parent : parents_at(topology, hops_, node)) {
        parents.push_back(id_at(parent));
      }
      votes_.back().set_parents(std::move(parents));
    }
  }

  VoteDelays run() {
    accept(origin_, 0, true_);
    arrived_ns_[origin_] = 0;
    pass_on(origin_, 0, nullptr);
    while (!queue_.empty()) {
      const Event event = queue_.top();
      queue_.pop();
      event.vote ? on_vote(event) : on_frame(event);
    }
    VoteDelays out = result();
    look_for_liars(out);
    return out;
  }

 private:
  struct Event {
    TimeNs at_ns = 0;
    uint32_t to = 0, from = 0;
    const Digest* vote = nullptr;  // none: the frame
    uint64_t serial = 0;
    bool operator>(const Event& other) const {
      return std::tuple(at_ns, to, from, serial) >
             std::tuple(other.at_ns, other.to, other.from, other.serial);
    }
  };

  bool is_liar(uint32_t node) const { return !is_liar_.empty() && is_liar_[node]; }

  void pass_on(uint32_t node, TimeNs now_ns, const Digest* vote) {
    for (uint32_t i = topology_.first[node]; i < topology_.first[node + 1]; ++i) {
      const uint32_t to = topology_.links[i];
      if (vote && !is_parent(hops_, node, to)) continue;
      const TimeNs at_ns = now_ns + latencies_.one_way_ns(places_[node], places_[to]);
      queue_.push({at_ns, to, node, vote, serial_++});
    }
  }

  void on_frame(const Event& event) {
    const bool is_first = arrived_ns_[event.to] == time_never;
    if (is_first) {
      arrived_ns_[event.to] = event.at_ns;
      pass_on(event.to, event.at_ns, nullptr);
      if (is_liar(event.to)) {
        pass_on(event.to, event.at_ns, &corrupt_);
        pass_on(event.to, event.at_ns, &true_);
      }
    }
    vote::Votes& votes = votes_[event.to];
    if (event.from == origin_ && votes.on_origin_link(0, true_) == vote::Outcome::accepted) {
      accept(event.to, event.at_ns, true_);
    } else if (is_first && votes.accepted(0)) {
      accept(event.to, event.at_ns, *votes.accepted(0));  // the votes were here before the frame
    }
  }

  void on_vote(const Event& event) {
    const auto outcome = votes_[event.to].on_vote(id_at(event.from), 0, *event.vote);
    if (outcome != vote::Outcome::accepted || arrived_ns_[event.to] == time_never) return;
    accept(event.to, event.at_ns, *event.vote);
  }

  void accept(uint32_t node, TimeNs now_ns, const Digest& digest) {
    if (accepted_ns_[node] != time_never || is_liar(node)) return;
    accepted_ns_[node] = now_ns;
    pass_on(node, now_ns, digest == true_ ? &true_ : &corrupt_);
  }

  VoteDelays result() const {
    VoteDelays out;
    std::vector<double> delays_ms;
    for (uint32_t node = 0; node < places_.size(); ++node) {
      if (node == origin_ || is_liar(node)) continue;
      ++out.nodes;
      if (arrived_ns_[node] == time_never) continue;
      out.arrival_ms += static_cast<double>(arrived_ns_[node]) / 1e6;
      if (accepted_ns_[node] == time_never) continue;
      out.corrupt += votes_[node].accepted(0) == true_ ? 0u : 1u;
      delays_ms.push_back(static_cast<double>(accepted_ns_[node] - arrived_ns_[node]) / 1e6);
      out.mean_ms += delays_ms.back();
    }
    out.accepted = delays_ms.size();
    if (out.nodes > 0) out.arrival_ms /= static_cast<double>(out.nodes);
    if (delays_ms.empty()) return out;
    out.mean_ms /= static_cast<double>(delays_ms.size());
    std::sort(delays_ms.begin(), delays_ms.end());
    out.p99_ms = delays_ms[(delays_ms.size() - 1) * 99 / 100];
    return out;
  }

  void look_for_liars(VoteDelays& out) {
    std::set<NodeId> named;
    for (uint32_t node = 0; node < places_.size(); ++node) {
      if (node == origin_ || is_liar(node)) continue;
      votes_[node].on_signed(0, true_);
      for (const vote::Liar& liar : votes_[node].take_liars()) named.insert(liar.voter);
    }
    for (const NodeId& id : named) {
      const uint32_t position = load_be32(id.bytes.data());
      if (is_liar(position)) out.liars_named.insert(position);
      out.honest_named += is_liar(position) ? 0u : 1u;
    }
  }

  const graph::Topology& topology_;
  const std::vector<uint32_t>& places_;
  const Latencies& latencies_;
  const uint32_t origin_;
  const std::vector<bool>& is_liar_;
  const Digest true_{1}, corrupt_{2};
  std::vector<uint32_t> hops_;
  std::vector<TimeNs> arrived_ns_, accepted_ns_;
  std::vector<vote::Votes> votes_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  uint64_t serial_ = 0;
};

}  // namespace

VoteDelays vote_delays(const graph::Topology& topology, const std::vector<uint32_t>& places,
                       const Latencies& latencies, uint32_t origin, const vote::VoteConfig& config,
                       const std::vector<bool>& is_liar) {
  return Frame(topology, places, latencies, origin, config, is_liar).run();
}

std::vector<bool> liars_below_quorum(const graph::Topology& topology, uint32_t origin, double share,
                                     const vote::VoteConfig& config, Random& random) {
  const auto nodes = static_cast<uint32_t>(topology.nodes.size());
  const std::vector<uint32_t> hops = graph::distances(topology, origin);
  std::vector<size_t> room(nodes);  // for lying parents
  std::vector<uint32_t> order;
  for (uint32_t node = 0; node < nodes; ++node) {
    vote::Votes votes(config);
    std::vector<NodeId> parents;
    for (const uint32_t parent : parents_at(topology, hops, node)) parents.push_back(id_at(parent));
    votes.set_parents(std::move(parents));
    // The rest goes by the signature, or by the origin's own link.
    const bool is_voting = votes.is_sufficient() && hops[node] > 1;
    room[node] = is_voting ? votes.needed() - 1 : nodes;
    if (node != origin) order.push_back(node);
  }
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::vector<bool> out(nodes, false);
  size_t left = static_cast<size_t>(share * nodes);
  for (const uint32_t candidate : order) {
    std::vector<uint32_t> children;
    for (uint32_t i = topology.first[candidate]; i < topology.first[candidate + 1]; ++i) {
      if (is_parent(hops, candidate, topology.links[i])) children.push_back(topology.links[i]);
    }
    const bool has_room = std::all_of(children.begin(), children.end(),
                                      [&](uint32_t child) { return room[child] > 0; });
    if (left == 0 || !has_room) continue;
    out[candidate] = true;
    --left;
    for (const uint32_t child : children) --room[child];
  }
  return out;
}

graph::Topology rewired(const graph::Topology& topology, Random& random) {
  const auto nodes = static_cast<uint32_t>(topology.nodes.size());
  std::vector<uint32_t> ends;
  for (uint32_t node = 0; node < nodes; ++node) {
    ends.insert(ends.end(), topology.degree(node), node);
  }
  for (size_t i = ends.size(); i > 1; --i) std::swap(ends[i - 1], ends[random.below(i)]);
  std::vector<std::set<uint32_t>> peers(nodes);
  for (size_t i = 0; i + 1 < ends.size(); i += 2) {
    if (ends[i] == ends[i + 1]) continue;
    peers[ends[i]].insert(ends[i + 1]);
    peers[ends[i + 1]].insert(ends[i]);
  }
  graph::Topology out;
  out.nodes = topology.nodes;
  out.first.push_back(0);
  for (const auto& list : peers) {
    out.links.insert(out.links.end(), list.begin(), list.end());
    out.first.push_back(static_cast<uint32_t>(out.links.size()));
  }
  return out;
}

}  // namespace chaincast::sim
