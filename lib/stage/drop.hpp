// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// Every way in which a datagram, a frame or a copy can be lost, by name. The names are API: they
// are what `show drops`, JSON and metrics print; docs/commands.md lists them from here.
namespace chaincast::stage {

enum class Drop : uint8_t {
  // port: the unit is a packet
  rx_not_ip,        // neither IPv4, IPv6, ARP nor what we answer
  rx_not_ours,      // another destination address or MAC
  rx_not_udp,       // other IP protocol, or an ICMP kind not answered
  rx_other_port,    // UDP, but none of our ports
  rx_fragment,      // an IP fragment
  rx_truncated,     // lengths in the headers exceed the packet
  rx_ip_checksum,   // bad IPv4 header checksum
  rx_udp_checksum,  // the NIC reports a bad one, or IPv6 without one
  segmented,        // a chained rx mbuf that could not be linearised
  not_implemented,  // arrived on an edge port
  foreign_full,     // ARP, NDP or ICMP beyond what control takes
  // hop: the unit is a datagram
  truncated,  // shorter than its headers or counts say
  bad_version,
  bad_count,  // frame count disagrees with the content
  trailing,   // bytes behind the last frame
  too_many_hops,
  unknown_link,   // link id not in the lane table
  bad_source,     // right link id, other address
  replayed,       // link seq seen already
  too_old,        // link seq below the replay window
  bad_check,      // link check does not match
  control_full,   // control message beyond what control takes
  hello_limit,    // hello beyond what control takes
  link_budget,    // frames beyond the peer's receive_rate
  handover_full,  // the owning lcore's ring is full
  stopped,        // `stop`: not forwarding
  // classify .. commit: the unit is a frame
  unknown_stream,
  bad_suite,  // not the suite of the epoch
  unknown_epoch,
  oversized,  // payload above the stream's largest
  stale,      // below the window
  ahead,      // above the window
  duplicate,  // seen already
  conflict,   // another variant, and its budget is spent or its place taken; or a frame of this
              // node's own stream that it has not made
  tag,        // digest or tag do not match
  bad_link,   // contradicts a final predecessor
  // fanout and tx: the unit is a copy for one peer
  rate,        // the peer's token bucket is empty
  queue_full,  // the peer's queue is full
  no_mbuf,     // no buffer for the copy
  pool_low,    // evicted because the pool runs low
  too_big,     // larger than the path of this peer carries
  tx_failed,   // the port refused it for good
  peer_gone,   // removed while queued
  count_
};

inline constexpr size_t drop_count = static_cast<size_t>(Drop::count_);

struct DropText {
  std::string_view name;
  std::string_view unit;  // what is counted: packet, datagram, frame or copy
  std::string_view help;  // one line
};

const DropText& drop_text(Drop reason);

}  // namespace chaincast::stage
