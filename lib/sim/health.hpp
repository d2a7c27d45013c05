// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>

#include "sim/member_world.hpp"

// What is true of a simulated network, as nobody inside it could know (docs/membership.md,
// "Simulator"). Of the honest nodes: the links that they have among themselves, their views. Costs
// a walk over all links and views; one thread.
namespace chaincast::sim {

struct Health {
  size_t running = 0, joined = 0;
  size_t stray = 0;  // running nodes that are not in the largest component
  size_t split = 0;  // subnetworks whose members are not connected among themselves
  size_t articulations = 0;
  size_t views = 0;          // different graphs held
  size_t untrue = 0;         // nodes whose view lacks a node, or has one that does not run
  bool is_complete = false;  // there is none
  size_t degree_min = 0, degree_max = 0;
  double degree_mean = 0, degree_cv = 0;              // cv: standard deviation over mean
  double bytes_cv = 0, bytes_mean = 0;                // sent by a node since traffic was cleared
  double rtt_ms = 0, rtt_random_ms = 0;               // of links; of as many links to anyone
  double messages_mean = 0;                           // sent by a node since then
  double records = 0;                                 // published by a node since it started
  double private_kib = 0;                             // of the node that holds most
  size_t liars = 0;                                   // malicious nodes that run
  size_t liars_named = 0;                             // of them, by an honest node or more
  size_t honest_named = 0;                            // by an honest one
  std::map<Malice, std::pair<size_t, size_t>> kinds;  // of liars: how many were named, and run
  uint64_t refused_messages = 0;                      // did not decode

  double rtt_saved() const { return rtt_random_ms > 0 ? 1 - rtt_ms / rtt_random_ms : 0; }
  // All (honest ones) in, one graph everywhere, and it is the true one; connected, and without
  // articulation points where there are three nodes or more. Among liars the subnetworks are not
  // asked for: all links that an honest node has inside may be with liars that cannot be told.
  bool is_healthy() const;
  // By name, for scenarios: see health.cpp.
  std::map<std::string, double> values() const;
};

Health health_of(const MemberWorld& world);
// Whether all hold the same graph: what is_healthy() lacks most often, at the cost of a look at
// each.
bool is_one_view(const MemberWorld& world);

std::vector<Index> honest_nodes(const MemberWorld& world);

// Links that both ends have and neither suspects, among the running nodes.
graph::Topology true_topology(const MemberWorld& world, const std::vector<Index>& running);

// How long nodes were without the others. Call look() at regular times.
class CutOffs {
 public:
  explicit CutOffs(const MemberWorld& world) : world_(world) {}
  void look();
  TimeNs longest_ns() const { return longest_ns_; }
  uint64_t spells() const { return spells_; }

 private:
  const MemberWorld& world_;
  std::map<Index, TimeNs> since_ns_;
  TimeNs longest_ns_ = 0;
  uint64_t spells_ = 0;
};

}  // namespace chaincast::sim
