// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <set>

#include "base/random.hpp"
#include "graph/analysis.hpp"
#include "sim/latency.hpp"
#include "vote/vote.hpp"

// How long votes hold a frame up, in a given graph (docs/membership.md, "Votes"). Every node runs
// vote::Votes; a frame and the votes on it travel the links at their latencies, each link being
// passed on at once. Pure.
namespace chaincast::sim {

struct VoteDelays {
  size_t nodes = 0;                // honest ones, without the origin
  size_t accepted = 0;             // of them, by votes; the others wait for the signature
  size_t corrupt = 0;              // of them, a frame that the origin did not send
  std::set<uint32_t> liars_named;  // positions, of those that an honest node or more names
  size_t honest_named = 0;
  double arrival_ms = 0;           // mean time from the origin to the frame's first copy
  double mean_ms = 0, p99_ms = 0;  // from there to acceptance
};

// One frame of `origin`. `places`: where each node of the topology is. The nodes of the topology
// need no entries: node ids are made of positions.
VoteDelays vote_delays(const graph::Topology& topology, const std::vector<uint32_t>& places,
                       const Latencies& latencies, uint32_t origin, const vote::VoteConfig& config,
                       const std::vector<bool>& is_liar = {});

// `is_liar` (of each node; none: nobody): such a node vouches for a corrupt frame as soon as it has
// the true one, and a moment later for the true one as well; all of them for the same. Nodes check
// the origin's signature when the votes are over.

// Draws liars, at most `share` of the nodes, and none that would leave a node with as many lying
// parents as its votes need. The origin is honest.
std::vector<bool> liars_below_quorum(const graph::Topology& topology, uint32_t origin, double share,
                                     const vote::VoteConfig& config, Random& random);

// As many links at every node, but between nodes drawn at random. Some links fall away (a node with
// itself, or twice with another).
graph::Topology rewired(const graph::Topology& topology, Random& random);

}  // namespace chaincast::sim
