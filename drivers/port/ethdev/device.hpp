// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_ethdev.h>
#include <rte_flow.h>

#include <functional>
#include <string>
#include <vector>

#include "port/ethdev/ethdev.hpp"
#include "port/ethdev/receive_queues.hpp"
#include "port/kinds.hpp"

// Devices before they are ports: names, what stands in the way of using one, probing.
namespace chaincast::port::ethdev {

// "01:00.0" and "0000:01:00.0".
bool is_pci_address(const std::string& name);

// What a person can mend, said before EAL says something short: no such PCI device, bound to its
// kernel driver, no hugepages, no such interface, no CAP_NET_RAW, the kernel has our address.
// `sysfs` is /sys but in tests.
Status diagnose(const EthdevConfig& config, const std::string& sysfs = "/sys");

// Whether the driver takes a header mbuf chained to a shared payload. By what it advertises,
// except for the drivers of 22.11 that a test caught at the opposite.
bool takes_segments(const std::string& driver, uint64_t tx_offload_capabilities);

// Of a PCI device, as the kernel knows it; -1: unknown, or a virtual device.
int numa_node_of(const std::string& device, const std::string& sysfs = "/sys");

// A probed device, by EAL's options or by attach(), and its members. Closed and detached on
// destruction, members last; that has to come before the end of the pool its rings were filled
// from. It can be attached again.
class Device {
 public:
  static Result<Device> attach(const EthdevConfig& config);
  Device(Device&& other) noexcept;
  Device& operator=(Device&& other) noexcept;
  ~Device() { release(); }
  uint16_t id() const { return id_; }
  const rte_eth_dev_info& info() const { return info_; }
  // That it and all its members have.
  uint16_t rx_queues_max() const;

 private:
  explicit Device(uint16_t id) : id_(id) {}
  static Result<Device> probe(const std::string& port, const std::string& device);
  void release() noexcept;
  uint16_t id_;
  rte_eth_dev_info info_{};
  std::vector<Device> members_;
};

// DPDK's calls for flow rules, or a test's.
struct FlowCalls {
  std::function<int(uint16_t, const rte_flow_attr*, const rte_flow_item*, const rte_flow_action*,
                    rte_flow_error*)>
      validate = rte_flow_validate;
  std::function<rte_flow*(uint16_t, const rte_flow_attr*, const rte_flow_item*,
                          const rte_flow_action*, rte_flow_error*)>
      create = rte_flow_create;
  std::function<int(uint16_t, rte_flow_error*)> flush = rte_flow_flush;
};

// Whether the driver has flow rules at all.
bool knows_rules(uint16_t device);

// Steers UDP port `udp_port + q` to queue q for each q < queues, for each family of own addresses;
// the rest goes where the device likes, to queue 0 in most. How many rules that took; 0, and
// nothing left behind, where the device cannot. The device is started.
unsigned steer_ports(uint16_t device, const EthdevConfig& config, uint16_t queues,
                     const FlowCalls& flows = {});

// Has the hash of a device that is started show the UDP port alone, of the family of all own
// addresses, and fills its table: port `udp_port + q` to queue q. False where the device cannot, or
// addresses are of both families; the hash may be any then.
bool hash_by_port(const rte_eth_dev_info& info, uint16_t device, const EthdevConfig& config,
                  uint16_t queues);

// What configuring the device came to.
struct Setup {
  Capabilities capabilities;
  uint16_t mtu_max_bytes = 0;  // that device and buffers allow
  Steering steering = Steering::none;
  unsigned steering_rules = 0;
};

// Starts a device that set_up() has made ready, with the modes of the configuration.
Status start_device(const EthdevConfig& config, uint16_t device);

// As the configuration says, and on in any case where the device hears no ARP otherwise. DPDK's
// error number if it refuses.
int set_promiscuous(const EthdevConfig& config, uint16_t device);

// Configures, sets up queues, and tries whether it steers. The device is stopped, before and after.
Result<Setup> set_up(const EthdevConfig& config, const Device& device, rte_mempool* pool);

}  // namespace chaincast::port::ethdev
