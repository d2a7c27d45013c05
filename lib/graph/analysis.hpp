// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "graph/view.hpp"

// What hangs on what: components, articulation points, bridges and leaf blocks of the links that
// both ends list (Hopcroft and Tarjan 1973). Pure; O(nodes + links).
namespace chaincast::graph {

inline constexpr uint32_t no_block = ~0u;

// Links among a list of nodes. Nodes are positions in `nodes`, which ascends by id.
struct Topology {
  std::vector<EntryRef> nodes;
  std::vector<uint32_t> first;                // of each node, in `links`; one more at the end
  std::vector<uint32_t> links;                // each link twice
  uint32_t position(const NodeId& id) const;  // nodes.size() where it is not among them
  size_t degree(uint32_t node) const { return first[node + 1] - first[node]; }
};

// Nodes that are alive; suspected ones are left out. `nodes` must ascend by id.
Topology topology_of(std::vector<EntryRef> nodes);
Topology topology_of(const View& view);

struct Analysis {
  std::vector<uint32_t> component;    // of each node
  std::vector<bool> is_articulation;  // its loss splits its component
  uint32_t components = 0;
  uint32_t largest = 0;  // the component with most nodes
  uint32_t articulations = 0;
  uint32_t bridges = 0;  // links whose loss splits a component
  // The leaf block of a node: a part that hangs on one articulation point alone. no_block for
  // nodes of any other part, and for articulation points.
  std::vector<uint32_t> leaf_block;
  bool is_connected() const { return components <= 1; }
  bool is_biconnected() const { return components <= 1 && articulations == 0; }
};
Analysis analyse(const Topology& topology);

// What is known of a view's graph. Equal views share one: the last few are remembered, so that in a
// process with many nodes each state of the graph is analysed once. One control thread; cleared or
// destroyed before the Store.
struct Analysed {
  Topology topology;
  Analysis analysis;
};
class Analyst {
 public:
  std::shared_ptr<const Analysed> of(const View& view);
  void clear() { recent_.clear(); }

 private:
  std::vector<std::pair<PartRef, std::shared_ptr<const Analysed>>> recent_;
};

// Hops from `from` to every node; no_block where there is no path.
std::vector<uint32_t> distances(const Topology& topology, uint32_t from);

// Parents of a node in a stream: its neighbours that are nearer to the origin. Among equally near
// ones the smaller node id counts as nearer, so no two nodes are each other's parents.
std::vector<NodeId> parents_of(const Topology& topology, const std::vector<uint32_t>& hops,
                               uint32_t node);

}  // namespace chaincast::graph
