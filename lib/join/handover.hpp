// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "identity/identity.hpp"
#include "wire/membership.hpp"

// What nodes tell each other over a session beside the graph (docs/membership.md, "Handover"):
// where their data plane is, and the secrets of the streams that both are in. Encoding and parsing
// only; one encoding of each value. Values, any thread.
namespace chaincast::join {

inline constexpr size_t card_endpoints_max = 8;

// Told when a session opens.
struct Card {
  std::vector<Endpoint> data;  // UDP of its fabric ports, lane 0; at most card_endpoints_max
  bool operator==(const Card&) const = default;
};
Bytes encode(const Card& card);
// `invalid`: too many, an unknown family, bytes left over. An empty card has no endpoints.
Result<Card> parse_card(ByteSpan bytes);

// The first byte is the version of messages between nodes, the second the type: those of the graph
// are below grant_type.
inline constexpr uint8_t grant_type = 64;
inline constexpr size_t grant_bytes = 2 + 16 + 1 + 32;

// A stream's secret, from one that is in its subnetwork to another.
struct Grant {
  wire::ResourceId resource;
  identity::SecretFile secret;
  bool operator==(const Grant&) const = default;
};
bool is_grant(ByteSpan message);
Bytes encode(const Grant& grant);
Result<Grant> parse_grant(ByteSpan message);

}  // namespace chaincast::join
