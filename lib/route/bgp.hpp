// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "wire/route.hpp"

// The part of BGP that MRT files need: NLRI lists and path attributes (RFC 4271, RFC 4760,
// RFC 7911). Pure; every read is bounds-checked; damaged input yields what precedes the damage.
namespace chaincast::route {

struct NlriFormat {
  bool is_ipv6 = false;
  bool add_path = false;  // a 4-byte path id, which is dropped, precedes each prefix
};

// Appends the prefixes of a list, host bits cleared. False if a length is beyond the family or the
// list ends inside a prefix; the prefixes before it are kept.
bool read_nlri(ByteSpan list, NlriFormat format, std::vector<wire::Prefix>& out);

// The attributes that this project looks at, viewed in place.
struct PathAttributes {
  ByteSpan raw;         // all of them, byte-exact
  ByteSpan next_hop;    // NEXT_HOP: 4 bytes, or empty
  uint32_t med = 0;     // MULTI_EXIT_DISC
  ByteSpan mp_reach;    // MP_REACH_NLRI: its value, or empty
  ByteSpan mp_unreach;  // MP_UNREACH_NLRI
};

// False if the list ends inside an attribute; those before it are kept.
bool scan_attributes(ByteSpan raw, PathAttributes& out);

// MP_REACH_NLRI or MP_UNREACH_NLRI, taken apart.
struct MultiProtocol {
  uint16_t family = 0;    // AFI: 1 IPv4, 2 IPv6
  uint8_t subfamily = 0;  // SAFI: 1 unicast
  ByteSpan next_hop;      // first address: 4 or 16 bytes, or empty
  ByteSpan nlri;
};
bool read_mp_reach(ByteSpan value, MultiProtocol& out);
bool read_mp_unreach(ByteSpan value, MultiProtocol& out);
// The next hop of the shortened attribute in TABLE_DUMP_V2 (RFC 6396, 4.3.4), or of the full one
// that some collectors write there.
ByteSpan rib_next_hop(ByteSpan mp_reach);

}  // namespace chaincast::route
