// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"

// The blocks of a pcapng file (draft-ietf-opsawg-pcapng), in a big-endian section. Packets are IP
// packets without a link layer (LINKTYPE_RAW), whose IP and UDP headers are made here from the
// datagram's ends, so that every kind of port reads alike. Pure functions, any thread.
namespace chaincast::capture {

// What a file begins with.
void put_section(ByteWriter& out, std::string_view application);

// Describes one interface; they are numbered from 0 in the order of their blocks. Times of its
// packets are nanoseconds.
struct Interface {
  std::string name;
  std::string description;
};
void put_interface(ByteWriter& out, const Interface& interface);

struct Packet {
  uint32_t interface = 0;
  TimeNs unix_ns = 0;
  bool is_outgoing = false;
  Endpoint source;  // of one family
  Endpoint destination;
  ByteSpan datagram;  // the UDP payload; at most 65,507 bytes over IPv4, 65,527 over IPv6
  std::span<const std::string> comments;
};
void put_packet(ByteWriter& out, const Packet& packet);

// At the end, for each interface: packets in the file, and packets that are missing there.
void put_statistics(ByteWriter& out, uint32_t interface, TimeNs unix_ns, uint64_t packets,
                    uint64_t missed);

}  // namespace chaincast::capture
