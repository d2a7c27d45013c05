// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstring>

#include "base/checksum.hpp"
#include "port/headers.hpp"

// The packets that nearly all are, told at a glance. Pure, any thread.
namespace chaincast::port {

inline constexpr unsigned plain_headers_bytes = ethernet_bytes + ipv4_bytes + udp_bytes;

struct Plain {
  Endpoint source;
  uint16_t local_port = 0;
  uint16_t payload_bytes = 0;  // behind plain_headers_bytes
};

// True: UDP over IPv4 without options or a tag in the frame, sound and for us; parse_headers() and
// judge() say `take` with the same fields. False says nothing: they are to be asked. About a third
// of what they cost.
inline bool take_plain(ByteSpan frame, const NicHints& hints, const Local& local,
                       Plain& out) noexcept {
  const auto load = [&]<typename Word>(Word word, size_t at) {
    std::memcpy(&word, frame.data() + at, sizeof word);
    return word;
  };
  constexpr size_t ip = ethernet_bytes, udp = ip + ipv4_bytes;
  if (frame.size() < plain_headers_bytes) return false;
  // In memory byte order: ethertype, version and header length; more fragments, fragment offset.
  const bool is_ipv4 = (load(uint32_t{}, ip - 2) & 0xff'ffff) == 0x45'0008;
  const bool is_whole = (load(uint16_t{}, ip + 6) & 0xff3f) == 0;
  const bool is_for_us = std::memcmp(frame.data(), local.mac.data(), local.mac.size()) == 0 &&
                         (frame[0] & 1) == 0 && hints.stripped_vlan == local.vlan;
  if (!is_ipv4 || !is_whole || !is_for_us || frame[ip + 9] != protocol_udp) return false;
  const unsigned total = load_be16(frame.data() + ip + 2);
  const unsigned length = load_be16(frame.data() + udp + 4);
  if (ip + total > frame.size() || length < udp_bytes || ipv4_bytes + length > total) return false;
  if (hints.is_udp_checksum_bad) return false;
  if (!hints.is_ipv4_checksum_good) {
    const uint64_t sum = load(uint64_t{}, ip) % (uint64_t{1} << 32) + (load(uint64_t{}, ip) >> 32) +
                         load(uint32_t{}, ip + 8) + load(uint32_t{}, ip + 12) +
                         load(uint32_t{}, ip + 16);
    if (fold_internet_sum(sum) != 0xffff) return false;
  }
  const uint32_t address = load(uint32_t{}, ip + 16);
  unsigned own = 0;
  while (own < local.address_count &&
         (local.addresses[own].is_ipv6 ||
          std::memcmp(local.addresses[own].address.data(), &address, sizeof address) != 0)) {
    ++own;
  }
  out.local_port = load_be16(frame.data() + udp + 2);
  const unsigned index = unsigned{out.local_port} - unsigned{local.udp_port};
  if (own == local.address_count || index >= local.udp_port_count) return false;
  out.source = {};
  std::memcpy(out.source.address.data(), frame.data() + ip + 12, 4);
  out.source.port = load_be16(frame.data() + udp);
  out.payload_bytes = static_cast<uint16_t>(length - udp_bytes);
  return true;
}

}  // namespace chaincast::port
