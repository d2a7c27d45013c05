// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "base/ring.hpp"
#include "port/headers.hpp"
#include "stage/burst.hpp"
#include "stats/counter.hpp"

// The worker's half of an ethdev port: one receive and one transmit queue.
namespace chaincast::port::ethdev {

inline constexpr unsigned control_ring_packets = 256;

// Shared by all queues of a port; immutable while it runs.
struct Context {
  uint16_t device = 0;   // DPDK's port id
  uint16_t port_id = 0;  // ours
  bool is_edge = false;
  bool wants_idle_bursts = false;  // sends LACP while it is called, if with nothing
  Local local;
  rte_mempool* pool = nullptr;
};

// Thread: the worker that owns the queue, but for the rings' other ends (control).
struct alignas(base::cache_line_bytes) Queue {
  base::SpscRing<rte_mbuf*> to_control{control_ring_packets};    // ARP, NDP, ICMP
  base::SpscRing<rte_mbuf*> from_control{control_ring_packets};  // answers and questions
  bool can_clean_up = true;                                      // the driver has tx_done_cleanup
  stats::Counter rx_packets, rx_bytes, tx_packets, tx_bytes, tx_full;

  ~Queue();
  // As Port::receive, from queue `index` of the device.
  unsigned receive(const Context& context, uint16_t index, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept;
  unsigned transmit(const Context& context, uint16_t index, rte_mbuf** packets,
                    unsigned count) noexcept;
  void tick(const Context& context, uint16_t index) noexcept;

 private:
  bool take(const Context& context, rte_mbuf* mbuf, stage::Datagram& out,
            stage::Burst::Drops& drops) noexcept;
  void send_control(const Context& context, uint16_t index) noexcept;
};

// The hints of the device about a received packet.
inline NicHints hints_of(const rte_mbuf* mbuf) noexcept {
  NicHints out;
  if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
    out.stripped_vlan = mbuf->vlan_tci & 0xfff;
  }
  out.is_ipv4_checksum_good =
      (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
  out.is_udp_checksum_bad =
      (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
  return out;
}

}  // namespace chaincast::port::ethdev
