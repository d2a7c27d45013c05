// SPDX-License-Identifier: BSD-3-Clause
#include "stage/drop.hpp"

#include "base/assert.hpp"

namespace chaincast::stage {

namespace {

constexpr std::array<DropText, drop_count> texts = {{
    {"rx_not_ip", "packet is neither IPv4, IPv6 nor ARP"},
    {"rx_not_ours", "other destination address"},
    {"rx_not_udp", "IP protocol or ICMP kind that is not answered"},
    {"rx_other_port", "UDP port that is not ours"},
    {"rx_fragment", "IP fragment"},
    {"rx_truncated", "header lengths exceed the packet"},
    {"rx_ip_checksum", "bad IPv4 header checksum"},
    {"rx_udp_checksum", "bad UDP checksum, or none over IPv6"},
    {"segmented", "chained receive buffer"},
    {"not_implemented", "arrived on an edge port"},
    {"foreign_full", "ARP, NDP or ICMP beyond the control budget"},
    {"truncated", "datagram shorter than its headers say"},
    {"bad_version", "protocol version not spoken"},
    {"bad_count", "frame count disagrees with the content"},
    {"trailing", "bytes behind the last frame"},
    {"too_many_hops", "more than 32 hops"},
    {"unknown_link", "link id not in use"},
    {"bad_source", "source address is not the link's"},
    {"replayed", "link sequence number seen already"},
    {"too_old", "link sequence number below the replay window"},
    {"bad_check", "link check does not match"},
    {"control_full", "control message beyond the control budget"},
    {"hello_limit", "hello beyond its budget"},
    {"link_budget", "link exceeds its arrival budget"},
    {"handover_full", "ring to the owning worker is full"},
    {"stopped", "not forwarding (`stop`)"},
    {"unknown_stream", "stream not known"},
    {"bad_suite", "not the suite of the epoch"},
    {"unknown_epoch", "no key for the epoch"},
    {"oversized", "payload above the stream's largest"},
    {"stale", "below the stream's window"},
    {"ahead", "above the stream's window"},
    {"duplicate", "seen already"},
    {"conflict", "another variant of a known frame"},
    {"tag", "digest or tag do not match"},
    {"bad_link", "contradicts a final predecessor"},
    {"rate", "peer's rate is used up"},
    {"queue_full", "peer's queue is full"},
    {"no_mbuf", "no buffer for the copy"},
    {"pool_low", "evicted because buffers run low"},
    {"too_big", "larger than the peer's path carries"},
    {"tx_failed", "port refused the packet"},
    {"peer_gone", "peer removed while queued"},
    {"deliver_overrun", "overwritten before delivery"},
}};

}  // namespace

const DropText& drop_text(Drop reason) {
  CC_ASSERT(static_cast<size_t>(reason) < drop_count);
  return texts[static_cast<size_t>(reason)];
}

}  // namespace chaincast::stage
