// SPDX-License-Identifier: BSD-3-Clause
#include "port/headers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace chaincast::port {

using stage::Drop;

namespace {

constexpr uint16_t ethertype_vlan = 0x8100;
constexpr uint8_t time_to_live = 64;
constexpr unsigned extension_headers_max = 8;
constexpr uint8_t icmp_echo_request = 8;
constexpr uint8_t icmp6_echo_request = 128;
constexpr uint8_t icmp6_neighbour_solicitation = 135;
constexpr uint8_t icmp6_neighbour_advertisement = 136;

Headers& fail(Headers& headers, Layer layer, Drop reason) noexcept {
  headers.layer = layer;
  headers.drop = reason;
  return headers;
}

// `offset` is where the UDP header starts, `end` where the IP payload ends.
Headers& parse_udp(Headers& out, ByteSpan frame, size_t offset, size_t end,
                   const NicHints& hints) noexcept {
  if (offset + udp_bytes > end) return fail(out, Layer::malformed, Drop::rx_truncated);
  const uint8_t* udp = frame.data() + offset;
  const size_t length = load_be16(udp + 4);
  if (length < udp_bytes || offset + length > end) {
    return fail(out, Layer::malformed, Drop::rx_truncated);
  }
  const bool has_checksum = load_be16(udp + 6) != 0;
  if (hints.is_udp_checksum_bad || (out.source.is_ipv6 && !has_checksum)) {
    return fail(out, Layer::malformed, Drop::rx_udp_checksum);
  }
  out.source.port = load_be16(udp);
  out.destination.port = load_be16(udp + 2);
  out.payload_offset = static_cast<uint16_t>(offset + udp_bytes);
  out.payload_bytes = static_cast<uint16_t>(length - udp_bytes);
  out.layer = Layer::udp;
  return out;
}

Headers& parse_icmp(Headers& out, ByteSpan frame, size_t offset, size_t end, Layer layer) noexcept {
  if (offset + 8 > end) return fail(out, Layer::malformed, Drop::rx_truncated);
  const uint8_t type = frame[offset];
  out.is_icmp_answered = layer == Layer::icmp
                             ? type == icmp_echo_request
                             : type == icmp6_echo_request || type == icmp6_neighbour_solicitation ||
                                   type == icmp6_neighbour_advertisement;
  out.payload_offset = static_cast<uint16_t>(offset);
  out.payload_bytes = static_cast<uint16_t>(end - offset);
  out.layer = layer;
  return out;
}

Headers& parse_ipv4(Headers& out, ByteSpan frame, const NicHints& hints) noexcept {
  const size_t start = out.l2_bytes;
  if (start + ipv4_bytes > frame.size()) return fail(out, Layer::malformed, Drop::rx_truncated);
  const uint8_t* ip = frame.data() + start;
  const size_t header_bytes = size_t{ip[0] & 15u} * 4;
  const size_t total_bytes = load_be16(ip + 2);
  if (ip[0] >> 4 != 4) return fail(out, Layer::other, Drop::rx_not_ip);
  if (header_bytes < ipv4_bytes || total_bytes < header_bytes ||
      start + total_bytes > frame.size()) {
    return fail(out, Layer::malformed, Drop::rx_truncated);
  }
  if (!hints.is_ipv4_checksum_good && sum_bytes(ip, header_bytes) != 0xffff) {
    return fail(out, Layer::malformed, Drop::rx_ip_checksum);
  }
  std::memcpy(out.source.address.data(), ip + 12, 4);
  std::memcpy(out.destination.address.data(), ip + 16, 4);
  // More-fragments flag, or an offset.
  if ((load_be16(ip + 6) & 0x3fff) != 0) return fail(out, Layer::malformed, Drop::rx_fragment);
  const size_t end = start + total_bytes;
  if (ip[9] == protocol_udp) return parse_udp(out, frame, start + header_bytes, end, hints);
  if (ip[9] == protocol_icmp) return parse_icmp(out, frame, start + header_bytes, end, Layer::icmp);
  return fail(out, Layer::other, Drop::rx_not_udp);
}

// The first header behind the IPv6 header that is no extension, so that fragments are named.
Drop name_extension(ByteSpan frame, size_t offset, size_t end, uint8_t next) noexcept {
  constexpr uint8_t hop_by_hop = 0, routing = 43, fragment = 44, destination_options = 60;
  for (unsigned i = 0; i < extension_headers_max; ++i) {
    if (next == fragment) return Drop::rx_fragment;
    if (next != hop_by_hop && next != routing && next != destination_options) break;
    if (offset + 8 > end) return Drop::rx_truncated;
    next = frame[offset];
    offset += (size_t{frame[offset + 1]} + 1) * 8;
  }
  return Drop::rx_not_udp;
}

Headers& parse_ipv6(Headers& out, ByteSpan frame, const NicHints& hints) noexcept {
  const size_t start = out.l2_bytes;
  if (start + ipv6_bytes > frame.size()) return fail(out, Layer::malformed, Drop::rx_truncated);
  const uint8_t* ip = frame.data() + start;
  if (ip[0] >> 4 != 6) return fail(out, Layer::other, Drop::rx_not_ip);
  const size_t payload = start + ipv6_bytes;
  const size_t end = payload + load_be16(ip + 4);
  if (end > frame.size()) return fail(out, Layer::malformed, Drop::rx_truncated);
  out.source.is_ipv6 = true;
  out.destination.is_ipv6 = true;
  std::memcpy(out.source.address.data(), ip + 8, 16);
  std::memcpy(out.destination.address.data(), ip + 24, 16);
  if (ip[6] == protocol_udp) return parse_udp(out, frame, payload, end, hints);
  if (ip[6] == protocol_icmp6) return parse_icmp(out, frame, payload, end, Layer::icmp6);
  const Drop reason = name_extension(frame, payload, end, ip[6]);
  return fail(out, reason == Drop::rx_not_udp ? Layer::other : Layer::malformed, reason);
}

bool is_own_address(const Endpoint& address, const Local& local) noexcept {
  for (unsigned i = 0; i < local.address_count; ++i) {
    if (local.addresses[i].is_ipv6 == address.is_ipv6 &&
        local.addresses[i].address == address.address) {
      return true;
    }
  }
  return false;
}

bool is_own_mac(const uint8_t* frame, const Local& local) noexcept {
  return std::memcmp(frame, local.mac.data(), local.mac.size()) == 0;
}

}  // namespace

