// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

// Signed facts of membership (docs/graph.md, "Records"). Encoding and parsing only; graph/record
// checks signatures. Each value has exactly one encoding, so what is signed is what travels:
// parsing refuses lists out of order, reserved bits and trailing bytes. Values, no owner, any
// thread. Every list has a bound, and so has a record: node_record_bytes_max.
namespace chaincast::wire {

inline constexpr size_t node_addresses_max = 8;
inline constexpr size_t node_resources_max = 32;
inline constexpr size_t node_links_max = 64;
inline constexpr size_t suspicion_excused_max = node_links_max;
inline constexpr size_t node_record_bytes_max = 2304;
inline constexpr size_t suspicion_bytes_max = 1280;

// First 16 bytes of SHA-256 of a resource's name.
struct ResourceId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const ResourceId&) const = default;
};

inline constexpr uint8_t role_supernode = 0x01;   // redirects newcomers, streams nothing
inline constexpr uint8_t role_behind_nat = 0x02;  // its addresses are of nodes that pass on to it
inline constexpr uint8_t role_mask = 0x03;

// The part a node has in a subnetwork.
struct Subscription {
  ResourceId resource;
  bool is_host = false;     // feeds it; else a member
  bool is_private = false;  // admits only whom its hosts list
  auto operator<=>(const Subscription&) const = default;
};

// One end's word on a link. The link exists where both ends list each other (as in OSPF, RFC 2328,
// section 16.1: a router's links count only if the other side describes them too).
struct LinkEnd {
  NodeId peer;
  uint32_t rtt_us = 0;     // measured by the record's subject; 0: not yet
  bool is_random = false;  // picked at random by one of the two
  auto operator<=>(const LinkEnd&) const = default;
};

// What a node says of itself. A higher counter replaces a lower one; `has_left` is its last word
// under that counter.
struct NodeRecord {
  PublicKey key{};
  uint64_t counter = 0;
  uint8_t roles = 0;
  bool has_left = false;
  std::vector<Endpoint> addresses;      // management; ascending
  std::vector<Subscription> resources;  // ascending by resource
  std::vector<LinkEnd> links;           // ascending by peer
  Signature signature{};
  bool operator==(const NodeRecord&) const = default;
};

// A link partner's word that the suspect, whose newest record has this counter, does not answer.
// `round` orders the words of one accuser. `excused`: partners of the suspect that the accuser
// takes for dead themselves, so that they cannot speak.
struct Suspicion {
  PublicKey accuser{};
  NodeId suspect;
  uint64_t counter = 0;
  uint32_t round = 0;
  std::vector<NodeId> excused;  // ascending
  Signature signature{};
  bool operator==(const Suspicion&) const = default;
};

// The record's part in a subnetwork; null where it has none. Valid as long as the record.
const Subscription* subscription_of(const NodeRecord& record, const ResourceId& resource);

// What a signature covers: label, 0, network id, body.
Bytes signed_bytes(const NodeRecord& record, ByteSpan network);
Bytes signed_bytes(const Suspicion& suspicion, ByteSpan network);

// The encoders abort on values that the parsers refuse; check_record() says beforehand.
Status check_record(const NodeRecord& record);
Bytes encode(const NodeRecord& record);
Bytes encode(const Suspicion& suspicion);
Result<NodeRecord> parse_node_record(ByteSpan bytes);
Result<Suspicion> parse_suspicion(ByteSpan bytes);

// Pieces that messages use as well.
void put_endpoint(ByteWriter& out, const Endpoint& endpoint);
// False where the family is unknown or the bytes are not there.
bool take_endpoint(ByteReader& in, Endpoint& endpoint);

}  // namespace chaincast::wire
