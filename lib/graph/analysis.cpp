// SPDX-License-Identifier: BSD-3-Clause
#include "graph/analysis.hpp"

#include <algorithm>
#include <deque>

namespace chaincast::graph {
namespace {

// Depth-first search without recursion, because graphs of 100,000 nodes are deep.
class Search {
 public:
  Search(const Topology& topology, Analysis& out) : topology_(topology), out_(out) {
    const size_t count = topology.nodes.size();
    order_.resize(count, 0);
    low_.resize(count, 0);
    parent_.resize(count, no_block);
    next_ = topology.first;
    out.component.resize(count, 0);
    out.is_articulation.resize(count, false);
    out.leaf_block.resize(count, no_block);
  }

  void run() {
    std::vector<uint32_t> sizes;
    for (uint32_t root = 0; root < order_.size(); ++root) {
      if (order_[root] != 0) continue;
      const uint32_t before = clock_;
      from(root);
      sizes.push_back(clock_ - before);
      ++out_.components;
    }
    if (!sizes.empty()) {
      out_.largest =
          static_cast<uint32_t>(std::max_element(sizes.begin(), sizes.end()) - sizes.begin());
    }
    for (const bool is : out_.is_articulation) out_.articulations += is ? 1u : 0u;
    find_leaves();
  }

 private:
  void enter(uint32_t node) {
    order_[node] = low_[node] = ++clock_;
    out_.component[node] = out_.components;
    path_.push_back(node);
    open_.push_back(node);
  }

  void from(uint32_t root) {
    unsigned root_children = 0;
    enter(root);
    while (!path_.empty()) {
      const uint32_t node = path_.back();
      if (next_[node] < topology_.first[node + 1]) {
        const uint32_t other = topology_.links[next_[node]++];
        if (order_[other] == 0) {
          parent_[other] = node;
          root_children += node == root ? 1 : 0;
          enter(other);
        } else if (other != parent_[node]) {
          low_[node] = std::min(low_[node], order_[other]);
        }
        continue;
      }
      path_.pop_back();
      if (path_.empty()) break;
      const uint32_t above = path_.back();
      low_[above] = std::min(low_[above], low_[node]);
      if (low_[node] > order_[above]) ++out_.bridges;
      if (low_[node] >= order_[above]) {
        close_block(node, above);
        if (above != root) out_.is_articulation[above] = true;
      }
    }
    if (root_children > 1) out_.is_articulation[root] = true;
    open_.clear();
  }

  // Everything opened since `node`, and the node above it, is one block.
  void close_block(uint32_t node, uint32_t above) {
    std::vector<uint32_t> block{above};
    for (;;) {
      const uint32_t last = open_.back();
      open_.pop_back();
      block.push_back(last);
      if (last == node) break;
    }
    blocks_.push_back(std::move(block));
  }

  void find_leaves() {
    for (uint32_t i = 0; i < blocks_.size(); ++i) {
      unsigned cuts = 0;
      for (const uint32_t node : blocks_[i]) cuts += out_.is_articulation[node] ? 1u : 0u;
      if (cuts != 1) continue;
      for (const uint32_t node : blocks_[i]) {
        if (!out_.is_articulation[node]) out_.leaf_block[node] = i;
      }
    }
  }

  const Topology& topology_;
  Analysis& out_;
  std::vector<uint32_t> order_, low_, parent_, next_, path_, open_;
  std::vector<std::vector<uint32_t>> blocks_;
  uint32_t clock_ = 0;
};

}  // namespace

uint32_t Topology::position(const NodeId& id) const {
  const auto at = std::lower_bound(nodes.begin(), nodes.end(), id,
                                   [](const EntryRef& e, const NodeId& i) { return e->id() < i; });
  if (at == nodes.end() || (*at)->id() != id) return static_cast<uint32_t>(nodes.size());
  return static_cast<uint32_t>(at - nodes.begin());
}

Topology topology_of(std::vector<EntryRef> nodes) {
  std::erase_if(nodes, [](const EntryRef& entry) { return entry->standing != Standing::alive; });
  Topology out;
  out.nodes = std::move(nodes);
  out.first.push_back(0);
  for (const EntryRef& entry : out.nodes) {
    for (const wire::LinkEnd& link : entry->record->said.links) {
      const uint32_t other = out.position(link.peer);
      if (other < out.nodes.size() && states_link_with(*out.nodes[other]->record, entry->id())) {
        out.links.push_back(other);
      }
    }
    out.first.push_back(static_cast<uint32_t>(out.links.size()));
  }
  return out;
}

Topology topology_of(const View& view) {
  std::vector<EntryRef> nodes;
  nodes.reserve(view.live());
  view.live_below({}, nodes);
  return topology_of(std::move(nodes));
}

Analysis analyse(const Topology& topology) {
  Analysis out;
  Search(topology, out).run();
  return out;
}

std::shared_ptr<const Analysed> Analyst::of(const View& view) {
  constexpr size_t recent_max = 4;
  for (const auto& [root, analysed] : recent_) {
    if (root == view.root()) return analysed;
  }
  auto made = std::make_shared<Analysed>();
  made->topology = topology_of(view);
  made->analysis = analyse(made->topology);
  if (recent_.size() == recent_max) recent_.erase(recent_.begin());
  recent_.emplace_back(view.root(), made);
  return made;
}

std::vector<uint32_t> distances(const Topology& topology, uint32_t from) {
  std::vector<uint32_t> hops(topology.nodes.size(), no_block);
  hops[from] = 0;
  std::deque<uint32_t> waiting{from};
  while (!waiting.empty()) {
    const uint32_t node = waiting.front();
    waiting.pop_front();
    for (uint32_t i = topology.first[node]; i < topology.first[node + 1]; ++i) {
      const uint32_t other = topology.links[i];
      if (hops[other] != no_block) continue;
      hops[other] = hops[node] + 1;
      waiting.push_back(other);
    }
  }
  return hops;
}

std::vector<NodeId> parents_of(const Topology& topology, const std::vector<uint32_t>& hops,
                               uint32_t node) {
  std::vector<NodeId> out;
  for (uint32_t i = topology.first[node]; i < topology.first[node + 1]; ++i) {
    const uint32_t other = topology.links[i];
    // Positions ascend by id.
    if (hops[other] < hops[node] || (hops[other] == hops[node] && other < node)) {
      out.push_back(topology.nodes[other]->id());
    }
  }
  return out;
}

}  // namespace chaincast::graph
