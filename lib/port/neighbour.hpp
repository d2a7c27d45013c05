// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "port/headers.hpp"

// Neighbours on an Ethernet: resolves next hops, answers for the port's own addresses.
//
// ARP (RFC 826, 5227), neighbour discovery (RFC 4861 sections 4.3, 4.4, 7), ICMP echo (RFC 1122
// section 3.2.2.6, RFC 4443 section 4.2). A pure machine: frames and time in, frames out; no
// clock, no socket. Owner: an ethdev port. Thread: control.
//
// Invariants: 1. only resolve() makes entries, at most entries_max: no received frame does.
//             2. a frame causes at most one answer, to its own sender.
//             3. an entry that was resolved is asked again every reachable_ns, and forgotten
//                idle_ns after the last resolve() for it.
namespace chaincast::port {

using Frames = std::vector<Bytes>;  // whole Ethernet frames to send

struct InterfaceAddress {
  Endpoint address;
  uint8_t prefix_bits = 0;  // what is on the link
};

struct NeighbourConfig {
  Mac mac{};
  uint16_t vlan = no_vlan;
  std::vector<InterfaceAddress> addresses;  // at most own_addresses_max
  std::optional<Endpoint> gateway_v4;       // taken to be on the link
  std::optional<Endpoint> gateway_v6;
  unsigned entries_max = 4096;
};

enum class Reach : uint8_t {
  resolved,
  unresolved,  // being asked for
  no_address,  // no own address of this family
  no_route,    // not on the link, and no gateway
  full,        // entries_max reached
};

struct NextHop {
  Reach reach = Reach::unresolved;
  Mac mac{};
  Endpoint source;     // own address to use; port 0
  Endpoint neighbour;  // the remote or the gateway
};

struct NeighbourCounters {
  uint64_t answered_arp = 0;
  uint64_t answered_ndp = 0;
  uint64_t answered_echo = 0;
  uint64_t ignored = 0;    // malformed, or nothing to answer
  uint64_t conflicts = 0;  // someone else claims an address of ours
};

class Neighbours {
 public:
  static constexpr TimeNs retransmit_ns = 1 * ns_per_s;  // RFC 4861 section 10
  static constexpr TimeNs reachable_ns = 30 * ns_per_s;
  static constexpr TimeNs hold_ns = 10 * ns_per_s;  // between rounds that failed
  static constexpr TimeNs idle_ns = 600 * ns_per_s;
  static constexpr unsigned tries_max = 3;

  explicit Neighbours(NeighbourConfig config);

  // The next hop towards `remote`; starts asking for it where it is not known.
  NextHop resolve(const Endpoint& remote, TimeNs now_ns, Frames& out);
  // A received ARP, ICMP or ICMPv6 frame with its parsed headers.
  void receive(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out);
  // Retransmissions and refreshes that are due. Cost is linear in the entries.
  void tick(TimeNs now_ns, Frames& out);

  // Raised when an entry is resolved, moves to another MAC, or stops answering.
  uint64_t version() const { return version_; }
  const NeighbourCounters& counters() const { return counters_; }

  struct Entry {
    enum class State : uint8_t {
      incomplete,  // asked by multicast, never answered
      reachable,   // confirmed less than reachable_ns ago
      probe,       // known, being asked by unicast
      failed,      // did not answer; asked again every hold_ns
    };
    State state = State::incomplete;
    Mac mac{};
    unsigned tries = 0;
    TimeNs due_ns = 0;
    TimeNs asked_ns = 0;  // last resolve()
  };
  const std::map<Endpoint, Entry>& entries() const { return entries_; }

 private:
  const InterfaceAddress* own_on_link(const Endpoint& remote) const;
  const InterfaceAddress* own(const uint8_t* address, bool is_ipv6) const;
  void ask(const Endpoint& neighbour, Entry& entry, TimeNs now_ns, Frames& out);
  void confirm(Entry& entry, const Mac& mac, bool is_solicited, TimeNs now_ns);
  Entry* find(const uint8_t* address, bool is_ipv6);

  void receive_arp(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out);
  void receive_icmp(ByteSpan frame, const Headers& headers, Frames& out);
  void receive_icmp6(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out);
  void receive_solicitation(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out);
  void receive_advertisement(ByteSpan frame, const Headers& headers, TimeNs now_ns);
  void echo6(ByteSpan frame, const Headers& headers, Frames& out);

  ByteWriter start_frame(const Mac& to, uint16_t ethertype) const;
  Bytes arp_frame(uint16_t operation, const Mac& to, const Mac& target_mac, const uint8_t* source,
                  const uint8_t* target) const;
  Bytes icmp6_frame(const Mac& to, const uint8_t* source, const uint8_t* target, uint8_t hop_limit,
                    Bytes message) const;

  const NeighbourConfig config_;
  std::map<Endpoint, Entry> entries_;  // keys have port 0
  NeighbourCounters counters_;
  uint64_t version_ = 0;
};

}  // namespace chaincast::port
