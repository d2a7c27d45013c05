// SPDX-License-Identifier: BSD-3-Clause
#include "route/decoder.hpp"

#include <algorithm>

namespace chaincast::route {
namespace {

// MRT types and subtypes (RFC 6396, section 4; RFC 8050).
constexpr uint16_t type_table_dump = 12;
constexpr uint16_t type_table_dump_v2 = 13;
constexpr uint16_t type_bgp4mp = 16;
constexpr uint16_t type_bgp4mp_et = 17;

constexpr uint16_t table_dump_ipv4 = 1;
constexpr uint16_t table_dump_ipv6 = 2;

constexpr uint16_t v2_peer_index_table = 1;
constexpr uint16_t v2_rib_ipv4_unicast = 2;
constexpr uint16_t v2_rib_ipv4_multicast = 3;
constexpr uint16_t v2_rib_ipv6_unicast = 4;
constexpr uint16_t v2_rib_ipv6_multicast = 5;
constexpr uint16_t v2_rib_generic = 6;
constexpr uint16_t v2_rib_ipv4_unicast_add_path = 8;
constexpr uint16_t v2_rib_ipv6_unicast_add_path = 10;

constexpr uint16_t bgp4mp_state_change = 0;
constexpr uint16_t bgp4mp_message = 1;
constexpr uint16_t bgp4mp_message_as4 = 4;
constexpr uint16_t bgp4mp_state_change_as4 = 5;
constexpr uint16_t bgp4mp_message_local = 6;
constexpr uint16_t bgp4mp_message_as4_local = 7;
constexpr uint16_t bgp4mp_message_add_path = 8;
constexpr uint16_t bgp4mp_message_as4_add_path = 9;
constexpr uint16_t bgp4mp_message_local_add_path = 10;
constexpr uint16_t bgp4mp_message_as4_local_add_path = 11;

constexpr uint16_t family_ipv4 = 1;
constexpr uint16_t family_ipv6 = 2;
// SAFI 1 unicast, 2 multicast, 3 both: taken alike, as bgpdump does.
constexpr uint8_t subfamily_both = 3;
constexpr uint8_t message_update = 2;
constexpr uint8_t peer_is_ipv6 = 0x01;
constexpr uint8_t peer_has_as4 = 0x02;

Bytes to_bytes(ByteSpan span) {
  return {span.begin(), span.end()};
}

// The rest of `in`, or `wanted` bytes if there are as many; false if there were fewer.
bool take_up_to(ByteReader& in, size_t wanted, ByteSpan& out) {
  out = in.bytes(std::min(wanted, in.left()));
  return out.size() == wanted;
}

bool is_route_family(const MultiProtocol& parts) {
  return (parts.family == family_ipv4 || parts.family == family_ipv6) && parts.subfamily >= 1 &&
         parts.subfamily <= subfamily_both;
}

struct MessageFormat {
  bool is_message = false;
  bool as4 = false;
  bool add_path = false;
};

MessageFormat message_format(uint16_t subtype) {
  switch (subtype) {
    case bgp4mp_message:
    case bgp4mp_message_local:
      return {true, false, false};
    case bgp4mp_message_as4:
    case bgp4mp_message_as4_local:
      return {true, true, false};
    case bgp4mp_message_add_path:
    case bgp4mp_message_local_add_path:
      return {true, false, true};
    case bgp4mp_message_as4_add_path:
    case bgp4mp_message_as4_local_add_path:
      return {true, true, true};
    default:
      return {};
  }
}

}  // namespace

const char* to_string(MrtFault fault) noexcept {
  switch (fault) {
    case MrtFault::torn_record:
      return "torn_record";
    case MrtFault::torn_compression:
      return "torn_compression";
    case MrtFault::oversized:
      return "oversized";
    case MrtFault::short_record:
      return "short_record";
    case MrtFault::bad_message:
      return "bad_message";
    case MrtFault::bad_prefix:
      return "bad_prefix";
    case MrtFault::unknown_peer:
      return "unknown_peer";
  }
  return "?";
}

std::string describe(const MrtCounts& counts) {
  std::string text =
      std::to_string(counts.records) + " records, " + std::to_string(counts.announced) +
      " announced, " + std::to_string(counts.withdrawn) + " withdrawn, " +
      std::to_string(counts.skipped) + " skipped, " + std::to_string(counts.unknown) + " unknown";
  for (size_t i = 0; i < mrt_fault_count; ++i) {
    if (counts.faults[i] == 0) continue;
    text += std::string(", ") + to_string(static_cast<MrtFault>(i)) + " " +
            std::to_string(counts.faults[i]) + " (first in the record at byte " +
            std::to_string(counts.first_fault_offset[i]) + ")";
  }
  return text;
}

void MrtDecoder::decode(const MrtHeader& header, ByteSpan body, Records& out, MrtCounts& counts) {
  ByteReader in(body);
  const size_t first_new = out.size();
  switch (header.type) {
    case type_table_dump:
      decode_table_dump(header, in, out, counts);
      break;
    case type_table_dump_v2:
      decode_table_dump_v2(header, in, out, counts);
      break;
    case type_bgp4mp:
      decode_bgp4mp(header, in, out, counts);
      break;
    case type_bgp4mp_et:
      in.be32();  // microseconds
      decode_bgp4mp(header, in, out, counts);
      break;
    default:
      ++counts.unknown;
  }
  for (size_t i = first_new; i < out.size(); ++i) {
    const bool announce = out[i].action == wire::RouteRecord::Action::announce;
    (announce ? counts.announced : counts.withdrawn) += out[i].prefixes.size();
  }
}

wire::RouteRecord MrtDecoder::withdrawal(const Origin& origin) {
  wire::RouteRecord record;
  record.action = wire::RouteRecord::Action::withdraw;
  record.source_as = origin.peer.as;
  record.source_address = origin.peer.address;
  record.source_time_s = origin.time_s;
  return record;
}

wire::RouteRecord MrtDecoder::announcement(const Origin& origin, const PathAttributes& attributes,
                                           ByteSpan next_hop) {
  wire::RouteRecord record = withdrawal(origin);
  record.action = wire::RouteRecord::Action::announce;
  record.next_hop = to_bytes(next_hop);
  record.metric = attributes.med;
  record.attributes = to_bytes(attributes.raw);
  return record;
}

void MrtDecoder::decode_table_dump(const MrtHeader& header, ByteReader in, Records& out,
                                   MrtCounts& counts) {
  if (header.subtype != table_dump_ipv4 && header.subtype != table_dump_ipv6) {
    ++counts.unknown;
    return;
  }
  const bool is_ipv6 = header.subtype == table_dump_ipv6;
  const size_t address_bytes = is_ipv6 ? 16 : 4;
  in.be32();  // view, sequence number
  const ByteSpan address = in.bytes(address_bytes);
  const uint8_t bits = in.u8();
  in.u8();    // status
  in.be32();  // originated
  Origin origin{{0, to_bytes(in.bytes(address_bytes))}, header.time_s};
  origin.peer.as = in.be16();
  const size_t attributes_bytes = in.be16();
  ByteSpan raw;
  const bool whole = take_up_to(in, attributes_bytes, raw);
  if (!in.ok() || !whole) return counts.count(MrtFault::short_record);
  wire::Prefix prefix;
  if (!wire::make_prefix(is_ipv6, bits, address, prefix)) {
    return counts.count(MrtFault::bad_prefix);
  }
  PathAttributes attributes;
  if (!scan_attributes(raw, attributes)) counts.count(MrtFault::bad_message);
  const ByteSpan next_hop = is_ipv6 ? rib_next_hop(attributes.mp_reach) : attributes.next_hop;
  out.push_back(announcement(origin, attributes, next_hop));
  out.back().prefixes = {prefix};
}

void MrtDecoder::decode_table_dump_v2(const MrtHeader& header, ByteReader in, Records& out,
                                      MrtCounts& counts) {
  switch (header.subtype) {
    case v2_peer_index_table:
      decode_peer_table(in, counts);
      break;
    case v2_rib_ipv4_unicast:
      decode_rib({false, false}, header.time_s, in, out, counts);
      break;
    case v2_rib_ipv6_unicast:
      decode_rib({true, false}, header.time_s, in, out, counts);
      break;
    case v2_rib_ipv4_unicast_add_path:
      decode_rib({false, true}, header.time_s, in, out, counts);
      break;
    case v2_rib_ipv6_unicast_add_path:
      decode_rib({true, true}, header.time_s, in, out, counts);
      break;
    case v2_rib_ipv4_multicast:
    case v2_rib_ipv6_multicast:
    case v2_rib_generic:
      ++counts.skipped;
      break;
    default:
      ++counts.unknown;
  }
}

void MrtDecoder::decode_peer_table(ByteReader in, MrtCounts& counts) {
  ++counts.skipped;
  peers_.clear();
  in.be32();  // collector's BGP id
  const size_t name_bytes = in.be16();
  in.bytes(name_bytes);
  const size_t peer_count = in.be16();
  for (size_t i = 0; i < peer_count; ++i) {
    const uint8_t type = in.u8();
    in.be32();  // BGP id
    Peer peer;
    peer.address = to_bytes(in.bytes((type & peer_is_ipv6) != 0 ? 16 : 4));
    peer.as = (type & peer_has_as4) != 0 ? in.be32() : in.be16();
    if (!in.ok()) return counts.count(MrtFault::short_record);
    peers_.push_back(std::move(peer));
  }
}

void MrtDecoder::decode_rib(NlriFormat format, uint32_t time_s, ByteReader in, Records& out,
                            MrtCounts& counts) {
  in.be32();  // sequence number
  const uint8_t bits = in.u8();
  const ByteSpan address = in.bytes((bits + 7u) / 8u);
  wire::Prefix prefix;
  if (in.ok() && !wire::make_prefix(format.is_ipv6, bits, address, prefix)) {
    return counts.count(MrtFault::bad_prefix);
  }
  const size_t entry_count = in.be16();
  for (size_t i = 0; i < entry_count; ++i) {
    const size_t peer_index = in.be16();
    in.be32();  // originated
    if (format.add_path) in.be32();
    const size_t attributes_bytes = in.be16();
    const ByteSpan raw = in.bytes(attributes_bytes);
    if (!in.ok()) break;
    if (peer_index >= peers_.size()) {
      counts.count(MrtFault::unknown_peer);
      continue;
    }
    PathAttributes attributes;
    if (!scan_attributes(raw, attributes)) counts.count(MrtFault::bad_message);
    const ByteSpan next_hop =
        format.is_ipv6 ? rib_next_hop(attributes.mp_reach) : attributes.next_hop;
    out.push_back(announcement({peers_[peer_index], time_s}, attributes, next_hop));
    out.back().prefixes = {prefix};
  }
  if (!in.ok()) counts.count(MrtFault::short_record);
}

void MrtDecoder::decode_bgp4mp(const MrtHeader& header, ByteReader in, Records& out,
                               MrtCounts& counts) {
  const MessageFormat format = message_format(header.subtype);
  if (!format.is_message) {
    const bool state =
        header.subtype == bgp4mp_state_change || header.subtype == bgp4mp_state_change_as4;
    ++(state ? counts.skipped : counts.unknown);
    return;
  }
  Origin origin;
  origin.time_s = header.time_s;
  origin.peer.as = format.as4 ? in.be32() : in.be16();
  in.bytes(format.as4 ? 4 : 2);  // local AS
  in.be16();                     // interface
  const uint16_t family = in.be16();
  if (in.ok() && family != family_ipv4 && family != family_ipv6) {
    return counts.count(MrtFault::bad_message);
  }
  const size_t address_bytes = family == family_ipv6 ? 16 : 4;
  origin.peer.address = to_bytes(in.bytes(address_bytes));
  in.bytes(address_bytes);  // local address
  const ByteSpan marker = in.bytes(16);
  const size_t message_bytes = in.be16();
  const uint8_t type = in.u8();
  if (!in.ok()) return counts.count(MrtFault::short_record);
  const bool marked =
      std::all_of(marker.begin(), marker.end(), [](uint8_t b) { return b == 0xff; });
  if (!marked || message_bytes < 19) return counts.count(MrtFault::bad_message);
  if (type != message_update) {
    ++counts.skipped;
    return;
  }
  ByteSpan body;
  if (!take_up_to(in, message_bytes - 19, body)) counts.count(MrtFault::short_record);
  decode_update(ByteReader(body), format.add_path, origin, out, counts);
}

void MrtDecoder::decode_update(ByteReader in, bool add_path, const Origin& origin, Records& out,
                               MrtCounts& counts) {
  const NlriFormat ipv4{false, add_path};
  const auto read_list = [&counts](ByteSpan list, NlriFormat format, wire::RouteRecord& record) {
    if (!read_nlri(list, format, record.prefixes)) counts.count(MrtFault::bad_prefix);
  };
  const auto keep = [&out](wire::RouteRecord&& record) {
    if (!record.prefixes.empty()) out.push_back(std::move(record));
  };
  ByteSpan withdrawn, raw;
  const bool whole = take_up_to(in, in.be16(), withdrawn) && take_up_to(in, in.be16(), raw);
  if (!in.ok() || !whole) counts.count(MrtFault::short_record);
  PathAttributes attributes;
  if (!scan_attributes(raw, attributes)) counts.count(MrtFault::bad_message);

  wire::RouteRecord record = withdrawal(origin);
  read_list(withdrawn, ipv4, record);
  keep(std::move(record));
  MultiProtocol parts;
  if (!attributes.mp_unreach.empty() && read_mp_unreach(attributes.mp_unreach, parts) &&
      is_route_family(parts)) {
    record = withdrawal(origin);
    read_list(parts.nlri, {parts.family == family_ipv6, add_path}, record);
    keep(std::move(record));
  }
  record = announcement(origin, attributes, attributes.next_hop);
  read_list(in.bytes(in.left()), ipv4, record);
  keep(std::move(record));
  if (!attributes.mp_reach.empty() && read_mp_reach(attributes.mp_reach, parts) &&
      is_route_family(parts)) {
    record = announcement(origin, attributes, parts.next_hop);
    read_list(parts.nlri, {parts.family == family_ipv6, add_path}, record);
    keep(std::move(record));
  }
}

}  // namespace chaincast::route
