// SPDX-License-Identifier: BSD-3-Clause
#include "route/synthetic.hpp"

#include <algorithm>

namespace chaincast::route {

namespace {

constexpr uint32_t first_time_s = 1'171'158'060;  // of made-up updates: 2007-02-11 01:41 UTC
constexpr uint32_t updates_per_s = 50;
constexpr uint32_t peer_count = 8;
constexpr uint32_t first_private_as = 64'512;

// ORIGIN IGP and an AS_PATH of 4-byte numbers (RFC 4271, RFC 6793).
Bytes path_attributes(uint32_t peer_as, Random& random) {
  const auto hops = static_cast<uint8_t>(1 + random.below(5));
  ByteWriter out;
  out.u8(0x40).u8(1).u8(1).u8(0);
  out.u8(0x40).u8(2).u8(static_cast<uint8_t>(2 + 4 * hops)).u8(2).u8(hops);
  out.be32(peer_as);
  for (unsigned hop = 1; hop < hops; ++hop) {
    out.be32(static_cast<uint32_t>(1 + random.below(first_private_as - 1)));
  }
  return out.take();
}

}  // namespace

wire::Prefix SyntheticRoutes::make_prefix(bool is_ipv6) {
  uint8_t address[16];
  store_be64(address, random_.next());
  store_be64(address + 8, random_.next());
  if (is_ipv6) {
    address[0] = static_cast<uint8_t>(0x20 | (address[0] & 0x1f));  // 2000::/3
  } else {
    address[0] = static_cast<uint8_t>(1 + random_.below(223));
  }
  const auto bits = static_cast<uint8_t>(is_ipv6 ? 32 + random_.below(17) : 12 + random_.below(13));
  wire::Prefix out;
  wire::make_prefix(is_ipv6, bits, ByteSpan(address, is_ipv6 ? 16 : 4), out);
  return out;
}

void SyntheticRoutes::announce(bool is_ipv6, size_t count, wire::RouteRecord& record) {
  const auto peer = static_cast<uint8_t>(random_.below(peer_count));
  record.action = wire::RouteRecord::Action::announce;
  record.source_as = first_private_as + peer;
  record.source_address = {192, 0, 2, static_cast<uint8_t>(1 + peer)};
  record.next_hop = record.source_address;
  if (is_ipv6) {
    record.next_hop = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    record.next_hop.back() = static_cast<uint8_t>(1 + peer);
  }
  record.attributes = path_attributes(record.source_as, random_);
  auto& announced = announced_[is_ipv6 ? 1 : 0];
  for (size_t i = 0; i < count; ++i) {
    record.prefixes.push_back(make_prefix(is_ipv6));
    if (announced.size() < announced_max) {
      announced.push_back(record.prefixes.back());
    } else {
      announced[random_.below(announced_max)] = record.prefixes.back();
    }
  }
}

void SyntheticRoutes::withdraw(bool is_ipv6, size_t count, wire::RouteRecord& record) {
  const auto peer = static_cast<uint8_t>(random_.below(peer_count));
  record.action = wire::RouteRecord::Action::withdraw;
  record.source_as = first_private_as + peer;
  record.source_address = {192, 0, 2, static_cast<uint8_t>(1 + peer)};
  auto& announced = announced_[is_ipv6 ? 1 : 0];
  for (size_t i = 0; i < count; ++i) {
    std::swap(announced[random_.below(announced.size())], announced.back());
    record.prefixes.push_back(announced.back());
    announced.pop_back();
  }
}

bool SyntheticRoutes::next(std::vector<wire::RouteRecord>& records) {
  records.clear();
  if (left_ == 0) return false;
  wire::RouteRecord& record = records.emplace_back();
  const bool is_ipv6 = random_.chance(0.25);
  const bool withdraws = random_.chance(0.2);
  auto count = std::min<size_t>(left_, 1 + random_.below(prefixes_per_update_max));
  const size_t announced = announced_[is_ipv6 ? 1 : 0].size();
  record.source_time_s = first_time_s + updates_++ / updates_per_s;
  if (withdraws && announced > 0) {
    count = std::min(count, announced);
    withdraw(is_ipv6, count, record);
  } else {
    announce(is_ipv6, count, record);
  }
  left_ -= count;
  return true;
}

void RouteChanges::add(ByteSpan object) {
  const auto records = wire::parse_route_update(object);
  if (!records) {
    ++malformed;
    return;
  }
  for (const wire::RouteRecord& record : *records) {
    const bool announces = record.action == wire::RouteRecord::Action::announce;
    (announces ? announced : withdrawn) += record.prefixes.size();
  }
}

}  // namespace chaincast::route
