// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_ethdev.h>

#include <string>

#include "port/ethdev/ethdev.hpp"

// Devices before they are ports: names, what stands in the way of using one, probing.
namespace chaincast::port::ethdev {

// The part of a device string before its arguments: what DPDK calls the device.
std::string device_name(const std::string& device);
// The value of `key` in a device string's arguments, or "".
std::string device_argument(const std::string& device, const std::string& key);
// "01:00.0" and "0000:01:00.0".
bool is_pci_address(const std::string& name);

// What a person can mend, said before EAL says something short: no such PCI device, bound to its
// kernel driver, no hugepages, no such interface, no CAP_NET_RAW, the kernel has our address.
// `sysfs` is /sys but in tests.
Status diagnose(const EthdevConfig& config, const std::string& sysfs = "/sys");

// Whether the driver takes a header mbuf chained to a shared payload. By what it advertises,
// except for the drivers of 22.11 that a test caught at the opposite.
bool takes_segments(const std::string& driver, uint64_t tx_offload_capabilities);

// A probed device. Detaches on destruction what attach() probed, after closing the port.
class Device {
 public:
  static Result<Device> attach(const EthdevConfig& config);
  Device(Device&& other) noexcept;
  Device& operator=(Device&&) = delete;
  ~Device();
  uint16_t id() const { return id_; }
  const rte_eth_dev_info& info() const { return info_; }

 private:
  Device(uint16_t id, bool is_ours) : id_(id), is_ours_(is_ours) {}
  uint16_t id_;
  bool is_ours_;
  rte_eth_dev_info info_{};
};

// Steers UDP port `udp_port + q` to queue q for each q in 1..queues-1 (rte_flow; the rest goes to
// queue 0). False, and nothing left behind, where the device cannot. The device is started.
bool steer_ports(uint16_t device, const EthdevConfig& config, uint16_t queues);

// What configuring the device came to.
struct Setup {
  Capabilities capabilities;
  bool has_rx_checksum = false;
};

// Configures, sets up queues, starts, steers. Call again after a stop.
Result<Setup> set_up(const EthdevConfig& config, const Device& device, rte_mempool* pool);

}  // namespace chaincast::port::ethdev
