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

class Frame {
 public:
  Frame(const graph::Topology& topology, const std::vector<uint32_t>& places,
        const Latencies& latencies, uint32_t origin, const vote::VoteConfig& config)
      : topology_(topology),
        places_(places),
        latencies_(latencies),
        origin_(origin),
        hops_(graph::distances(topology, origin)),
        arrived_ns_(places.size(), time_never),
        accepted_ns_(places.size(), time_never) {
    for (uint32_t node = 0; node < places.size(); ++node) {
      votes_.emplace_back(config);
      std::vector<NodeId> parents;
      for (uint32_t i = topology.first[node]; i < topology.first[node + 1]; ++i) {
        if (is_parent(topology.links[i], node)) parents.push_back(id_at(topology.links[i]));
      }
      votes_.back().set_parents(std::move(parents));
    }
  }

  VoteDelays run() {
    accept(origin_, 0);
    arrived_ns_[origin_] = 0;
    pass_on(origin_, 0, false);
    while (!queue_.empty()) {
      const Event event = queue_.top();
      queue_.pop();
      event.is_vote ? on_vote(event) : on_frame(event);
    }
    return result();
  }

 private:
  struct Event {
    TimeNs at_ns = 0;
    uint32_t to = 0, from = 0;
    bool is_vote = false;
    bool operator>(const Event& other) const {
      return std::tuple(at_ns, to, from, is_vote) >
             std::tuple(other.at_ns, other.to, other.from, other.is_vote);
    }
  };

  // As graph::parents_of() has it.
  bool is_parent(uint32_t parent, uint32_t node) const {
    return hops_[parent] < hops_[node] || (hops_[parent] == hops_[node] && parent < node);
  }

  void pass_on(uint32_t node, TimeNs now_ns, bool is_vote) {
    for (uint32_t i = topology_.first[node]; i < topology_.first[node + 1]; ++i) {
      const uint32_t to = topology_.links[i];
      if (is_vote && !is_parent(node, to)) continue;
      queue_.push({now_ns + latencies_.one_way_ns(places_[node], places_[to]), to, node, is_vote});
    }
  }

  void on_frame(const Event& event) {
    const bool is_first = arrived_ns_[event.to] == time_never;
    if (is_first) {
      arrived_ns_[event.to] = event.at_ns;
      pass_on(event.to, event.at_ns, false);
    }
    vote::Votes& votes = votes_[event.to];
    if (event.from == origin_ && votes.on_origin_link(0, digest_) == vote::Outcome::accepted) {
      accept(event.to, event.at_ns);
    } else if (is_first && votes.accepted(0)) {
      accept(event.to, event.at_ns);  // the votes were here before the frame
    }
  }

  void on_vote(const Event& event) {
    const auto outcome = votes_[event.to].on_vote(id_at(event.from), 0, digest_);
    if (outcome != vote::Outcome::accepted || arrived_ns_[event.to] == time_never) return;
    accept(event.to, event.at_ns);
  }

  void accept(uint32_t node, TimeNs now_ns) {
    if (accepted_ns_[node] != time_never) return;
    accepted_ns_[node] = now_ns;
    pass_on(node, now_ns, true);
  }

  VoteDelays result() const {
    VoteDelays out;
    std::vector<double> delays_ms;
    for (uint32_t node = 0; node < places_.size(); ++node) {
      if (node == origin_) continue;
      ++out.nodes;
      if (arrived_ns_[node] == time_never) continue;
      out.arrival_ms += static_cast<double>(arrived_ns_[node]) / 1e6;
      if (accepted_ns_[node] == time_never) continue;
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

  const graph::Topology& topology_;
  const std::vector<uint32_t>& places_;
  const Latencies& latencies_;
  const uint32_t origin_;
  const Digest digest_{1};
  std::vector<uint32_t> hops_;
  std::vector<TimeNs> arrived_ns_, accepted_ns_;
  std::vector<vote::Votes> votes_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
};

}  // namespace

VoteDelays vote_delays(const graph::Topology& topology, const std::vector<uint32_t>& places,
                       const Latencies& latencies, uint32_t origin,
                       const vote::VoteConfig& config) {
  return Frame(topology, places, latencies, origin, config).run();
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
