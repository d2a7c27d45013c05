// SPDX-License-Identifier: BSD-3-Clause
#include "wire/membership.hpp"

#include <algorithm>
#include <string>

#include "wire/labels.hpp"

namespace chaincast::wire {
namespace {

constexpr uint8_t record_format = 1;
constexpr uint8_t suspicion_format = 1;
constexpr uint8_t state_left = 0x80;
constexpr uint8_t subscription_host = 0x01;
constexpr uint8_t subscription_private = 0x02;
constexpr uint8_t link_random = 0x01;

Error bad_record(std::string_view what) {
  return error(ErrorCode::invalid,
               "node record: " + std::string(what) + "; the node that it names is faulty");
}

Error bad_suspicion(std::string_view what) {
  return error(ErrorCode::invalid,
               "suspicion: " + std::string(what) + "; the node that signed it is faulty");
}

// Strictly ascending by what `key` takes of each.
template <typename T, typename Key>
bool ascends(const std::vector<T>& list, Key key) {
  return std::adjacent_find(list.begin(), list.end(), [&](const T& a, const T& b) {
           return !(key(a) < key(b));
         }) == list.end();
}

Bytes body_of(const NodeRecord& r) {
  ByteWriter out;
  out.u8(record_format).bytes(r.key).be64(r.counter);
  out.u8(static_cast<uint8_t>(r.roles | (r.has_left ? state_left : 0)));
  out.u8(static_cast<uint8_t>(r.addresses.size()));
  for (const Endpoint& address : r.addresses) put_endpoint(out, address);
  out.u8(static_cast<uint8_t>(r.resources.size()));
  for (const Subscription& s : r.resources) {
    out.bytes(s.resource.bytes);
    out.u8(static_cast<uint8_t>((s.is_host ? subscription_host : 0) |
                                (s.is_private ? subscription_private : 0)));
  }
  out.u8(static_cast<uint8_t>(r.links.size()));
  for (const LinkEnd& link : r.links) {
    out.bytes(link.peer.bytes).be32(link.rtt_us).u8(link.is_random ? link_random : uint8_t{0});
  }
  return out.take();
}

Bytes body_of(const Suspicion& s) {
  ByteWriter out;
  out.u8(suspicion_format).bytes(s.accuser).bytes(s.suspect.bytes).be64(s.counter).be32(s.round);
  out.u8(static_cast<uint8_t>(s.excused.size()));
  for (const NodeId& id : s.excused) out.bytes(id.bytes);
  return out.take();
}

Bytes under_label(std::string_view label, ByteSpan network, ByteSpan body) {
  ByteWriter out;
  out.text(label).u8(0).bytes(network).bytes(body);
  return out.take();
}

Status check_suspicion(const Suspicion& s) {
  if (s.excused.size() > suspicion_excused_max) return bad_suspicion("too many excused");
  if (!ascends(s.excused, [](const NodeId& id) { return id; })) {
    return bad_suspicion("excused nodes are not in ascending order");
  }
  return {};
}

bool take_addresses(ByteReader& in, NodeRecord& r) {
  r.addresses.resize(std::min<size_t>(in.u8(), node_addresses_max + 1));
  for (Endpoint& address : r.addresses) {
    if (!take_endpoint(in, address)) return false;
  }
  return in.ok();
}

bool take_resources(ByteReader& in, NodeRecord& r) {
  r.resources.resize(std::min<size_t>(in.u8(), node_resources_max + 1));
  for (Subscription& s : r.resources) {
    s.resource.bytes = in.array<16>();
    const uint8_t flags = in.u8();
    if ((flags & ~(subscription_host | subscription_private)) != 0) return false;
    s.is_host = (flags & subscription_host) != 0;
    s.is_private = (flags & subscription_private) != 0;
  }
  return in.ok();
}

bool take_links(ByteReader& in, NodeRecord& r) {
  r.links.resize(std::min<size_t>(in.u8(), node_links_max + 1));
  for (LinkEnd& link : r.links) {
    link.peer.bytes = in.array<16>();
    link.rtt_us = in.be32();
    const uint8_t flags = in.u8();
    if ((flags & ~link_random) != 0) return false;
    link.is_random = flags != 0;
  }
  return in.ok();
}

}  // namespace

void put_endpoint(ByteWriter& out, const Endpoint& endpoint) {
  const size_t address_bytes = endpoint.is_ipv6 ? 16 : 4;
  out.u8(endpoint.is_ipv6 ? 6 : 4).be16(endpoint.port);
  out.bytes(ByteSpan(endpoint.address).first(address_bytes));
}

bool take_endpoint(ByteReader& in, Endpoint& endpoint) {
  const uint8_t family = in.u8();
  endpoint = {};
  endpoint.port = in.be16();
  endpoint.is_ipv6 = family == 6;
  if (family != 4 && family != 6) return false;
  const ByteSpan address = in.bytes(endpoint.is_ipv6 ? 16 : 4);
  std::copy(address.begin(), address.end(), endpoint.address.begin());
  return in.ok();
}

const Subscription* subscription_of(const NodeRecord& record, const ResourceId& resource) {
  const auto found = std::find_if(record.resources.begin(), record.resources.end(),
                                  [&](const Subscription& s) { return s.resource == resource; });
  return found == record.resources.end() ? nullptr : &*found;
}

Bytes signed_bytes(const NodeRecord& record, ByteSpan network) {
  return under_label(label_node, network, body_of(record));
}

Bytes signed_bytes(const Suspicion& suspicion, ByteSpan network) {
  return under_label(label_suspicion, network, body_of(suspicion));
}

Status check_record(const NodeRecord& r) {
  if ((r.roles & ~role_mask) != 0) return bad_record("unknown roles");
  if (r.addresses.size() > node_addresses_max) return bad_record("more than 8 addresses");
  if (r.resources.size() > node_resources_max) return bad_record("more than 32 resources");
  if (r.links.size() > node_links_max) return bad_record("more than 64 links");
  const bool in_order = ascends(r.addresses, [](const Endpoint& e) { return e; }) &&
                        ascends(r.resources, [](const Subscription& s) { return s.resource; }) &&
                        ascends(r.links, [](const LinkEnd& l) { return l.peer; });
  if (!in_order) return bad_record("a list is not in ascending order");
  return {};
}

Bytes encode(const NodeRecord& record) {
  CC_ASSERT(check_record(record).ok());
  Bytes out = body_of(record);
  out.insert(out.end(), record.signature.begin(), record.signature.end());
  return out;
}

Bytes encode(const Suspicion& suspicion) {
  CC_ASSERT(check_suspicion(suspicion).ok());
  Bytes out = body_of(suspicion);
  out.insert(out.end(), suspicion.signature.begin(), suspicion.signature.end());
  return out;
}

Result<NodeRecord> parse_node_record(ByteSpan bytes) {
  if (bytes.size() > node_record_bytes_max) return bad_record("too long");
  ByteReader in(bytes);
  NodeRecord r;
  if (in.u8() != record_format) return bad_record("unknown format");
  r.key = in.array<32>();
  r.counter = in.be64();
  const uint8_t roles = in.u8();
  r.roles = roles & static_cast<uint8_t>(~state_left);
  r.has_left = (roles & state_left) != 0;
  if (!take_addresses(in, r) || !take_resources(in, r) || !take_links(in, r)) {
    return bad_record("cut short, or a field has an unknown value");
  }
  r.signature = in.array<64>();
  if (!in.finished()) return bad_record("its length does not match its content");
  if (Status good = check_record(r); !good) return good.error();
  return r;
}

Result<Suspicion> parse_suspicion(ByteSpan bytes) {
  if (bytes.size() > suspicion_bytes_max) return bad_suspicion("too long");
  ByteReader in(bytes);
  Suspicion s;
  if (in.u8() != suspicion_format) return bad_suspicion("unknown format");
  s.accuser = in.array<32>();
  s.suspect.bytes = in.array<16>();
  s.counter = in.be64();
  s.round = in.be32();
  s.excused.resize(std::min<size_t>(in.u8(), suspicion_excused_max + 1));
  for (NodeId& id : s.excused) id.bytes = in.array<16>();
  s.signature = in.array<64>();
  if (!in.finished()) return bad_suspicion("its length does not match its content");
  if (Status good = check_suspicion(s); !good) return good.error();
  return s;
}

}  // namespace chaincast::wire