Headers parse_headers(ByteSpan frame, const NicHints& hints) noexcept {
  Headers out;
  if (frame.size() < ethernet_bytes) return fail(out, Layer::malformed, Drop::rx_truncated);
  out.is_group_mac = (frame[0] & 1) != 0;
  out.l2_bytes = ethernet_bytes;
  out.vlan = hints.stripped_vlan;
  uint16_t ethertype = load_be16(frame.data() + 12);
  if (ethertype == ethertype_vlan) {
    if (frame.size() < ethernet_bytes + vlan_tag_bytes) {
      return fail(out, Layer::malformed, Drop::rx_truncated);
    }
    out.vlan = load_be16(frame.data() + 14) & 0xfff;
    ethertype = load_be16(frame.data() + 16);
    out.l2_bytes = ethernet_bytes + vlan_tag_bytes;
  }
  if (ethertype == ethertype_ipv4) return parse_ipv4(out, frame, hints);
  if (ethertype == ethertype_ipv6) return parse_ipv6(out, frame, hints);
  if (ethertype != ethertype_arp) return fail(out, Layer::other, Drop::rx_not_ip);
  constexpr size_t arp_bytes = 28;
  if (frame.size() < out.l2_bytes + arp_bytes) {
    return fail(out, Layer::malformed, Drop::rx_truncated);
  }
  out.payload_offset = out.l2_bytes;
  out.payload_bytes = arp_bytes;
  out.layer = Layer::arp;
  return out;
}

Verdict judge(const Headers& headers, const uint8_t* frame, const Local& local,
              Drop& reason) noexcept {
  reason = headers.drop;
  if (headers.layer == Layer::malformed || headers.layer == Layer::other) return Verdict::drop;
  reason = Drop::rx_not_ours;
  if (headers.vlan != local.vlan) return Verdict::drop;
  if (!headers.is_group_mac && !is_own_mac(frame, local)) return Verdict::drop;
  if (headers.layer == Layer::arp) return Verdict::control;
  if (headers.layer == Layer::icmp6 && headers.is_icmp_answered &&
      is_group_address(headers.destination)) {
    return Verdict::control;
  }
  if (!is_own_address(headers.destination, local)) return Verdict::drop;
  if (headers.layer != Layer::udp) {
    reason = Drop::rx_not_udp;
    return headers.is_icmp_answered ? Verdict::control : Verdict::drop;
  }
  // A unicast datagram inside a broadcast frame is never answered (RFC 1122 section 3.3.6).
  if (headers.is_group_mac) return Verdict::drop;
  reason = Drop::rx_other_port;
  const unsigned index = unsigned{headers.destination.port} - unsigned{local.udp_port};
  return index < local.udp_port_count ? Verdict::take : Verdict::drop;
}

