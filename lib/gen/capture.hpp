// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "route/source.hpp"

// Recordings of packets: pcap (either byte order, micro- or nanoseconds) and pcapng (sections,
// interfaces; enhanced, simple and obsolete packet blocks; others are passed over), and what the
// UDP datagrams in them carry. Reads from front to back; memory: one packet of at most 16 MiB, and
// the link types of at most 65,536 interfaces. One owner, any thread.
namespace chaincast::gen {

struct Packet {
  uint32_t link_type = 0;       // LINKTYPE_ of tcpdump.org
  uint32_t original_bytes = 0;  // on the wire; more than `bytes` where it was cut
  ByteSpan bytes;               // valid until the next packet
};

class Capture {
 public:
  virtual ~Capture() = default;
  // Looks at the first bytes. `invalid`: neither format. `name` is for messages.
  static Result<std::unique_ptr<Capture>> open(std::unique_ptr<route::Source> source,
                                               std::string name);
  // The next packet; false at the end. `invalid` names the place where the file makes no sense or
  // is cut short; what came before it is good.
  virtual Result<bool> next(Packet& packet) = 0;
};

enum class UdpVerdict : uint8_t {
  payload,
  other,     // no UDP, or a link type that is not known here
  fragment,  // a part of a datagram
  cut,       // the recording holds not all of it, or its lengths disagree
};
// Of Ethernet (VLAN tags passed over), Linux cooked (both versions), raw IP, loopback and null
// encapsulation: what the UDP datagram carries, in place. Checksums are not looked at.
UdpVerdict udp_payload(const Packet& packet, ByteSpan& payload);

}  // namespace chaincast::gen
