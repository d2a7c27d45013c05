// SPDX-License-Identifier: BSD-3-Clause
#include "sim/health.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace chaincast::sim {
namespace {

struct Moments {
  double count = 0, sum = 0, squares = 0;
  void add(double value) {
    ++count;
    sum += value;
    squares += value * value;
  }
  double mean() const { return count > 0 ? sum / count : 0; }
  double cv() const {
    if (count == 0 || sum == 0) return 0;
    return std::sqrt(std::max(0.0, squares / count - mean() * mean())) / mean();
  }
};

bool has_link(const graph::Member& member, const NodeId& peer) {
  const auto links = member.links();
  return std::any_of(links.begin(), links.end(), [&](const graph::LinkStatus& link) {
    return link.peer == peer && !link.is_suspected;
  });
}

void look_at_views(const MemberWorld& world, const std::vector<Index>& running, Health& out) {
  std::set<Digest> views;
  std::set<const graph::Part*> roots;
  out.is_complete = true;
  for (const Index i : running) {
    const graph::View& view = world.member(i).view();
    views.insert(view.digest());
    if (!roots.insert(view.root().get()).second) continue;
    out.is_complete = out.is_complete && view.live() == running.size() &&
                      std::all_of(running.begin(), running.end(), [&](Index other) {
                        const graph::Entry* entry = view.find(world.id(other));
                        return entry && entry->standing == graph::Standing::alive;
                      });
  }
  out.views = views.size();
}

void look_at_latency(const MemberWorld& world, const std::vector<Index>& running,
                     const graph::Topology& topology, Health& out) {
  Moments linked, any;
  std::map<uint32_t, double> nodes_at;
  for (const Index i : running) ++nodes_at[world.place(i)];
  for (size_t a = 0; a < running.size(); ++a) {
    const uint32_t here = world.place(running[a]);
    const size_t degree = topology.degree(static_cast<uint32_t>(a));
    for (uint32_t k = topology.first[a]; k < topology.first[a + 1]; ++k) {
      linked.add(world.latencies().rtt_us(here, world.place(running[topology.links[k]])));
    }
    double sum = 0;
    for (const auto& [place, count] : nodes_at) {
      sum += (count - (place == here ? 1 : 0)) * world.latencies().rtt_us(here, place);
    }
    const double mean = running.size() > 1 ? sum / static_cast<double>(running.size() - 1) : 0;
    for (size_t k = 0; k < degree; ++k) any.add(mean);
  }
  out.rtt_ms = linked.mean() / 1000;
  out.rtt_random_ms = any.mean() / 1000;
}

// Subnetworks, the links outside them left out.
size_t split_subnetworks(const MemberWorld& world, const std::vector<Index>& running,
                         const graph::Topology& topology) {
  std::map<wire::ResourceId, std::vector<uint32_t>> members;
  for (uint32_t a = 0; a < running.size(); ++a) {
    if (const auto& r = world.arrival(running[a]).resource) members[*r].push_back(a);
  }
  size_t split = 0;
  for (const auto& [resource, nodes] : members) {
    graph::Topology inside;
    inside.nodes.resize(nodes.size());
    inside.first.push_back(0);
    for (const uint32_t a : nodes) {
      for (uint32_t k = topology.first[a]; k < topology.first[a + 1]; ++k) {
        const auto at = std::lower_bound(nodes.begin(), nodes.end(), topology.links[k]);
        if (at != nodes.end() && *at == topology.links[k]) {
          inside.links.push_back(static_cast<uint32_t>(at - nodes.begin()));
        }
      }
      inside.first.push_back(static_cast<uint32_t>(inside.links.size()));
    }
    split += graph::analyse(inside).is_connected() ? 0u : 1u;
  }
  return split;
}

}  // namespace

