// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/pollable.hpp"
#include "base/result.hpp"
#include "punch/probe.hpp"
#include "rate/bucket.hpp"

// What a node with an address of its own does for those behind NATs: says from where their
// datagrams come, and forwards datagrams between pairs of them that found no other way. A pure
// machine: (datagram or timer, now) in, datagrams out. Nothing is forwarded but between two
// addresses that have both proven themselves on that socket, and an answer is as long as its
// question, so nobody can be reached through it who did not ask. Owner: the control thread.
namespace chaincast::punch {

inline constexpr unsigned vantages = 2;  // sockets 0 and 1; each further one is a pair's

// UDP sockets on consecutive ports. Control thread; nothing blocks.
class Sockets : public Pollable {
 public:
  using Receiver =
      std::function<void(unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns)>;
  virtual void set_receiver(Receiver receiver) = 0;
  // False where the kernel does not take it.
  virtual bool send(unsigned socket, const Endpoint& to, ByteSpan datagram) = 0;
};

struct RelayConfig {
  Endpoint address;  // of socket 0; the others follow by their port
  unsigned pairs_max = 32;
  uint64_t rate_bytes_per_s = 12'500'000;  // of a pair, both directions together; 0: unlimited
  TimeNs idle_ns = 60 * ns_per_s;          // since either end proved its address: the pair ends
  TimeNs cookie_ns = 120 * ns_per_s;       // a cookie is good for one to two of these
};

struct RelayCounters {
  uint64_t questions = 0;   // answered
  uint64_t bad_probes = 0;  // malformed, not authentic, or of a node without a session
  uint64_t pairs_opened = 0, pairs_ended = 0, pairs_refused = 0;
  uint64_t forwarded = 0, forwarded_bytes = 0;
  uint64_t unproven = 0;  // from an address that has not proven itself, or to a side that has not
  uint64_t over_rate = 0;
  uint64_t not_sent = 0;  // that the kernel did not take
};

class Relay {
 public:
  using Key = std::function<std::optional<Secret>(const NodeId&)>;
  using Send = std::function<bool(unsigned socket, const Endpoint& to, ByteSpan datagram)>;

  // `key`: under which a node with a session proves itself.
  Relay(const RelayConfig& config, const crypto::Toolbox& toolbox, Key key, Send send);

  std::vector<Endpoint> vantage_points() const;
  // The address that the two nodes have in common; none where there is no room, or one of them has
  // half of all pairs.
  std::optional<Endpoint> open(const NodeId& one, const NodeId& other, TimeNs now_ns);
  void receive(unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns);
  // Ends pairs that have not been heard of.
  void tick(TimeNs now_ns);

  size_t pairs() const;
  const RelayConfig& config() const { return config_; }
  const RelayCounters& counters() const { return counters_; }

 private:
  struct Side {
    NodeId node;
    std::optional<Endpoint> address;  // proven
    TimeNs proven_ns = 0;
  };
  struct Pair {
    std::array<Side, 2> sides;
    TimeNs opened_ns = 0;
    rate::Bucket bucket;
  };
  Endpoint address(unsigned socket) const;
  bool has_room_for(const NodeId& node) const;
  Nonce cookie(unsigned socket, const NodeId& node, const Endpoint& from, uint64_t period) const;
  void answer(unsigned socket, const Endpoint& from, ByteSpan datagram, TimeNs now_ns);
  void forward(unsigned socket, Pair& pair, const Endpoint& from, ByteSpan datagram, TimeNs now_ns);

  const RelayConfig config_;
  const crypto::Toolbox& toolbox_;
  const Key key_;
  const Send send_;
  Secret cookie_key_{};
  std::vector<std::unique_ptr<Pair>> pairs_;  // by socket less `vantages`; null: free
  RelayCounters counters_;
};

}  // namespace chaincast::punch
