// SPDX-License-Identifier: BSD-3-Clause
#include "stage/drop.hpp"

#include "base/assert.hpp"

namespace chaincast::stage {

namespace {

constexpr std::array<DropText, drop_count> texts = {{
    {"rx_not_ip", "packet", "packet is neither IPv4, IPv6 nor ARP"},
    {"rx_not_ours", "packet", "other destination address"},
    {"rx_not_udp", "packet", "IP protocol or ICMP kind that is not answered"},
    {"rx_other_port", "packet", "UDP port that is not ours"},
    {"rx_fragment", "packet", "IP fragment"},
    {"rx_truncated", "packet", "header lengths exceed the packet"},
    {"rx_ip_checksum", "packet", "bad IPv4 header checksum"},
    {"rx_udp_checksum", "packet", "bad UDP checksum, or none over IPv6"},
    {"segmented", "packet", "chained receive buffer"},
    {"not_implemented", "packet", "arrived on an edge port"},
    {"foreign_full", "packet", "ARP, NDP or ICMP beyond the control budget"},
    {"truncated", "datagram", "datagram shorter than its headers say"},
    {"bad_version", "datagram", "protocol version not spoken"},
    {"bad_count", "datagram", "frame count disagrees with the content"},
    {"trailing", "datagram", "bytes behind the last frame"},
    {"too_many_hops", "datagram", "more than 32 hops"},
    {"unknown_link", "datagram", "link id not in use"},
    {"bad_source", "datagram", "source address is not the link's"},
    {"replayed", "datagram", "link sequence number seen already"},
    {"too_old", "datagram", "link sequence number below the replay window"},
    {"bad_check", "datagram", "link check does not match"},
    {"control_full", "datagram", "control message beyond the control budget"},
    {"hello_limit", "datagram", "hello beyond the control budget"},
    {"link_budget", "datagram", "frames beyond the peer's receive_rate"},
    {"handover_full", "datagram", "ring to the owning worker is full"},
    {"stopped", "datagram", "not forwarding (`stop`)"},
    {"unknown_stream", "frame", "stream not known"},
    {"bad_suite", "frame", "not the suite of the epoch"},
    {"unknown_epoch", "frame", "no key for the epoch"},
    {"oversized", "frame", "payload above the stream's largest"},
    {"stale", "frame", "below the stream's window"},
    {"ahead", "frame", "above the stream's window"},
    {"duplicate", "frame", "seen already"},
    {"conflict", "frame", "another variant of a known frame, or none of our own origin's"},
    {"tag", "frame", "digest or tag do not match"},
    {"bad_link", "frame", "contradicts a final predecessor"},
    {"rate", "copy", "peer's rate is used up"},
    {"queue_full", "copy", "peer's queue is full"},
    {"no_mbuf", "copy", "no buffer for the copy"},
    {"pool_low", "copy", "evicted because buffers run low"},
    {"too_big", "copy", "larger than the peer's path carries"},
    {"tx_failed", "copy", "port refused the packet"},
    {"peer_gone", "copy", "peer removed while queued"},
}};

}  // namespace

const DropText& drop_text(Drop reason) {
  CC_ASSERT(static_cast<size_t>(reason) < drop_count);
  return texts[static_cast<size_t>(reason)];
}

}  // namespace chaincast::stage
