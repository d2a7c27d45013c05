// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "port/checksum.hpp"
#include "port/port.hpp"
#include "stage/drop.hpp"

// Ethernet, VLAN, IPv4, IPv6 and UDP headers: parsing what a NIC hands in, building the template
// that stands before every copy, completing a stamped copy. Pure functions, no state, any thread;
// nothing outside the given bytes is touched.
namespace chaincast::port {

using Mac = std::array<uint8_t, 6>;

inline constexpr unsigned ethernet_bytes = 14;
inline constexpr unsigned vlan_tag_bytes = 4;
inline constexpr unsigned ipv4_bytes = 20;
inline constexpr unsigned ipv6_bytes = 40;
inline constexpr unsigned udp_bytes = 8;
inline constexpr uint16_t no_vlan = 0;  // VLAN 0 is a priority tag: the same as none

inline constexpr uint16_t ethertype_ipv4 = 0x0800;
inline constexpr uint16_t ethertype_arp = 0x0806;
inline constexpr uint16_t ethertype_ipv6 = 0x86dd;
inline constexpr uint8_t protocol_icmp = 1;
inline constexpr uint8_t protocol_udp = 17;
inline constexpr uint8_t protocol_icmp6 = 58;

// ---- parsing ----

// What a received packet is.
enum class Layer : uint8_t {
  malformed,  // `drop` says why: rx_truncated, rx_ip_checksum, rx_udp_checksum, rx_fragment
  other,      // `drop` says why: rx_not_ip, rx_not_udp
  udp,
  arp,
  icmp,  // ICMP over IPv4
  icmp6,
};

struct Headers {
  Layer layer = Layer::malformed;
  stage::Drop drop = stage::Drop::count_;
  bool is_group_mac = false;      // broadcast or multicast
  bool is_icmp_answered = false;  // echo request, or neighbour solicitation and advertisement
  uint16_t vlan = no_vlan;
  uint8_t l2_bytes = 0;
  uint16_t payload_offset = 0;  // UDP payload, ICMP message or ARP body
  uint16_t payload_bytes = 0;   // as the headers say; padding behind it is not counted
  Endpoint source;              // with UDP: its port
  Endpoint destination;
};

// What the NIC said about a packet.
struct NicHints {
  uint16_t stripped_vlan = no_vlan;    // a tag that the NIC or kernel took away
  bool is_ipv4_checksum_good = false;  // else the header is summed here
  bool is_udp_checksum_bad = false;
};

// Reads the headers of an Ethernet frame that lies in one piece. Structure only: whether it is for
// us is judge()'s business. IPv4 header checksums are verified; a UDP checksum only as the NIC
// reports it; IPv6 without UDP checksum is malformed. IPv4 options are stepped over; IPv6
// extension headers are walked (at most 8) only to name fragments, UDP behind them is rx_not_udp.
Headers parse_headers(ByteSpan frame, const NicHints& hints) noexcept;

inline constexpr unsigned own_addresses_max = 8;

// Whose packets a port takes.
struct Local {
  Mac mac{};
  uint16_t vlan = no_vlan;
  std::array<Endpoint, own_addresses_max> addresses{};  // ports are not looked at
  unsigned address_count = 0;
  uint16_t udp_port = 0;  // base
  uint16_t udp_port_count = 1;
};

enum class Verdict : uint8_t { take, control, drop };

// take: a datagram for one of our UDP ports. control: ARP, ICMP echo, NDP. drop: `reason`, one of
// rx_not_ours, rx_other_port, rx_not_udp or what parse_headers found.
Verdict judge(const Headers& headers, const uint8_t* frame, const Local& local,
              stage::Drop& reason) noexcept;

// ---- building ----

struct HeaderFields {
  Mac source_mac{};
  Mac destination_mac{};
  uint16_t vlan = no_vlan;  // 1..4094, or no tag
  Endpoint source;          // with UDP port
  Endpoint remote;          // the same family
};

// The template for one remote: DF set, id 0 (RFC 6864), ttl 64; ip length, udp length and both
// checksums are zero, their constant parts are in l3_sum and l4_sum.
Destination make_destination(const HeaderFields& fields) noexcept;

// Which checksums the NIC computes.
struct Offload {
  bool udp = false;
  bool ipv4 = false;
};

// Completes a stamped copy of `to.header` at `packet` for a UDP payload of `payload_bytes` whose
// partial sum is `payload_sum` (unused with Offload::udp): lengths, IPv4 header checksum, UDP
// checksum; what the NIC computes gets the start value that DPDK asks for. No-op for a
// destination without headers. A few nanoseconds.
void complete_headers(uint8_t* packet, const Destination& to, uint16_t payload_bytes,
                      uint32_t payload_sum, Offload offload) noexcept;

// The matching transmit flags and header lengths of the first mbuf; clears them without offloads.
inline void set_offload(rte_mbuf* mbuf, const Destination& to, Offload offload) noexcept {
  uint64_t flags = 0;
  if (offload.udp || (offload.ipv4 && !to.remote.is_ipv6)) {
    flags = to.remote.is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
    if (offload.udp) flags |= RTE_MBUF_F_TX_UDP_CKSUM;
    if (offload.ipv4 && !to.remote.is_ipv6) flags |= RTE_MBUF_F_TX_IP_CKSUM;
  }
  mbuf->ol_flags = (mbuf->ol_flags & ~RTE_MBUF_F_TX_OFFLOAD_MASK) | flags;
  mbuf->tx_offload = 0;
  mbuf->l2_len = to.l2_bytes & 0x7f;
  mbuf->l3_len = to.l3_bytes & 0x1ff;
}

// IPv4 or IPv6 multicast, or the limited broadcast address.
bool is_group_address(const Endpoint& address) noexcept;

std::string mac_text(const Mac& mac);
Result<Mac> parse_mac(const std::string& text);

}  // namespace chaincast::port
