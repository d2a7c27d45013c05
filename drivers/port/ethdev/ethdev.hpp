// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "port/neighbour.hpp"
#include "port/port.hpp"

// Any DPDK ethdev as a port: NICs by PCI address, virtual devices by device string.
//
// The port owns the addresses it is given: it answers ARP, neighbour solicitations and echo
// requests for them, and the kernel must not have them. Worker and control share two bounded
// rings per direction; only the worker of a queue touches the device's queue.
namespace chaincast::port {

enum class CopyMode : uint8_t {
  automatic,  // shared where the driver takes segments: see takes_segments()
  shared,
  linear,
};
enum class ChecksumMode : uint8_t {
  automatic,  // by the device where it offers to
  software,
  hardware,  // fails where the device does not offer it
};

struct EthdevConfig {
  std::string name;
  uint16_t id = 0;
  Role role = Role::fabric;
  std::string device;                // "0000:01:00.0", "net_af_packet0,iface=eth1"
  std::vector<std::string> members;  // devices that a net_bonding is made of
  std::vector<InterfaceAddress> addresses;
  std::optional<Endpoint> gateway_v4;
  std::optional<Endpoint> gateway_v6;
  uint16_t vlan = no_vlan;
  uint16_t udp_port = 0;  // for lane 0; the bulk of worker w comes to udp_port + 1 + w
  uint16_t workers = 1;
  uint16_t queues = 0;     // wanted; 0: what suits the device (receive_queues.hpp)
  uint16_t mtu_bytes = 0;  // 0: what the interface or device has, at most what mbufs hold
  uint16_t rx_descriptors = 1024;
  uint16_t tx_descriptors = 1024;
  bool is_promiscuous = false;
  CopyMode copy = CopyMode::automatic;
  ChecksumMode checksum = ChecksumMode::automatic;
};

// Probes (unless EAL did), configures and sets up the device; start() starts it, the destructor
// closes it and detaches what was probed here. `pool` (borrowed) gives receive buffers and control
// packets. EAL must run. Control thread, on the affinity that the driver's own threads shall have.
// Fails with `not_found`, `refused`, `unsupported` or `io`; the message names device and remedy.
Result<std::unique_ptr<Port>> make_ethdev(const EthdevConfig& config, rte_mempool* pool);

}  // namespace chaincast::port
