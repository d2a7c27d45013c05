// SPDX-License-Identifier: BSD-3-Clause
#include "graph/analysis.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "graph/facts.hpp"

namespace chaincast::graph {
namespace {

using Edges = std::vector<std::pair<uint32_t, uint32_t>>;

Topology topology(uint32_t nodes, const Edges& edges) {
  std::vector<std::vector<uint32_t>> lists(nodes);
  for (const auto& [a, b] : edges) {
    lists[a].push_back(b);
    lists[b].push_back(a);
  }
  Topology out;
  out.nodes.resize(nodes);
  out.first.push_back(0);
  for (const auto& list : lists) {
    out.links.insert(out.links.end(), list.begin(), list.end());
    out.first.push_back(static_cast<uint32_t>(out.links.size()));
  }
  return out;
}

// Components left when one node, or one edge, is taken away: by definition, not by the algorithm.
size_t components(uint32_t nodes, const Edges& edges, uint32_t without) {
  std::vector<uint32_t> group(nodes);
  for (uint32_t i = 0; i < nodes; ++i) group[i] = i;
  for (uint32_t round = 0; round < nodes; ++round) {
    for (const auto& [a, b] : edges) {
      if (a == without || b == without) continue;
      group[a] = group[b] = std::min(group[a], group[b]);
    }
  }
  std::set<uint32_t> distinct;
  for (uint32_t i = 0; i < nodes; ++i) {
    if (i != without) distinct.insert(group[i]);
  }
  return distinct.size();
}

TEST(Analysis, AgreesWithTheDefinitionsOnRandomGraphs) {
  size_t cut = 0, bridges_seen = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    const auto nodes = static_cast<uint32_t>(2 + random.below(12));
    std::set<std::pair<uint32_t, uint32_t>> distinct;
    for (uint64_t i = random.below(2 * nodes); i-- > 0;) {
      const auto a = static_cast<uint32_t>(random.below(nodes));
      const auto b = static_cast<uint32_t>(random.below(nodes));
      if (a != b) distinct.emplace(std::min(a, b), std::max(a, b));
    }
    const Edges edges(distinct.begin(), distinct.end());
    const Analysis analysis = analyse(topology(nodes, edges));
    const size_t whole = components(nodes, edges, no_block);
    ASSERT_EQ(analysis.components, whole) << "seed " << seed;
    std::vector<size_t> degree(nodes, 0);
    for (const auto& [a, b] : edges) ++degree[a], ++degree[b];
    for (uint32_t node = 0; node < nodes; ++node) {
      const bool splits = components(nodes, edges, node) > whole - (degree[node] == 0 ? 1 : 0);
      ASSERT_EQ(analysis.is_articulation[node], splits) << "seed " << seed << " node " << node;
      cut += splits ? 1u : 0u;
    }
    size_t bridges = 0;
    for (size_t i = 0; i < edges.size(); ++i) {
      Edges fewer = edges;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
      bridges += components(nodes, fewer, no_block) > whole ? 1u : 0u;
    }
    ASSERT_EQ(analysis.bridges, bridges) << "seed " << seed;
    bridges_seen += bridges;
  }
  EXPECT_GT(cut, 100u);
  EXPECT_GT(bridges_seen, 100u);
}

TEST(Analysis, LeafBlocksAreTheEndsOfTheTree) {
  // Two triangles on a path: 0 1 2 - 3 - 4 5 6.
  const Analysis analysis =
      analyse(topology(7, {{0, 1}, {1, 2}, {0, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {4, 6}}));
  EXPECT_EQ(analysis.bridges, 2u);
  EXPECT_EQ(analysis.leaf_block[0], analysis.leaf_block[1]);
  EXPECT_EQ(analysis.leaf_block[5], analysis.leaf_block[6]);
  EXPECT_NE(analysis.leaf_block[0], analysis.leaf_block[5]);
  for (const uint32_t node : {2u, 3u, 4u}) EXPECT_EQ(analysis.leaf_block[node], no_block);
}

TEST(Analysis, ALinkTakesBothEndsAndParentsMakeNoCycle) {
  test::Facts facts;
  View view(facts.store);
  view.merge(facts.record(1, 1, {2, 3}));
  view.merge(facts.record(2, 1, {1, 3}));
  view.merge(facts.record(3, 1, {2}));  // does not know of 1
  const Topology seen = topology_of(view);
  EXPECT_EQ(seen.links.size(), 4u);
  view.merge(facts.record(3, 2, {1, 2}));
  const Topology whole = topology_of(view);
  const uint32_t origin = whole.position(facts.id(1));
  const auto hops = distances(whole, origin);
  EXPECT_TRUE(parents_of(whole, hops, origin).empty());
  const auto of_2 = parents_of(whole, hops, whole.position(facts.id(2)));
  const auto of_3 = parents_of(whole, hops, whole.position(facts.id(3)));
  EXPECT_EQ(of_2.size() + of_3.size(), 3u) << "of two equally near nodes one is the other's parent";
}

}  // namespace
}  // namespace chaincast::graph