Destination make_destination(const HeaderFields& fields) noexcept {
  const bool is_ipv6 = fields.remote.is_ipv6;
  CC_ASSERT(fields.source.is_ipv6 == is_ipv6);
  Destination out;
  out.remote = fields.remote;
  out.local_port = fields.source.port;
  uint8_t* p = out.header.data();
  std::memcpy(p, fields.destination_mac.data(), 6);
  std::memcpy(p + 6, fields.source_mac.data(), 6);
  p += 12;
  if (fields.vlan != no_vlan) {
    store_be16(p, ethertype_vlan);
    store_be16(p + 2, fields.vlan);
    p += vlan_tag_bytes;
  }
  store_be16(p, is_ipv6 ? ethertype_ipv6 : ethertype_ipv4);
  uint8_t* ip = p + 2;
  out.l2_bytes = static_cast<uint8_t>(ip - out.header.data());
  out.l3_bytes = is_ipv6 ? ipv6_bytes : ipv4_bytes;
  out.header_bytes = static_cast<uint8_t>(out.l2_bytes + out.l3_bytes + udp_bytes);
  if (is_ipv6) {
    ip[0] = 0x60;
    ip[6] = protocol_udp;
    ip[7] = time_to_live;
    std::memcpy(ip + 8, fields.source.address.data(), 16);
    std::memcpy(ip + 24, fields.remote.address.data(), 16);
  } else {
    ip[0] = 0x45;
    store_be16(ip + 6, 0x4000);
    ip[8] = time_to_live;
    ip[9] = protocol_udp;
    std::memcpy(ip + 12, fields.source.address.data(), 4);
    std::memcpy(ip + 16, fields.remote.address.data(), 4);
    out.l3_sum = sum_bytes(ip, ipv4_bytes);
  }
  uint8_t* udp = ip + out.l3_bytes;
  store_be16(udp, fields.source.port);
  store_be16(udp + 2, fields.remote.port);
  const unsigned address_bytes = is_ipv6 ? 32 : 8;
  out.l4_sum = sum_bytes(udp - address_bytes, address_bytes) + sum_be16(protocol_udp);
  out.l4_sum = fold_sum(out.l4_sum + sum_bytes(udp, 4));
  return out;
}

void complete_headers(uint8_t* packet, const Destination& to, uint16_t payload_bytes,
                      uint32_t payload_sum, Offload offload) noexcept {
  if (to.header_bytes == 0) return;
  uint8_t* ip = packet + to.l2_bytes;
  uint8_t* udp = ip + to.l3_bytes;
  const auto udp_length = static_cast<uint16_t>(payload_bytes + udp_bytes);
  store_be16(udp + 4, udp_length);
  if (to.remote.is_ipv6) {
    store_be16(ip + 4, udp_length);
  } else {
    const auto ip_length = static_cast<uint16_t>(udp_length + ipv4_bytes);
    store_be16(ip + 2, ip_length);
    const uint16_t checksum =
        offload.ipv4 ? uint16_t{0} : finish_sum(to.l3_sum + sum_be16(ip_length));
    std::memcpy(ip + 10, &checksum, 2);
  }
  uint16_t checksum;
  if (offload.udp) {
    // The NIC wants the pseudo-header's sum in the field and adds the UDP header itself, ports
    // included: they are taken out of the constant part (one's-complement subtraction).
    const uint32_t ports = sum_bytes(udp, 4);
    checksum = fold_sum(to.l4_sum + (0xffff - ports) + sum_be16(udp_length));
  } else {
    checksum = finish_udp_sum(to.l4_sum + 2 * sum_be16(udp_length) + payload_sum);
  }
  std::memcpy(udp + 6, &checksum, 2);
}

bool is_group_address(const Endpoint& address) noexcept {
  if (address.is_ipv6) return address.address[0] == 0xff;
  return (address.address[0] >> 4) == 14 || load_be32(address.address.data()) == 0xffffffff;
}

std::string mac_text(const Mac& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                     mac[4], mac[5]);
}

Result<Mac> parse_mac(const std::string& text) {
  std::string digits;
  const bool is_shaped = text.size() == 17 && [&] {
    for (size_t i = 2; i < text.size(); i += 3) {
      if (text[i] != ':') return false;
    }
    return true;
  }();
  for (size_t i = 0; is_shaped && i < text.size(); ++i) {
    if (i % 3 != 2) digits.push_back(text[i]);
  }
  const std::optional<Bytes> bytes = from_hex(digits);
  if (!bytes || bytes->size() != 6) {
    return error(ErrorCode::invalid,
                 fmt::format("'{}' is not a MAC address; write 02:00:5e:10:00:01", text));
  }
  Mac out;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

}  // namespace chaincast::port
