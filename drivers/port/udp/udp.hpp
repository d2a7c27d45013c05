// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <memory>
#include <string>
#include <vector>

#include "port/port.hpp"

// Kernel sockets as a port: no privileges, no thread, no hugepages. Queue q has one socket per
// address, bound to UDP port `udp_port + q`, so every queue receives exactly its port.
//
// Sends runs of packets of one size to one remote as one message (UDP_SEGMENT); receives trains of
// datagrams as one message (UDP_GRO) and splits them into mbufs. Where the kernel lacks either,
// sendmmsg and recvmmsg carry single datagrams; info() says which. DF is set and nothing is
// fragmented: what exceeds the path is counted as tx_failed.
namespace chaincast::port {

struct UdpConfig {
  std::string name;
  uint16_t id = 0;
  Role role = Role::fabric;
  // 1..4 own addresses; unspecified ones (0.0.0.0, ::) listen on all. Ports are not looked at.
  // Packets leave from the first address of the remote's family.
  std::vector<Endpoint> addresses;
  uint16_t udp_port = 0;                    // base, at least 1
  uint16_t queues = 1;                      // 1..64
  uint16_t mtu_bytes = 0;                   // 0: of the interface that has the first address
  bool use_segmentation = true;             // UDP_SEGMENT, if the kernel has it
  bool use_coalescing = true;               // UDP_GRO, if the kernel has it
  uint32_t socket_buffer_bytes = 8u << 20;  // asked for; info() tells what was granted
};

// Checks the configuration; sockets are opened by start(), which fails naming address, port and
// remedy. `pool` (borrowed) gives the receive buffers; its data room bounds the MTU.
Result<std::unique_ptr<Port>> make_udp(const UdpConfig& config, rte_mempool* pool);

}  // namespace chaincast::port
