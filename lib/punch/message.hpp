// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

// What nodes tell each other over sessions so that nodes behind NATs take part (docs/wire.md,
// "Behind a NAT"). Encoding and parsing only; one encoding of each value. Values, any thread.
namespace chaincast::punch {

inline constexpr uint8_t first_type = 65, last_type = 70;  // grants of join are 64
inline constexpr size_t endpoints_max = 8;
inline constexpr size_t carried_bytes_max = 16 * 1024;  // of one Carry
inline constexpr uint32_t carried_window_bytes = 256 * 1024;

enum class Mapping : uint8_t { unknown = 0, independent = 1, dependent = 2 };

// To a node that relays: "I am behind a NAT; pass on to me what comes for me."
struct Register {
  bool operator==(const Register&) const = default;
};
// Its answer: where to ask for one's seen address; empty where it does not relay, or has no room.
struct Offer {
  std::vector<Endpoint> vantages;
  bool operator==(const Offer&) const = default;
};
// To a link partner: where hellos may find this node.
struct Candidates {
  Mapping mapping = Mapping::unknown;
  std::vector<Endpoint> own;
  std::vector<Endpoint> seen;
  bool operator==(const Candidates&) const = default;
};
// Bytes of a session that a third node carries. `peer` is the other end: the one that it is for on
// the way to the carrier, the one that it is from on the way from it.
struct Carry {
  enum class Kind : uint8_t { open = 1, data = 2, credit = 3, close = 4 };
  Kind kind = Kind::open;
  bool is_from_carrier = false;
  NodeId peer;
  uint32_t channel = 0;  // chosen by who opens
  uint32_t credit = 0;   // bytes that the other end has taken
  Bytes bytes;           // data: 1 to carried_bytes_max
  bool operator==(const Carry&) const = default;
};
// "Forward datagrams between me and this node", and the answer, to both: at which address; none
// where it refuses.
struct RelayRequest {
  NodeId peer;
  bool operator==(const RelayRequest&) const = default;
};
struct RelayGrant {
  NodeId peer;
  std::optional<Endpoint> address;
  bool operator==(const RelayGrant&) const = default;
};

using Message = std::variant<Register, Offer, Candidates, Carry, RelayRequest, RelayGrant>;

// By its first two bytes.
bool is_message(ByteSpan bytes);
Bytes encode(const Message& message);
Result<Message> parse_message(ByteSpan bytes);

}  // namespace chaincast::punch
