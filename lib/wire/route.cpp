// SPDX-License-Identifier: BSD-3-Clause
#include "wire/route.hpp"

#include <string>

#include "base/assert.hpp"

namespace chaincast::wire {
namespace {

enum class Field : uint8_t {
  prefixes = 1,
  next_hop = 2,
  metric = 3,
  tags = 4,
  source = 5,
  attributes = 6,
};

constexpr size_t header_bytes = 4;  // type (1), length (3)
constexpr size_t value_bytes_max = (1u << 24) - 1;
constexpr uint8_t family_ipv4 = 4;
constexpr uint8_t family_ipv6 = 6;

size_t address_bytes(uint8_t bits) {
  return (bits + 7u) / 8u;
}

uint8_t bits_max(bool is_ipv6) {
  return is_ipv6 ? 128 : 32;
}

bool address_size(size_t bytes) {
  return bytes == 0 || bytes == 4 || bytes == 16;
}

void write_header(ByteWriter& out, uint8_t type, size_t length) {
  CC_ASSERT(length <= value_bytes_max);
  out.be32(static_cast<uint32_t>(type) << 24 | static_cast<uint32_t>(length));
}

void write_header(ByteWriter& out, Field field, size_t length) {
  write_header(out, static_cast<uint8_t>(field), length);
}

bool has_source(const RouteRecord& r) {
  return r.source_as != 0 || r.source_time_s != 0 || !r.source_address.empty();
}

size_t prefixes_bytes(const RouteRecord& r) {
  size_t bytes = 1;
  for (const Prefix& p : r.prefixes) bytes += 1 + address_bytes(p.length);
  return bytes;
}

size_t value_bytes(const RouteRecord& r) {
  size_t bytes = header_bytes + prefixes_bytes(r);
  if (!r.next_hop.empty()) bytes += header_bytes + r.next_hop.size();
  if (r.metric != 0) bytes += header_bytes + 4;
  if (!r.tags.empty()) bytes += header_bytes + 4 * r.tags.size();
  if (has_source(r)) bytes += header_bytes + 8 + r.source_address.size();
  if (!r.attributes.empty()) bytes += header_bytes + r.attributes.size();
  return bytes;
}

void assert_encodable(const RouteRecord& r) {
  CC_ASSERT(!r.prefixes.empty() && r.prefixes.size() <= route_prefixes_per_record_max);
  CC_ASSERT(address_size(r.next_hop.size()) && address_size(r.source_address.size()));
  CC_ASSERT(r.tags.size() <= route_tags_max);
  CC_ASSERT(r.attributes.size() <= route_attributes_bytes_max);
}

void write_prefixes(ByteWriter& out, const RouteRecord& r) {
  const bool is_ipv6 = r.prefixes.front().is_ipv6;
  write_header(out, Field::prefixes, prefixes_bytes(r));
  out.u8(is_ipv6 ? family_ipv6 : family_ipv4);
  for (const Prefix& p : r.prefixes) {
    CC_ASSERT(p.is_ipv6 == is_ipv6 && p.length <= bits_max(is_ipv6));
    out.u8(p.length).bytes(ByteSpan(p.address).first(address_bytes(p.length)));
  }
}

void write_record(ByteWriter& out, const RouteRecord& r) {
  assert_encodable(r);
  write_header(out, static_cast<uint8_t>(r.action), value_bytes(r));
  write_prefixes(out, r);
  if (!r.next_hop.empty()) {
    write_header(out, Field::next_hop, r.next_hop.size());
    out.bytes(r.next_hop);
  }
  if (r.metric != 0) {
    write_header(out, Field::metric, 4);
    out.be32(r.metric);
  }
  if (!r.tags.empty()) {
    write_header(out, Field::tags, 4 * r.tags.size());
    for (uint32_t tag : r.tags) out.be32(tag);
  }
  if (has_source(r)) {
    write_header(out, Field::source, 8 + r.source_address.size());
    out.be32(r.source_as).be32(r.source_time_s).bytes(r.source_address);
  }
  if (!r.attributes.empty()) {
    write_header(out, Field::attributes, r.attributes.size());
    out.bytes(r.attributes);
  }
}

// Readers of one field each: nullptr, or what is wrong. `value` is the field's whole value.
const char* read_prefixes(ByteSpan value, RouteRecord& r) {
  ByteReader in(value);
  const uint8_t family = in.u8();
  if (family != family_ipv4 && family != family_ipv6) return "unknown address family";
  const bool is_ipv6 = family == family_ipv6;
  while (in.left() > 0) {
    if (r.prefixes.size() == route_prefixes_per_record_max) return "more than 65535 prefixes";
    const uint8_t bits = in.u8();
    if (bits > bits_max(is_ipv6)) return "prefix length beyond its family";
    const ByteSpan address = in.bytes(address_bytes(bits));
    if (!in.ok()) return "truncated prefix";
    Prefix prefix;
    make_prefix(is_ipv6, bits, address, prefix);
    if (!address.empty() && prefix.address[address.size() - 1] != address.back()) {
      return "host bits set";
    }
    r.prefixes.push_back(prefix);
  }
  return r.prefixes.empty() ? "no prefix" : nullptr;
}

const char* read_next_hop(ByteSpan value, RouteRecord& r) {
  if (value.size() != 4 && value.size() != 16) return "next hop is neither 4 nor 16 bytes";
  r.next_hop.assign(value.begin(), value.end());
  return nullptr;
}

const char* read_metric(ByteSpan value, RouteRecord& r) {
  if (value.size() != 4) return "metric is not 4 bytes";
  r.metric = load_be32(value.data());
  return r.metric == 0 ? "metric 0 is not sent" : nullptr;
}

const char* read_tags(ByteSpan value, RouteRecord& r) {
  if (value.empty() || value.size() % 4 != 0) return "tags are not whole";
  if (value.size() / 4 > route_tags_max) return "more than 1024 tags";
  for (ByteReader in(value); in.left() > 0;) r.tags.push_back(in.be32());
  return nullptr;
}

const char* read_source(ByteSpan value, RouteRecord& r) {
  if (value.size() < 8 || !address_size(value.size() - 8)) return "source has a wrong length";
  ByteReader in(value);
  r.source_as = in.be32();
  r.source_time_s = in.be32();
  const ByteSpan address = in.bytes(in.left());
  r.source_address.assign(address.begin(), address.end());
  return has_source(r) ? nullptr : "empty source is not sent";
}

const char* read_attributes(ByteSpan value, RouteRecord& r) {
  if (value.empty()) return "empty attributes are not sent";
  if (value.size() > route_attributes_bytes_max) return "attributes above 65535 bytes";
  r.attributes.assign(value.begin(), value.end());
  return nullptr;
}

const char* read_field(uint8_t type, ByteSpan value, RouteRecord& r) {
  switch (static_cast<Field>(type)) {
    case Field::prefixes:
      return read_prefixes(value, r);
    case Field::next_hop:
      return read_next_hop(value, r);
    case Field::metric:
      return read_metric(value, r);
    case Field::tags:
      return read_tags(value, r);
    case Field::source:
      return read_source(value, r);
    case Field::attributes:
      return read_attributes(value, r);
  }
  return nullptr;
}

const char* read_record(ByteSpan value, RouteRecord& r) {
  ByteReader in(value);
  uint8_t previous_type = 0;
  while (in.left() > 0) {
    const uint32_t header = in.be32();
    const uint8_t type = static_cast<uint8_t>(header >> 24);
    const ByteSpan field = in.bytes(header & value_bytes_max);
    if (!in.ok()) return "truncated field";
    if (type <= previous_type) return "fields out of order";
    previous_type = type;
    if (const char* fault = read_field(type, field, r)) return fault;
  }
  return r.prefixes.empty() ? "no prefixes field" : nullptr;
}

Error bad_update(size_t offset, std::string_view what) {
  return error(ErrorCode::invalid, "route update: record at byte " + std::to_string(offset) + ": " +
                                       std::string(what) + "; the stream's origin is faulty");
}

}  // namespace

bool make_prefix(bool is_ipv6, uint8_t bits, ByteSpan address, Prefix& out) {
  if (bits > bits_max(is_ipv6) || address.size() < address_bytes(bits)) return false;
  out = {};
  out.is_ipv6 = is_ipv6;
  out.length = bits;
  for (size_t i = 0; i < address_bytes(bits); ++i) out.address[i] = address[i];
  if (bits % 8 != 0) {
    uint8_t& last = out.address[bits / 8u];
    last = static_cast<uint8_t>(last & (0xffu << (8 - bits % 8)));
  }
  return true;
}

Prefix masked(Prefix prefix) {
  Prefix out;
  const bool fits = make_prefix(prefix.is_ipv6, prefix.length, prefix.address, out);
  CC_ASSERT(fits);
  return out;
}

size_t encoded_bytes(const RouteRecord& record) {
  return header_bytes + value_bytes(record);
}

Bytes encode(const std::vector<RouteRecord>& records) {
  ByteWriter out;
  for (const RouteRecord& r : records) write_record(out, r);
  return out.take();
}

Result<std::vector<RouteRecord>> parse_route_update(ByteSpan payload) {
  if (payload.empty()) return bad_update(0, "an update holds at least one record");
  std::vector<RouteRecord> records;
  ByteReader in(payload);
  while (in.left() > 0) {
    const size_t offset = payload.size() - in.left();
    const uint32_t header = in.be32();
    const uint8_t type = static_cast<uint8_t>(header >> 24);
    const ByteSpan value = in.bytes(header & value_bytes_max);
    if (!in.ok()) return bad_update(offset, "truncated");
    if (type == 0) return bad_update(offset, "type 0");
    if (type > static_cast<uint8_t>(RouteRecord::Action::withdraw)) continue;
    RouteRecord record;
    record.action = static_cast<RouteRecord::Action>(type);
    if (const char* fault = read_record(value, record)) return bad_update(offset, fault);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace chaincast::wire
