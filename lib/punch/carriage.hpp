// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "punch/message.hpp"

// The carrier's part in sessions between nodes that cannot dial each other: it passes their bytes
// on, and neither reads nor makes any, since the two ends speak TLS with each other through it. A
// pure machine. Owner: the control thread. Memory: channels_max channels; what waits in the
// sessions is at most a window of each.
namespace chaincast::punch {

struct CarriageCounters {
  uint64_t opened = 0, ended = 0;
  uint64_t refused = 0;  // to a node that is not registered, or beyond a bound
  uint64_t unknown = 0;  // for a channel that is not open
  uint64_t over_window = 0;
  uint64_t bytes = 0;
};

class Carriage {
 public:
  static constexpr size_t registered_max = 512;
  static constexpr size_t channels_max = 1024;
  static constexpr size_t channels_of_one_max = 128;
  using Sends = std::vector<std::pair<NodeId, Carry>>;  // to whom

  // False: no room.
  bool enrol(const NodeId& node);
  bool is_enrolled(const NodeId& node) const { return enrolled_.contains(node); }
  // From a node with a session. `out` is for its `peer` as a rule, and back to it where it fails.
  void take(const NodeId& from, Carry carry, Sends& out);
  // What was for this node could not be passed on, or its session is gone.
  void lost(const NodeId& node, Sends& out);
  size_t channels() const { return channels_.size(); }
  const CarriageCounters& counters() const { return counters_; }

 private:
  struct Ends {
    NodeId opener, other;
    uint32_t channel = 0;
    auto operator<=>(const Ends&) const = default;
  };
  struct Flow {
    uint32_t from_opener = 0, from_other = 0;  // bytes that the receiver has not taken yet
  };
  void open(const NodeId& from, const Carry& carry, Sends& out);
  size_t channels_of(const NodeId& node) const;

  std::set<NodeId> enrolled_;
  std::map<Ends, Flow> channels_;
  CarriageCounters counters_;
};

}  // namespace chaincast::punch
