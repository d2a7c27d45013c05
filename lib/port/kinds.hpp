// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// What is special about each virtual DPDK device that a port may be: one table. NICs by PCI
// address, and devices that are not in it, say all about themselves. Pure; any thread.
namespace chaincast::port {

struct Kind {
  std::string_view driver;       // DPDK's name; device strings of the kind start with it
  std::string_view text;         // what it is
  bool is_on_interface = false;  // iface= names a kernel interface, which the kernel keeps
  bool needs_hugepages = false;  // shares its memory with another process
  bool has_members = false;      // is made of other devices
  // Spreads what it receives over all queues that it has, by a hash, untold.
  bool spreads_always = false;
  // Receives into a pool of its own, with at least so many buffers per queue, and copies what it is
  // to send from elsewhere into that pool, too; 0: into the node's.
  unsigned own_mbufs_per_queue = 0;
  // Bytes of a receive buffer that the driver takes for itself, behind the usual headroom.
  uint16_t buffer_overhead_bytes = 0;
  // Whether it takes a header chained to a shared payload, against what it advertises.
  std::optional<bool> takes_segments = std::nullopt;
  // It passes larger frames than it says: the device is never told of an MTU beyond 1500.
  bool understates_mtu = false;
  uint16_t mtu_max_bytes = 0;  // that it does not tell about; 0: none
  // Arguments that a device string gets, for an MTU, unless it has them: "", or ",key=value...".
  std::string (*arguments)(const std::string& device, uint16_t mtu_bytes) = nullptr;
  // A receive buffer that it insists on whatever the MTU, without headroom.
  unsigned (*least_buffer_bytes)(const std::string& device) = nullptr;
};

std::span<const Kind> kinds();
// By device string or driver name; a Kind without a name for what is not in the table.
const Kind& kind_of(std::string_view device);

// The part of a device string before its arguments: what DPDK calls the device.
std::string device_name(const std::string& device);
// The value of `key` in a device string's arguments, or "".
std::string device_argument(const std::string& device, const std::string& key);
// The device string with the arguments that its kind wants for this MTU.
std::string complete_device(const std::string& device, uint16_t mtu_bytes);
// The kernel interface below a device, or "".
std::string interface_below(const std::string& device);

// Bytes of a receive buffer, headroom included, that a device needs for an MTU.
uint16_t buffer_bytes(const std::string& device, uint16_t mtu_bytes);
// The largest MTU for which `buffer_bytes` of receive buffer are enough, by the kind alone.
uint16_t mtu_within(const std::string& device, uint16_t buffer_bytes);

}  // namespace chaincast::port
