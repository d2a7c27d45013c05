// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/random.hpp"
#include "graph/analysis.hpp"
#include "sim/latency.hpp"
#include "vote/vote.hpp"

// How long votes hold a frame up, in a given graph (docs/membership.md, "Votes"). Every node runs
// vote::Votes; a frame and the votes on it travel the links at their latencies, each link being
// passed on at once. Pure.
namespace chaincast::sim {

struct VoteDelays {
  size_t nodes = 0;                // without the origin
  size_t accepted = 0;             // of them; the others wait for the signature
  double arrival_ms = 0;           // mean time from the origin to the frame's first copy
  double mean_ms = 0, p99_ms = 0;  // from there to acceptance
};

// One frame of `origin`. `places`: where each node of the topology is. The nodes of the topology
// need no entries: node ids are made of positions.
VoteDelays vote_delays(const graph::Topology& topology, const std::vector<uint32_t>& places,
                       const Latencies& latencies, uint32_t origin, const vote::VoteConfig& config);

// As many links at every node, but between nodes drawn at random. Some links fall away (a node with
// itself, or twice with another).
graph::Topology rewired(const graph::Topology& topology, Random& random);

}  // namespace chaincast::sim
