// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "route/bgp.hpp"
#include "wire/route.hpp"

// One MRT record (RFC 6396, RFC 8050) into route records. Pure; damage is counted and named, never
// fatal: a damaged record gives what precedes the damage. One owner, any thread. Memory: the peer
// table (at most 65,535 entries) and what one record decodes to.
namespace chaincast::route {

enum class MrtFault : uint8_t {
  torn_record,       // the input ends inside a record
  torn_compression,  // the compressed input is cut short or corrupt, or could not be read
  oversized,         // a record above mrt_record_bytes_max
  short_record,      // a record ends inside its own fields
  bad_message,       // a BGP message with a wrong marker, or damaged path attributes
  bad_prefix,        // a prefix longer than its address family, or cut short
  unknown_peer,      // a RIB entry whose peer is not in the peer table
};
inline constexpr size_t mrt_fault_count = 7;
const char* to_string(MrtFault fault) noexcept;

// Written by the reader and its decoder, read by their owner.
struct MrtCounts {
  uint64_t records = 0;    // whole MRT records read
  uint64_t skipped = 0;    // of those: nothing for a route table (state changes, multicast, ...)
  uint64_t unknown = 0;    // of those: a type or subtype that the decoder does not know
  uint64_t announced = 0;  // prefixes announced, or present in a table
  uint64_t withdrawn = 0;  // prefixes withdrawn
  std::array<uint64_t, mrt_fault_count> faults{};
  std::array<uint64_t, mrt_fault_count> first_fault_offset{};  // of the record, uncompressed
  uint64_t record_offset = 0;                                  // of the current record
  uint64_t torn_bytes = 0;                                     // left over at the end

  uint64_t of(MrtFault fault) const { return faults[static_cast<size_t>(fault)]; }
  uint64_t prefix_changes() const { return announced + withdrawn; }
  void count(MrtFault fault) {
    const auto i = static_cast<size_t>(fault);
    if (faults[i]++ == 0) first_fault_offset[i] = record_offset;
  }
};
// One line for a person: totals, then each fault with its count and first place.
std::string describe(const MrtCounts& counts);

struct MrtHeader {
  uint32_t time_s = 0;
  uint16_t type = 0;
  uint16_t subtype = 0;
};

class MrtDecoder {
 public:
  // Appends the record's routes to `out`: withdrawals before announcements, IPv4 before IPv6, each
  // in the order of the record. Attributes are the raw path attributes (announcements only), metric
  // is the MED. Add-path ids are dropped; NLRI of updates may be unicast or multicast (SAFI 1 to 3,
  // which the attributes tell apart).
  void decode(const MrtHeader& header, ByteSpan body, std::vector<wire::RouteRecord>& out,
              MrtCounts& counts);

 private:
  struct Peer {
    uint32_t as = 0;
    Bytes address;
  };
  // Where a route was learned.
  struct Origin {
    Peer peer;
    uint32_t time_s = 0;
  };
  using Records = std::vector<wire::RouteRecord>;

  void decode_table_dump(const MrtHeader& header, ByteReader in, Records& out, MrtCounts& counts);
  void decode_table_dump_v2(const MrtHeader& header, ByteReader in, Records& out,
                            MrtCounts& counts);
  void decode_peer_table(ByteReader in, MrtCounts& counts);
  void decode_rib(NlriFormat format, uint32_t time_s, ByteReader in, Records& out,
                  MrtCounts& counts);
  void decode_bgp4mp(const MrtHeader& header, ByteReader in, Records& out, MrtCounts& counts);
  void decode_update(ByteReader in, bool add_path, const Origin& origin, Records& out,
                     MrtCounts& counts);
  static wire::RouteRecord withdrawal(const Origin& origin);
  static wire::RouteRecord announcement(const Origin& origin, const PathAttributes& attributes,
                                        ByteSpan next_hop);

  std::vector<Peer> peers_;
};

}  // namespace chaincast::route
