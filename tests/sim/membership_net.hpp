// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "sim/health.hpp"

// A small network for tests of membership.
namespace chaincast::sim {

inline wire::ResourceId resource(uint8_t number) {
  wire::ResourceId out;
  out.bytes[0] = number;
  return out;
}

// Trackers, then members of some subnetworks, a node every 300 ms.
struct Net {
  Net(uint64_t seed, unsigned members, uint8_t subnetworks, bool check_messages = false)
      : world(config(seed, check_messages), Latencies::generate(24, seed)) {
    for (unsigned i = 0; i < 3; ++i) start(add({}));
    for (unsigned i = 0; i < members; ++i) {
      start(add(resource(static_cast<uint8_t>(1 + i % subnetworks))));
    }
  }
  static MemberWorldConfig config(uint64_t seed, bool check_messages) {
    MemberWorldConfig out;
    out.seed = seed;
    out.check_messages = check_messages;
    return out;
  }
  Index add(std::optional<wire::ResourceId> subnetwork) {
    Arrival arrival;
    arrival.place = static_cast<uint32_t>(world.random().below(24));
    arrival.resource = subnetwork;
    return world.add(arrival);
  }
  void start(Index node) {
    std::vector<Index> trackers;
    for (Index i = 0; i < std::min<Index>(node, 3); ++i) trackers.push_back(i);
    world.start(node, trackers);
    world.run_for(300 * ns_per_ms);
  }
  bool heals(TimeNs within_ns) {
    return world.run_until_true([&] { return health_of(world).is_healthy(); }, within_ns,
                                200 * ns_per_ms);
  }
  MemberWorld world;
};

}  // namespace chaincast::sim
