// SPDX-License-Identifier: BSD-3-Clause
#include "route/bgp.hpp"

namespace chaincast::route {
namespace {

constexpr uint8_t attribute_next_hop = 3;
constexpr uint8_t attribute_med = 4;
constexpr uint8_t attribute_mp_reach = 14;
constexpr uint8_t attribute_mp_unreach = 15;
constexpr uint8_t flag_extended_length = 0x10;

// An IPv6 next hop may be followed by a link-local one: the first is the route's.
ByteSpan first_address(ByteSpan next_hop) {
  if (next_hop.size() == 4 || next_hop.size() == 16) return next_hop;
  if (next_hop.size() == 32) return next_hop.first(16);
  return {};
}

}  // namespace

bool read_nlri(ByteSpan list, NlriFormat format, std::vector<wire::Prefix>& out) {
  ByteReader in(list);
  while (in.left() > 0) {
    if (format.add_path) in.be32();
    const uint8_t bits = in.u8();
    const ByteSpan address = in.bytes((bits + 7u) / 8u);
    wire::Prefix prefix;
    if (!in.ok() || !wire::make_prefix(format.is_ipv6, bits, address, prefix)) return false;
    out.push_back(prefix);
  }
  return true;
}

bool scan_attributes(ByteSpan raw, PathAttributes& out) {
  out.raw = raw;
  ByteReader in(raw);
  while (in.left() > 0) {
    const uint8_t flags = in.u8();
    const uint8_t type = in.u8();
    const size_t length = (flags & flag_extended_length) != 0 ? in.be16() : in.u8();
    const ByteSpan value = in.bytes(length);
    if (!in.ok()) return false;
    if (type == attribute_next_hop && value.size() == 4) out.next_hop = value;
    if (type == attribute_med && value.size() == 4) out.med = load_be32(value.data());
    if (type == attribute_mp_reach) out.mp_reach = value;
    if (type == attribute_mp_unreach) out.mp_unreach = value;
  }
  return true;
}

bool read_mp_reach(ByteSpan value, MultiProtocol& out) {
  ByteReader in(value);
  out.family = in.be16();
  out.subfamily = in.u8();
  const uint8_t next_hop_bytes = in.u8();
  out.next_hop = first_address(in.bytes(next_hop_bytes));
  in.u8();  // reserved
  out.nlri = in.bytes(in.left());
  return in.ok();
}

bool read_mp_unreach(ByteSpan value, MultiProtocol& out) {
  ByteReader in(value);
  out.family = in.be16();
  out.subfamily = in.u8();
  out.nlri = in.bytes(in.left());
  return in.ok();
}

ByteSpan rib_next_hop(ByteSpan mp_reach) {
  if (mp_reach.empty()) return {};
  const bool full = mp_reach.front() == 0;  // high byte of an AFI; no next hop has length 0
  if (full) {
    MultiProtocol parts;
    return read_mp_reach(mp_reach, parts) ? parts.next_hop : ByteSpan();
  }
  ByteReader in(mp_reach);
  const uint8_t next_hop_bytes = in.u8();
  return first_address(in.bytes(next_hop_bytes));
}

}  // namespace chaincast::route
