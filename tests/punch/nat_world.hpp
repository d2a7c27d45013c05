// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <vector>

#include "base/random.hpp"
#include "hop/lane.hpp"
#include "hop/links.hpp"
#include "punch/prober.hpp"
#include "punch/relay.hpp"

// Two hosts behind NATs of any behaviour, and nodes with addresses of their own that help them, in
// virtual time: the machines of lib/punch and lib/hop over a network that delays and loses.
namespace chaincast::test {

// RFC 4787, sections 4.1 and 5: what a mapping, or what it lets in, depends on.
enum class Depends : uint8_t { nothing, address, port };

// One NAT with one address, and one socket behind it.
class Nat {
 public:
  Nat(uint8_t number, Depends mapping, Depends filtering, uint64_t seed);
  // The public endpoint that a datagram to `to` leaves from.
  Endpoint send(const Endpoint& to);
  // Whether what comes from there to this public port is let in.
  bool lets_in(const Endpoint& from, uint16_t port) const;
  void rebind() { mappings_.clear(); }
  const Endpoint& address() const { return address_; }

 private:
  struct Mapped {
    uint16_t port = 0;
    std::set<Endpoint> sent_to;
  };
  static Endpoint key(const Endpoint& to, Depends depends);
  Endpoint address_;
  const Depends mapping_, filtering_;
  Random random_;
  std::map<Endpoint, Mapped> mappings_;
};

struct WorldConfig {
  std::array<Depends, 2> mapping{}, filtering{};
  double loss = 0;
  uint64_t seed = 1;
  TimeNs relay_after_ns = 8 * ns_per_s;
};

class NatWorld {
 public:
  NatWorld(const WorldConfig& config, const crypto::Toolbox& toolbox);
  ~NatWorld();
  void run_for(TimeNs ns);
  // Runs until both ends are up over this path (any, where none is named); false: not within `ns`.
  bool run_until_up(TimeNs ns, std::optional<hop::Path> path = std::nullopt);
  bool is_up() const;
  hop::Path path(unsigned host) const;
  Endpoint remote(unsigned host) const;
  uint64_t sessions(unsigned host) const;
  punch::Mapping mapping(unsigned host) const;
  // What each end's NAT really makes of its way to the other end's.
  Nat& nat(unsigned host);
  uint64_t forwarded() const { return relay_->counters().forwarded; }
  uint64_t sent() const { return sent_; }

 private:
  struct Host;
  struct Flying {
    TimeNs at_ns = 0;
    uint64_t order = 0;
    Endpoint from, to;
    Bytes bytes;
    bool operator<(const Flying& other) const {
      return std::pair(at_ns, order) > std::pair(other.at_ns, other.order);
    }
  };
  void launch(const Endpoint& from, const Endpoint& to, Bytes bytes);
  void land(const Flying& flying);
  void turn(unsigned host);
  void follow(unsigned host);

  const WorldConfig config_;
  const crypto::Toolbox& toolbox_;
  Random random_;
  std::array<std::unique_ptr<Host>, 2> hosts_;
  std::unique_ptr<punch::Relay> relay_;    // and its two vantages
  std::unique_ptr<punch::Relay> another_;  // at another address
  std::priority_queue<Flying> flying_;
  TimeNs now_ns_ = ns_per_s;
  uint64_t order_ = 0, sent_ = 0;
};

}  // namespace chaincast::test
