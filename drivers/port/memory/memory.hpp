// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <memory>
#include <string>
#include <vector>

#include "port/port.hpp"

// Ports inside one process, for tests and labs: no kernel, no NIC, no loss but what rings refuse.
namespace chaincast::port {

struct MemoryConfig {
  std::string name;
  uint16_t id = 0;
  Role role = Role::fabric;
  std::vector<Endpoint> addresses;  // at least one; ports are not looked at
  uint16_t udp_port = 0;            // base; queue q receives UDP port base + q
  uint16_t queues = 1;              // rx and tx
  uint16_t mtu_bytes = 1500;
  bool shared_segments = true;   // false: transmit insists on packets of one segment
  unsigned ring_packets = 1024;  // per rx queue
};

// The wire between memory ports: up to 256, each reachable under its addresses. A packet is copied
// into one mbuf of the receiver's pool, so sender and receiver share no buffer. A full ring gives
// packets back to the sender; packets to an address that nobody has, and packets without a buffer,
// are taken and counted by the sender as tx_unreachable and tx_failed. Packets to a port beyond the
// receiver's queues are counted by the receiver as rx_other_port, on queue 0.
//
// Thread: attach() and the destruction of ports on one control thread, also while others transmit.
// Lifetime: ports keep the network alive.
class MemoryNetwork : public std::enable_shared_from_this<MemoryNetwork> {
 public:
  static std::shared_ptr<MemoryNetwork> make();
  virtual ~MemoryNetwork() = default;

  // `pool` (borrowed) gives the receive buffers. Fails with `exists` if an address is taken,
  // `invalid` without addresses, `refused` when the network is full.
  virtual Result<std::unique_ptr<Port>> attach(const MemoryConfig& config, rte_mempool* pool) = 0;
  // Packets waiting in all receive rings.
  virtual size_t pending() const = 0;
};

}  // namespace chaincast::port