graph::Topology true_topology(const MemberWorld& world, const std::vector<Index>& running) {
  graph::Topology out;
  out.nodes.resize(running.size());
  out.first.push_back(0);
  for (const Index i : running) {
    for (const graph::LinkStatus& link : world.member(i).links()) {
      const Index other = world.index(link.peer);
      const auto at = std::lower_bound(running.begin(), running.end(), other);
      const bool is_up = at != running.end() && *at == other && !link.is_suspected &&
                         world.side(i) == world.side(other) &&
                         has_link(world.member(other), world.id(i));
      if (is_up) out.links.push_back(static_cast<uint32_t>(at - running.begin()));
    }
    out.first.push_back(static_cast<uint32_t>(out.links.size()));
  }
  return out;
}

Health health_of(const MemberWorld& world) {
  Health out;
  const std::vector<Index> running = world.running();
  out.running = running.size();
  if (running.empty()) return out;
  const graph::Topology topology = true_topology(world, running);
  const graph::Analysis analysis = graph::analyse(topology);
  out.articulations = analysis.articulations;
  out.split = split_subnetworks(world, running, topology);
  Moments degree, bytes;
  out.degree_min = ~size_t{0};
  for (uint32_t a = 0; a < running.size(); ++a) {
    const Index i = running[a];
    out.joined += world.join(i).state() == join::State::joined ? 1u : 0u;
    out.stray += analysis.component[a] != analysis.largest ? 1u : 0u;
    out.degree_min = std::min(out.degree_min, topology.degree(a));
    out.degree_max = std::max(out.degree_max, topology.degree(a));
    out.private_kib =
        std::max(out.private_kib, static_cast<double>(world.member(i).private_bytes()) / 1024);
    degree.add(static_cast<double>(topology.degree(a)));
    bytes.add(static_cast<double>(world.sent(i).bytes));
  }
  out.degree_mean = degree.mean();
  out.degree_cv = degree.cv();
  out.bytes_mean = bytes.mean();
  out.bytes_cv = bytes.cv();
  look_at_views(world, running, out);
  look_at_latency(world, running, topology, out);
  return out;
}

bool Health::is_healthy() const {
  return running > 0 && joined == running && stray == 0 && split == 0 && views == 1 &&
         is_complete && (running < 3 || articulations == 0);
}

std::map<std::string, double> Health::values() const {
  return {{"running", static_cast<double>(running)},
          {"joined", static_cast<double>(joined)},
          {"stray", static_cast<double>(stray)},
          {"split", static_cast<double>(split)},
          {"articulations", static_cast<double>(articulations)},
          {"views", static_cast<double>(views)},
          {"complete", is_complete ? 1.0 : 0.0},
          {"healthy", is_healthy() ? 1.0 : 0.0},
          {"degree_min", static_cast<double>(degree_min)},
          {"degree_max", static_cast<double>(degree_max)},
          {"degree_mean", degree_mean},
          {"degree_cv", degree_cv},
          {"bytes_mean", bytes_mean},
          {"bytes_cv", bytes_cv},
          {"rtt_ms", rtt_ms},
          {"rtt_random_ms", rtt_random_ms},
          {"rtt_saved", rtt_saved()},
          {"private_kib", private_kib}};
}

void CutOffs::look() {
  const std::vector<Index> running = world_.running();
  const graph::Topology topology = true_topology(world_, running);
  const graph::Analysis analysis = graph::analyse(topology);
  std::map<Index, TimeNs> still;
  for (uint32_t a = 0; a < running.size(); ++a) {
    const Index i = running[a];
    // Until it has joined, a node is not cut off but outside.
    const bool is_in = world_.join(i).state() == join::State::joined;
    if (!is_in || analysis.component[a] == analysis.largest) continue;
    const auto before = since_ns_.find(i);
    const TimeNs since_ns = before == since_ns_.end() ? world_.now_ns() : before->second;
    spells_ += before == since_ns_.end() ? 1u : 0u;
    still[i] = since_ns;
    longest_ns_ = std::max(longest_ns_, world_.now_ns() - since_ns);
  }
  since_ns_ = std::move(still);
}

}  // namespace chaincast::sim
