// SPDX-License-Identifier: BSD-3-Clause
#include "punch/carriage.hpp"

#include <algorithm>

namespace chaincast::punch {

namespace {

Carry close_of(const NodeId& peer, uint32_t channel) {
  return {Carry::Kind::close, true, peer, channel, 0, {}};
}

}  // namespace

bool Carriage::enrol(const NodeId& node) {
  if (enrolled_.size() >= registered_max && !enrolled_.contains(node)) return false;
  enrolled_.insert(node);
  return true;
}

size_t Carriage::channels_of(const NodeId& node) const {
  return static_cast<size_t>(std::count_if(
      channels_.begin(), channels_.end(),
      [&](const auto& one) { return one.first.opener == node || one.first.other == node; }));
}

void Carriage::open(const NodeId& from, const Carry& carry, Sends& out) {
  const Ends ends{from, carry.peer, carry.channel};
  const Ends reversed{carry.peer, from, carry.channel};
  if (!enrolled_.contains(carry.peer) || from == carry.peer || channels_.size() >= channels_max ||
      channels_of(from) >= channels_of_one_max || channels_.contains(ends) ||
      channels_.contains(reversed)) {
    ++counters_.refused;
    out.emplace_back(from, close_of(carry.peer, carry.channel));
    return;
  }
  ++counters_.opened;
  channels_.emplace(ends, Flow{});
  out.emplace_back(carry.peer, Carry{Carry::Kind::open, true, from, carry.channel, 0, {}});
}

void Carriage::take(const NodeId& from, Carry carry, Sends& out) {
  if (carry.kind == Carry::Kind::open) return open(from, carry, out);
  auto found = channels_.find({from, carry.peer, carry.channel});
  const bool is_opener = found != channels_.end();
  if (!is_opener) found = channels_.find({carry.peer, from, carry.channel});
  if (found == channels_.end()) {
    ++counters_.unknown;
    if (carry.kind == Carry::Kind::data) {
      out.emplace_back(from, close_of(carry.peer, carry.channel));
    }
    return;
  }
  const NodeId to = carry.peer;
  uint32_t& sent = is_opener ? found->second.from_opener : found->second.from_other;
  uint32_t& heard = is_opener ? found->second.from_other : found->second.from_opener;
  bool ends = carry.kind == Carry::Kind::close;
  if (carry.kind == Carry::Kind::data) {
    sent += static_cast<uint32_t>(carry.bytes.size());
    counters_.bytes += carry.bytes.size();
  } else if (carry.kind == Carry::Kind::credit) {
    heard -= std::min(heard, carry.credit);
  }
  if (sent > carried_window_bytes) {
    ++counters_.over_window;
    out.emplace_back(from, close_of(to, carry.channel));
    carry = close_of(to, carry.channel);
    ends = true;
  }
  if (ends) {
    ++counters_.ended;
    channels_.erase(found);
  }
  carry.peer = from;
  carry.is_from_carrier = true;
  out.emplace_back(to, std::move(carry));
}

void Carriage::lost(const NodeId& node, Sends& out) {
  enrolled_.erase(node);
  for (auto one = channels_.begin(); one != channels_.end();) {
    const Ends ends = one->first;
    if (ends.opener != node && ends.other != node) {
      ++one;
      continue;
    }
    const NodeId& rest = ends.opener == node ? ends.other : ends.opener;
    out.emplace_back(rest, close_of(node, ends.channel));
    ++counters_.ended;
    one = channels_.erase(one);
  }
}

}  // namespace chaincast::punch
