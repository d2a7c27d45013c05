// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"

// A seeded network in virtual time, for tests of protocol machines. Nodes are numbers; datagrams
// are bytes. The same seed and the same calls give the same deliveries. No threads, no clock.
namespace chaincast::sim {

using Node = uint32_t;

// What one direction of a path does to datagrams. Applied when one is sent; datagrams under way
// keep what they were given.
struct Conditions {
  double loss = 0;         // share lost
  double duplication = 0;  // share delivered twice, each copy with a delay of its own
  double reordering = 0;   // share held back by up to reorder_ns, so that later ones overtake
  TimeNs delay_ns = ns_per_ms;
  TimeNs jitter_ns = 0;  // uniform on top of the delay; reorders as well
  TimeNs reorder_ns = 10 * ns_per_ms;
  uint64_t rate_bytes_per_s = 0;      // 0: unlimited
  uint32_t queue_bytes = 256 * 1024;  // with a rate: what may wait; the rest is lost
  uint32_t datagram_bytes_max = 0;    // larger ones are lost (path MTU less headers); 0: no bound
  bool is_cut = false;                // partition: everything is lost
};

struct Delivery {
  TimeNs at_ns = 0;
  Node from = 0;
  Node to = 0;
  Bytes bytes;
};

struct NetworkCounters {
  uint64_t sent = 0, delivered = 0;  // calls of send(); deliveries handed out, copies included
  uint64_t lost = 0, cut = 0, too_big = 0, queue_full = 0, duplicated = 0, reordered = 0;
};

class Network {
 public:
  explicit Network(uint64_t seed) : random_(seed) {}

  // Conditions of all directions that have none of their own.
  void set_default(const Conditions& conditions) { default_ = conditions; }
  // Of one direction, from now on.
  void set(Node from, Node to, const Conditions& conditions) {
    path(from, to).conditions = conditions;
  }
  const Conditions& get(Node from, Node to) const;
  // Cuts or mends both directions between every node of `a` and every node of `b`.
  void cut(const std::vector<Node>& a, const std::vector<Node>& b, bool is_cut);

  void send(Node from, Node to, Bytes bytes, TimeNs now_ns);
  // When the next datagram arrives; time_never if none is under way.
  TimeNs next_ns() const { return queue_.empty() ? time_never : queue_.front().delivery.at_ns; }
  // The next arrival at or before `now_ns`, in order of time, then of sending.
  std::optional<Delivery> receive(TimeNs now_ns);
  size_t under_way() const { return queue_.size(); }
  const NetworkCounters& counters() const { return counters_; }

 private:
  struct Path {
    Conditions conditions;
    TimeNs free_at_ns = 0;  // when the last datagram has left at the set rate
  };
  struct Waiting {
    uint64_t serial = 0;
    Delivery delivery;
  };
  static bool later(const Waiting& a, const Waiting& b) {
    return std::pair(a.delivery.at_ns, a.serial) > std::pair(b.delivery.at_ns, b.serial);
  }
  Path& path(Node from, Node to);
  void deliver(const Conditions& conditions, TimeNs leaves_ns, Delivery delivery);

  Random random_;
  Conditions default_;
  std::map<std::pair<Node, Node>, Path> paths_;
  std::vector<Waiting> queue_;  // heap, earliest first
  uint64_t next_serial_ = 0;
  NetworkCounters counters_;
};

}  // namespace chaincast::sim
