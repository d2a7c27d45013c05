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

// Whether a view holds all honest nodes as alive, and none that does not run. Where most partners
// of a dead node are liars that keep silent, the others' suspicion is all that there can be.
bool is_true(const graph::View& view, const std::vector<NodeId>& honest,
             const std::vector<NodeId>& all) {
  std::vector<graph::EntryRef> live;
  live.reserve(view.live());
  view.live_below({}, live);
  // All three ascend by id.
  auto running = all.begin();
  auto expected = honest.begin();
  for (const graph::EntryRef& entry : live) {
    while (running != all.end() && *running < entry->id()) ++running;
    if (running == all.end() || *running != entry->id()) {
      if (honest.size() < all.size() && entry->standing == graph::Standing::suspected) continue;
      return false;
    }
    if (expected == honest.end() || *expected != entry->id()) continue;
    if (entry->standing != graph::Standing::alive) return false;
    ++expected;
  }
  return expected == honest.end();
}

void look_at_views(const MemberWorld& world, const std::vector<Index>& honest, Health& out) {
  std::vector<NodeId> all, ours;
  for (const Index i : world.running()) all.push_back(world.id(i));
  for (const Index i : honest) ours.push_back(world.id(i));
  std::sort(all.begin(), all.end());
  std::sort(ours.begin(), ours.end());
  std::set<Digest> views;
  std::map<const graph::Part*, bool> roots;
  for (const Index i : honest) {
    const graph::View& view = world.member(i).view();
    views.insert(view.digest());
    const auto [at, is_new] = roots.try_emplace(view.root().get(), false);
    if (is_new) at->second = is_true(view, ours, all);
    out.untrue += at->second ? 0u : 1u;
  }
  out.views = views.size();
  out.is_complete = out.untrue == 0;
}

void look_at_liars(const MemberWorld& world, const std::vector<Index>& honest, Health& out) {
  std::set<NodeId> named;
  for (const Index i : honest) {
    for (const graph::Liar& liar : world.member(i).liars()) named.insert(liar.node);
  }
  for (const NodeId& id : named) {
    const bool is_liar = world.index(id) < world.size() && !world.is_honest(world.index(id));
    (is_liar ? out.liars_named : out.honest_named) += 1;
  }
  for (const Index i : world.running()) {
    const std::optional<Malice> malice = world.malice(i);
    if (!malice) continue;
    auto& [caught, all] = out.kinds[*malice];
    ++all;
    caught += named.contains(world.id(i)) ? 1u : 0u;
  }
  out.liars = world.running().size() - honest.size();
  out.refused_messages = world.refused_messages();
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

std::vector<Index> honest_nodes(const MemberWorld& world) {
  std::vector<Index> out = world.running();
  std::erase_if(out, [&](Index i) { return !world.is_honest(i); });
  return out;
}

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
                         world.member(other).is_linked(world.id(i));
      if (is_up) out.links.push_back(static_cast<uint32_t>(at - running.begin()));
    }
    out.first.push_back(static_cast<uint32_t>(out.links.size()));
  }
  return out;
}

Health health_of(const MemberWorld& world) {
  Health out;
  const std::vector<Index> running = honest_nodes(world);
  out.running = running.size();
  if (running.empty()) return out;
  const graph::Topology topology = true_topology(world, running);
  const graph::Analysis analysis = graph::analyse(topology);
  out.articulations = analysis.articulations;
  out.split = split_subnetworks(world, running, topology);
  Moments degree, bytes, messages, records;
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
    messages.add(static_cast<double>(world.sent(i).messages));
    records.add(static_cast<double>(world.member(i).counters().records_published));
  }
  out.degree_mean = degree.mean();
  out.degree_cv = degree.cv();
  out.bytes_mean = bytes.mean();
  out.bytes_cv = bytes.cv();
  out.messages_mean = messages.mean();
  out.records = records.mean();
  look_at_liars(world, running, out);
  look_at_views(world, running, out);
  look_at_latency(world, running, topology, out);
  return out;
}

bool is_one_view(const MemberWorld& world) {
  const graph::View* first = nullptr;
  for (const Index i : honest_nodes(world)) {
    const graph::View& view = world.member(i).view();
    if (first && view.digest() != first->digest()) return false;
    first = &view;
  }
  return first != nullptr;
}

bool Health::is_healthy() const {
  return running > 0 && joined == running && stray == 0 && (split == 0 || liars > 0) &&
         views == 1 && is_complete && (running < 3 || articulations == 0);
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
          {"messages_mean", messages_mean},
          {"bytes_mean", bytes_mean},
          {"bytes_cv", bytes_cv},
          {"rtt_ms", rtt_ms},
          {"rtt_random_ms", rtt_random_ms},
          {"rtt_saved", rtt_saved()},
          {"records", records},
          {"private_kib", private_kib},
          {"untrue", static_cast<double>(untrue)},
          {"liars", static_cast<double>(liars)},
          {"liars_named", static_cast<double>(liars_named)},
          {"honest_named", static_cast<double>(honest_named)},
          {"refused_messages", static_cast<double>(refused_messages)}};
}

void CutOffs::look() {
  const std::vector<Index> running = honest_nodes(world_);
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
