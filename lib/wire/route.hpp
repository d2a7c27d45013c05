// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

// Route updates (docs/wire.md, "Route update payload"): an object of a stream that carries routes
// is a list of type-length-value records. Unknown record and field types are skipped by the parser
// (and kept by whoever passes on the object's bytes). Pure; memory is bounded by the payload: at
// most about 20 times its size.
namespace chaincast::wire {

struct Prefix {
  bool is_ipv6 = false;
  uint8_t length = 0;                 // bits
  std::array<uint8_t, 16> address{};  // host bits are zero
  auto operator<=>(const Prefix&) const = default;
};

// With the host bits cleared. `length` must fit the family.
Prefix masked(Prefix prefix);
// Unmasked length check and clearing in one: false if `bits` is too long for the family.
bool make_prefix(bool is_ipv6, uint8_t bits, ByteSpan address, Prefix& out);

struct RouteRecord {
  enum class Action : uint8_t { announce = 1, withdraw = 2 };
  Action action = Action::announce;
  std::vector<Prefix> prefixes;  // 1..; one address family per record
  Bytes next_hop;                // 0, 4 or 16 bytes
  uint32_t metric = 0;
  std::vector<uint32_t> tags;
  // As the origin's source had them (MRT: peer AS and address, then raw BGP path attributes).
  uint32_t source_as = 0;
  Bytes source_address;        // 0, 4 or 16 bytes
  uint32_t source_time_s = 0;  // as recorded; display only
  Bytes attributes;            // byte-exact
  bool operator==(const RouteRecord&) const = default;
};

inline constexpr size_t route_prefixes_per_record_max = 65'535;
inline constexpr size_t route_tags_max = 1'024;
inline constexpr size_t route_attributes_bytes_max = 65'535;

// Bytes that encode() makes of one record; encodings of records simply follow each other.
size_t encoded_bytes(const RouteRecord& record);
// The caller keeps the bounds above, one family per record, masked prefixes and the address sizes.
Bytes encode(const std::vector<RouteRecord>& records);
// At least one record; known records must be canonical: fields in ascending order, none twice, none
// empty or zero, prefixes masked. Errors name the byte offset of the record.
Result<std::vector<RouteRecord>> parse_route_update(ByteSpan payload);

}  // namespace chaincast::wire
