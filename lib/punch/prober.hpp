// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "punch/message.hpp"
#include "punch/probe.hpp"

// How a node behind a NAT learns what the NAT makes of its data port, keeps that mapping, and
// proves its address to the sockets of a relay. A pure machine: (datagram or timer, now) in,
// datagrams out. Owner: the control thread. Memory: at most places_max places.
namespace chaincast::punch {

struct ProberTimers {
  TimeNs first_ns = 200 * ns_per_ms;    // until a question is repeated; doubles
  TimeNs slowest_ns = 5 * ns_per_s;     // up to this
  TimeNs renew_ns = 10 * ns_per_s;      // after an answer: below what NATs keep a mapping for
  TimeNs settle_ns = 1500 * ns_per_ms;  // longest that seen addresses are waited for
};

struct ProberCounters {
  uint64_t questions = 0, answers = 0;
  uint64_t refused = 0;  // answers that are not authentic, or that nothing was asked for
};

class Prober {
 public:
  using Datagrams = std::vector<std::pair<Endpoint, Bytes>>;
  static constexpr size_t places_max = 256;

  Prober(const NodeId& own, const crypto::Toolbox& toolbox, const ProberTimers& timers = {})
      : own_(own), toolbox_(toolbox), timers_(timers) {}

  // A place to ask, under the key of the session with its node; with another key it is asked anew.
  // A vantage says something about the mapping; any other place is a relay's for one pair.
  void set(const Endpoint& place, const Secret& key, bool is_vantage, TimeNs now_ns);
  void remove(const Endpoint& place) { places_.erase(place); }
  // The mapping may have changed: ask all again at once.
  void ask_again(TimeNs now_ns);

  // True if that changed what is known.
  bool receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns, Datagrams& out);
  void tick(TimeNs now_ns, Datagrams& out);
  TimeNs next_timer_ns() const;

  // By all vantages that have answered since the last change; without repetition.
  std::vector<Endpoint> seen() const;
  Mapping mapping() const;
  // All vantages have answered, or were given the time for it.
  bool is_settled(TimeNs now_ns) const;
  bool is_bound(const Endpoint& place) const;
  const ProberCounters& counters() const { return counters_; }

 private:
  struct Place {
    Secret key{};
    bool is_vantage = false, is_bound = false;
    Nonce nonce{}, cookie{};
    std::optional<Endpoint> seen;
    bool is_fresh = false;  // answered since the last change
    TimeNs next_ns = 0, wait_ns = 0;
  };
  void ask(const Endpoint& to, Place& place, TimeNs now_ns, Datagrams& out);
  void ask_soon(Place& place, TimeNs now_ns);

  const NodeId own_;
  const crypto::Toolbox& toolbox_;
  const ProberTimers timers_;
  std::map<Endpoint, Place> places_;
  TimeNs unsettled_ns_ = 0;  // since when
  ProberCounters counters_;
};

}  // namespace chaincast::punch
