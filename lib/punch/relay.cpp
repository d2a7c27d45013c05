// SPDX-License-Identifier: BSD-3-Clause
#include "punch/relay.hpp"

#include <algorithm>

namespace chaincast::punch {

namespace {

constexpr uint64_t burst_bytes_min = 65'536;

}  // namespace

Relay::Relay(const RelayConfig& config, const crypto::Toolbox& toolbox, Key key, Send send)
    : config_(config),
      toolbox_(toolbox),
      key_(std::move(key)),
      send_(std::move(send)),
      pairs_(config.pairs_max) {
  toolbox_.random_bytes(cookie_key_);
}

Endpoint Relay::address(unsigned socket) const {
  Endpoint out = config_.address;
  out.port = static_cast<uint16_t>(out.port + socket);
  return out;
}

std::vector<Endpoint> Relay::vantage_points() const {
  std::vector<Endpoint> out;
  for (unsigned i = 0; i < vantages; ++i) out.push_back(address(i));
  return out;
}

std::optional<Endpoint> Relay::open(const NodeId& one, const NodeId& other, TimeNs now_ns) {
  unsigned free = config_.pairs_max;
  for (unsigned i = config_.pairs_max; i-- > 0;) {
    if (!pairs_[i]) {
      free = i;
      continue;
    }
    const auto& sides = pairs_[i]->sides;
    const bool is_it = (sides[0].node == one && sides[1].node == other) ||
                       (sides[0].node == other && sides[1].node == one);
    if (is_it) return address(vantages + i);
  }
  if (free == config_.pairs_max || one == other || !has_room_for(one) || !has_room_for(other)) {
    ++counters_.pairs_refused;
    return std::nullopt;
  }
  ++counters_.pairs_opened;
  auto pair = std::make_unique<Pair>();
  pair->sides[0].node = one;
  pair->sides[1].node = other;
  pair->opened_ns = now_ns;
  pair->bucket.configure(config_.rate_bytes_per_s,
                         std::max(config_.rate_bytes_per_s / 50, burst_bytes_min));
  pairs_[free] = std::move(pair);
  return address(vantages + free);
}

bool Relay::has_room_for(const NodeId& node) const {
  const auto count = std::count_if(pairs_.begin(), pairs_.end(), [&](const auto& pair) {
    return pair && (pair->sides[0].node == node || pair->sides[1].node == node);
  });
  return static_cast<size_t>(count) < std::max<size_t>(1, config_.pairs_max / 2);
}

void Relay::receive(unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  if (is_probe(datagram)) return answer(socket, from, datagram, now_ns);
  Pair* pair = socket < vantages ? nullptr : pairs_[socket - vantages].get();
  if (pair == nullptr) {
    ++counters_.unproven;
    return;
  }
  forward(socket, *pair, from, datagram, now_ns);
}

// Stateless, and for this socket, node and address alone.
Nonce Relay::cookie(unsigned socket, const NodeId& node, const Endpoint& from,
                    uint64_t period) const {
  ByteWriter input;
  input.be32(socket).be64(period).bytes(node.bytes).bytes(from.address).be16(from.port);
  input.u8(from.is_ipv6 ? 6 : 4);
  const Digest mac = toolbox_.hmac_sha256(cookie_key_, input.buffer());
  Nonce out;
  std::copy_n(mac.begin(), out.size(), out.begin());
  return out;
}

void Relay::answer(unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  const auto question = parse_probe(datagram);
  const auto key = question && !question->is_answer ? key_(question->node) : std::nullopt;
  if (!key || !is_authentic(datagram, *key, toolbox_)) {
    ++counters_.bad_probes;
    return;
  }
  const uint64_t period = now_ns / config_.cookie_ns;
  Probe out;
  out.is_answer = true;
  out.node = question->node;
  out.nonce = question->nonce;
  out.cookie = cookie(socket, question->node, from, period);
  out.seen = from;
  const bool is_proven =
      question->cookie == out.cookie ||
      (period > 0 && question->cookie == cookie(socket, question->node, from, period - 1));
  Pair* pair = socket < vantages ? nullptr : pairs_[socket - vantages].get();
  if (pair != nullptr && is_proven) {
    for (Side& side : pair->sides) {
      if (side.node != question->node) continue;
      side.address = from;
      side.proven_ns = now_ns;
      out.is_bound = true;
    }
  }
  ++counters_.questions;
  if (!send_(socket, from, encode(out, *key, toolbox_))) ++counters_.not_sent;
}

void Relay::forward(unsigned socket, Pair& pair, const Endpoint& from, ByteSpan datagram,
                    TimeNs now_ns) {
  const unsigned side = pair.sides[0].address == from ? 0 : 1;
  const auto& to = pair.sides[1 - side].address;
  if (pair.sides[side].address != from || !to) {
    ++counters_.unproven;
    return;
  }
  if (!pair.bucket.take(static_cast<uint32_t>(datagram.size()), rate::Bucket::Class::priority,
                        now_ns)) {
    ++counters_.over_rate;
    return;
  }
  if (!send_(socket, *to, datagram)) {
    ++counters_.not_sent;
    return;
  }
  ++counters_.forwarded;
  counters_.forwarded_bytes += datagram.size();
}

void Relay::tick(TimeNs now_ns) {
  for (auto& pair : pairs_) {
    if (!pair) continue;
    const bool is_idle = std::any_of(pair->sides.begin(), pair->sides.end(), [&](const Side& side) {
      return now_ns - std::max(side.proven_ns, pair->opened_ns) >= config_.idle_ns;
    });
    if (!is_idle) continue;
    pair.reset();
    ++counters_.pairs_ended;
  }
}

size_t Relay::pairs() const {
  return static_cast<size_t>(std::count_if(pairs_.begin(), pairs_.end(),
                                           [](const auto& pair) { return pair != nullptr; }));
}

}  // namespace chaincast::punch
