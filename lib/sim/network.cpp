// SPDX-License-Identifier: BSD-3-Clause
#include "sim/network.hpp"

#include <algorithm>

namespace chaincast::sim {

Network::Path& Network::path(Node from, Node to) {
  return paths_.try_emplace({from, to}, Path{default_, 0}).first->second;
}

const Conditions& Network::get(Node from, Node to) const {
  const auto found = paths_.find({from, to});
  return found == paths_.end() ? default_ : found->second.conditions;
}

void Network::cut(const std::vector<Node>& a, const std::vector<Node>& b, bool is_cut) {
  for (const Node one : a) {
    for (const Node other : b) {
      path(one, other).conditions.is_cut = is_cut;
      path(other, one).conditions.is_cut = is_cut;
    }
  }
}

void Network::send(Node from, Node to, Bytes bytes, TimeNs now_ns) {
  ++counters_.sent;
  Path& way = path(from, to);
  const Conditions& conditions = way.conditions;
  if (conditions.is_cut) {
    ++counters_.cut;
    return;
  }
  if (conditions.datagram_bytes_max != 0 && bytes.size() > conditions.datagram_bytes_max) {
    ++counters_.too_big;
    return;
  }
  TimeNs leaves_ns = now_ns;
  if (conditions.rate_bytes_per_s != 0) {
    const TimeNs starts_ns = std::max(now_ns, way.free_at_ns);
    const uint64_t waiting_bytes =
        (starts_ns - now_ns) * conditions.rate_bytes_per_s / ns_per_s + bytes.size();
    if (waiting_bytes > conditions.queue_bytes) {
      ++counters_.queue_full;
      return;
    }
    leaves_ns = starts_ns + bytes.size() * ns_per_s / conditions.rate_bytes_per_s;
    way.free_at_ns = leaves_ns;
  }
  if (random_.chance(conditions.loss)) {
    ++counters_.lost;
    return;
  }
  if (random_.chance(conditions.duplication)) {
    ++counters_.duplicated;
    deliver(conditions, leaves_ns, {0, from, to, bytes});
  }
  deliver(conditions, leaves_ns, {0, from, to, std::move(bytes)});
}

void Network::deliver(const Conditions& conditions, TimeNs leaves_ns, Delivery delivery) {
  delivery.at_ns = leaves_ns + conditions.delay_ns + random_.below(conditions.jitter_ns + 1);
  if (random_.chance(conditions.reordering)) {
    ++counters_.reordered;
    delivery.at_ns += random_.below(conditions.reorder_ns + 1);
  }
  queue_.push_back({next_serial_++, std::move(delivery)});
  std::push_heap(queue_.begin(), queue_.end(), later);
}

std::optional<Delivery> Network::receive(TimeNs now_ns) {
  if (next_ns() > now_ns) return std::nullopt;
  std::pop_heap(queue_.begin(), queue_.end(), later);
  Delivery out = std::move(queue_.back().delivery);
  queue_.pop_back();
  ++counters_.delivered;
  return out;
}

}  // namespace chaincast::sim
