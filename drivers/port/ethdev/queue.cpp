// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/queue.hpp"

#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "port/plain.hpp"

namespace chaincast::port::ethdev {

using stage::Drop;

namespace {

constexpr unsigned prefetch_ahead = 4;

// A chained packet in one buffer, or null. The chain is freed.
rte_mbuf* linearise(rte_mempool* pool, rte_mbuf* chain) noexcept {
  rte_mbuf* out = rte_pktmbuf_alloc(pool);
  if (out != nullptr && chain->pkt_len <= rte_pktmbuf_tailroom(out)) {
    for (const rte_mbuf* s = chain; s != nullptr; s = s->next) {
      std::memcpy(rte_pktmbuf_append(out, s->data_len), rte_pktmbuf_mtod(s, const void*),
                  s->data_len);
    }
    out->ol_flags |= chain->ol_flags & (RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_MASK |
                                        RTE_MBUF_F_RX_L4_CKSUM_MASK);
    out->vlan_tci = chain->vlan_tci;
  } else {
    rte_pktmbuf_free(out);
    out = nullptr;
  }
  rte_pktmbuf_free(chain);
  return out;
}

// `out` is the UDP payload of the packet.
[[gnu::always_inline]] inline void strip(rte_mbuf* mbuf, uint16_t offset, uint16_t bytes,
                                         stage::Datagram& out) noexcept {
  mbuf->data_off = static_cast<uint16_t>(mbuf->data_off + offset);
  mbuf->data_len = bytes;
  mbuf->pkt_len = bytes;
  out = stage::Datagram{};
  out.mbuf = mbuf;
  out.data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  out.bytes = bytes;
  // The first frame's header, which the next stage wants, ends in the line behind this one.
  rte_prefetch0(out.data + RTE_CACHE_LINE_SIZE);
  rte_prefetch0(out.data + 2 * RTE_CACHE_LINE_SIZE);
}

}  // namespace

Queue::~Queue() {
  rte_mbuf* mbuf = nullptr;
  while (to_control.pop(mbuf)) rte_pktmbuf_free(mbuf);
  while (from_control.pop(mbuf)) rte_pktmbuf_free(mbuf);
}

unsigned Queue::receive(const Context& context, uint16_t index, stage::Datagram* out, unsigned max,
                        stage::Burst::Drops& drops) noexcept {
  if (from_control.size() != 0) send_control(context, index);
  std::array<rte_mbuf*, stage::datagrams_max> packets;
  const auto wanted = static_cast<uint16_t>(std::min(max, stage::datagrams_max));
  const unsigned got = rte_eth_rx_burst(context.device, index, packets.data(), wanted);
  if (got == 0) return 0;
  uint64_t bytes = 0;
  for (unsigned i = 0; i < got; ++i) rte_prefetch0(packets[i]);
  for (unsigned i = 0; i < std::min(got, prefetch_ahead); ++i) {
    rte_prefetch0(rte_pktmbuf_mtod(packets[i], const void*));
    rte_mbuf_prefetch_part2(packets[i]);
  }
  unsigned taken = 0;
  for (unsigned i = 0; i < got; ++i) {
    if (i + prefetch_ahead < got) {
      rte_prefetch0(rte_pktmbuf_mtod(packets[i + prefetch_ahead], const void*));
      rte_mbuf_prefetch_part2(packets[i + prefetch_ahead]);
    }
    bytes += packets[i]->pkt_len;
    if (context.is_edge) {
      drops.add(Drop::not_implemented);
      rte_pktmbuf_free(packets[i]);
    } else if (take(context, packets[i], out[taken], drops)) {
      ++taken;
    }
  }
  rx_packets.add(got);
  rx_bytes.add(bytes);
  return taken;
}

// True: `out` is filled. Otherwise the packet went to control, or was counted and freed.
bool Queue::take(const Context& context, rte_mbuf* mbuf, stage::Datagram& out,
                 stage::Burst::Drops& drops) noexcept {
  if (mbuf->nb_segs > 1) {
    mbuf = linearise(context.pool, mbuf);
    if (mbuf == nullptr) {
      drops.add(Drop::segmented);
      return false;
    }
  }
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const NicHints hints = hints_of(mbuf);
  if (Plain plain; take_plain({frame, mbuf->data_len}, hints, context.local, plain)) [[likely]] {
    strip(mbuf, plain_headers_bytes, plain.payload_bytes, out);
    out.local_port = plain.local_port;
    out.port_id = context.port_id;
    out.source = plain.source;
    return true;
  }
  const Headers headers = parse_headers({frame, mbuf->data_len}, hints);
  Drop reason = Drop::count_;
  const Verdict verdict = judge(headers, frame, context.local, reason);
  if (verdict == Verdict::take) {
    strip(mbuf, headers.payload_offset, headers.payload_bytes, out);
    out.local_port = headers.destination.port;
    out.port_id = context.port_id;
    out.source = headers.source;
    return true;
  }
  if (verdict == Verdict::control) {
    if (to_control.push(std::move(mbuf))) return false;
    reason = Drop::foreign_full;
  }
  drops.add(reason);
  rte_pktmbuf_free(mbuf);
  return false;
}

unsigned Queue::transmit(const Context& context, uint16_t index, rte_mbuf** packets,
                         unsigned count) noexcept {
  // Read before the driver owns them.
  uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
  const unsigned sent =
      rte_eth_tx_burst(context.device, index, packets, static_cast<uint16_t>(count));
  for (unsigned i = sent; i < count; ++i) bytes -= packets[i]->pkt_len;
  tx_packets.add(sent);
  tx_bytes.add(bytes);
  tx_full.add(count - sent);
  return sent;
}

void Queue::tick(const Context& context, uint16_t index) noexcept {
  if (from_control.size() != 0) send_control(context, index);
  if (context.wants_idle_bursts) rte_eth_tx_burst(context.device, index, nullptr, 0);
  if (can_clean_up && rte_eth_tx_done_cleanup(context.device, index, 0) == -ENOTSUP) {
    can_clean_up = false;
  }
}

// What the full device does not take is lost: the machine behind it asks again.
void Queue::send_control(const Context& context, uint16_t index) noexcept {
  rte_mbuf* mbuf = nullptr;
  while (from_control.pop(mbuf)) {
    if (transmit(context, index, &mbuf, 1) == 0) rte_pktmbuf_free(mbuf);
  }
}

}  // namespace chaincast::port::ethdev
