// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/device.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string_view>

#include "port/ethdev/memif.hpp"

namespace chaincast::port::ethdev {

namespace {

// Drivers that leave the kernel in charge of the NIC.
constexpr std::array<std::string_view, 4> bifurcated_drivers = {"mlx5_core", "mlx4_core", "mana",
                                                                "hv_netvsc"};
constexpr std::array<std::string_view, 3> userspace_drivers = {"vfio-pci", "igb_uio",
                                                               "uio_pci_generic"};

template <size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

std::string full_address(const std::string& name) {
  return name.size() == 7 ? "0000:" + name : name;
}

Status diagnose_pci(const EthdevConfig& config, const std::string& name, const std::string& sysfs) {
  const std::string address = full_address(name);
  const std::filesystem::path device = sysfs + "/bus/pci/devices/" + address;
  std::error_code failure;
  if (!std::filesystem::exists(device, failure)) {
    return error(ErrorCode::not_found,
                 fmt::format("port '{}': no PCI device {}; see `dpdk-devbind.py --status-dev net`",
                             config.name, address));
  }
  const std::string driver =
      std::filesystem::read_symlink(device / "driver", failure).filename().string();
  if (!contains(userspace_drivers, driver) && !contains(bifurcated_drivers, driver)) {
    return error(
        ErrorCode::refused,
        fmt::format("port '{}': NIC {} is bound to {}; run `dpdk-devbind.py -b vfio-pci "
                    "{}` (the kernel loses the NIC)",
                    config.name, address,
                    driver.empty() ? "no driver" : "its kernel driver " + driver, address));
  }
  if (rte_eal_has_hugepages() == 0) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}': NIC {} needs hugepages and EAL runs without; reserve some "
                             "(echo 512 > /proc/sys/vm/nr_hugepages) and start without --no-huge",
                             config.name, address));
  }
  return {};
}

// The name of the interface that has the address, or "".
std::string interface_of(const Endpoint& address) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "";
  std::string out;
  for (const ifaddrs* entry = list; entry != nullptr && out.empty(); entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (!address.is_ipv6 && entry->ifa_addr->sa_family == AF_INET) {
      sockaddr_in found;
      std::memcpy(&found, entry->ifa_addr, sizeof found);
      if (std::memcmp(&found.sin_addr, address.address.data(), 4) == 0) out = entry->ifa_name;
    } else if (address.is_ipv6 && entry->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 found;
      std::memcpy(&found, entry->ifa_addr, sizeof found);
      if (std::memcmp(&found.sin6_addr, address.address.data(), 16) == 0) out = entry->ifa_name;
    }
  }
  freeifaddrs(list);
  return out;
}

// Devices that share an interface with the kernel.
Status diagnose_interface(const EthdevConfig& config, const std::string& device,
                          const std::string& interface) {
  const std::string name = device_name(device);
  if (if_nametoindex(interface.c_str()) == 0) {
    return error(ErrorCode::not_found,
                 fmt::format("port '{}': device {} names interface '{}', which does not exist; see "
                             "`ip link`",
                             config.name, name, interface));
  }
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}': no permission for packet sockets on '{}' ({}); run as "
                             "root or grant CAP_NET_RAW, or use a udp port",
                             config.name, interface, std::strerror(errno)));
  }
  close(fd);
  for (const InterfaceAddress& own : config.addresses) {
    const std::string holder = interface_of(own.address);
    if (holder.empty()) continue;
    return error(ErrorCode::refused,
                 fmt::format("port '{}': the kernel has address {} on '{}' and would answer too; "
                             "remove it (`ip address del {}/{} dev {}`) or choose another",
                             config.name, address_text(own.address), holder,
                             address_text(own.address), own.prefix_bits, holder));
  }
  return {};
}

Status diagnose_members(const EthdevConfig& config, const std::string& name) {
  const bool needs_them =
      kind_of(name).has_members && device_argument(config.device, "slave").empty();
  if (needs_them && config.members.empty()) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}': {} is made of other devices; list them in members, e.g. "
                             "[\"0000:01:00.0\", \"0000:01:00.1\"]",
                             config.name, name));
  }
  if (!kind_of(name).has_members && !config.members.empty()) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}': {} has no members; remove them, or make device a "
                             "net_bonding0",
                             config.name, name));
  }
  return {};
}

Status diagnose_one(const EthdevConfig& config, const std::string& device,
                    const std::string& sysfs) {
  const std::string name = device_name(device);
  if (is_pci_address(name)) return diagnose_pci(config, name, sysfs);
  const Kind& kind = kind_of(name);
  if (kind.needs_hugepages && rte_eal_has_hugepages() == 0) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}': {} shares its memory and needs hugepages; reserve some "
                             "(echo 64 > /proc/sys/vm/nr_hugepages) and start without --no-huge",
                             config.name, name));
  }
  const std::string interface = interface_below(device);
  const bool reads_files = !device_argument(device, "rx_pcap").empty() ||
                           !device_argument(device, "tx_pcap").empty() ||
                           !device_argument(device, "rx_iface").empty();
  if (kind.is_on_interface && !reads_files) {
    return diagnose_interface(config, device, interface);
  }
  return {};
}

// By the device string: EAL names some devices otherwise, and one PCI device may have many ports.
bool find_port(const std::string& name, uint16_t& id) {
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) return true;
  if (is_pci_address(name) && name.size() == 7) {
    return rte_eth_dev_get_port_by_name(("0000:" + name).c_str(), &id) == 0;
  }
  return false;
}

// "" where DPDK has none.
std::string device_string(const rte_device* device) {
  const rte_devargs* arguments = device != nullptr ? rte_dev_devargs(device) : nullptr;
  return arguments == nullptr ? "" : fmt::format("{},{}", arguments->name, arguments->args);
}

// Of all devices, one a line.
std::string device_strings() {
  std::string out;
  for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id) {
    if (rte_eth_dev_is_valid_port(id) == 0) continue;
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(id, &info) == 0) out += device_string(info.device) + "\n";
  }
  return out;
}

Error tells_nothing(const EthdevConfig& config, const std::string& device, int result) {
  return error(ErrorCode::io,
               fmt::format("port '{}': device '{}' tells nothing about itself ({}); is its driver "
                           "complete?",
                           config.name, device_name(device), std::strerror(-result)));
}

}  // namespace

bool is_pci_address(const std::string& name) {
  static const std::regex shape("([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7]");
  return std::regex_match(name, shape);
}

int numa_node_of(const std::string& device, const std::string& sysfs) {
  const std::string name = device_name(device);
  if (!is_pci_address(name)) return -1;
  int numa_node = -1;
  std::ifstream(sysfs + "/bus/pci/devices/" + full_address(name) + "/numa_node") >> numa_node;
  return numa_node;
}

bool takes_segments(const std::string& driver, uint64_t tx_offload_capabilities) {
  if (const auto rule = kind_of(driver).takes_segments) return *rule;
  return (tx_offload_capabilities & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
}

Status diagnose(const EthdevConfig& config, const std::string& sysfs) {
  if (Status fits = diagnose_members(config, device_name(config.device)); !fits.ok()) return fits;
  std::vector<std::string> devices = config.members;
  devices.push_back(config.device);
  for (const std::string& device : devices) {
    if (Status usable = diagnose_one(config, device, sysfs); !usable.ok()) return usable;
  }
  return {};
}

Result<Device> Device::probe(const std::string& port, const std::string& device) {
  const std::string name = device_name(device);
  uint16_t id = 0;
  if (!find_port(name, id)) {
    const int result = rte_dev_probe(device.c_str());
    if (result != 0 || !find_port(name, id)) {
      return error(result == -ENODEV || result == 0 ? ErrorCode::not_found : ErrorCode::io,
                   fmt::format("port '{}': DPDK cannot probe device '{}' ({}); check its name and "
                               "arguments, and EAL's messages above (--log-level=*:debug tells "
                               "more)",
                               port, device, std::strerror(std::abs(result))));
    }
  }
  return Device(id);
}

Result<Device> Device::attach(const EthdevConfig& config) {
  std::string device = complete_device(config.device, config.mtu_bytes);
  std::vector<Device> members;
  for (const std::string& member : config.members) {
    Result<Device> one = probe(config.name, complete_device(member, config.mtu_bytes));
    if (!one.ok()) return one.error();
    if (const int result = rte_eth_dev_info_get(one->id_, &one->info_); result != 0) {
      return tells_nothing(config, member, result);
    }
    members.push_back(std::move(one).value());
    device += ",slave=" + device_name(member);
  }
  Result<Device> out = probe(config.name, device);
  if (!out.ok()) return out;
  out->members_ = std::move(members);
  if (const int result = rte_eth_dev_info_get(out->id_, &out->info_); result != 0) {
    return tells_nothing(config, device, result);
  }
  return out;
}

Device::Device(Device&& other) noexcept
    : id_(other.id_), info_(other.info_), members_(std::move(other.members_)) {
  other.id_ = RTE_MAX_ETHPORTS;
}

Device& Device::operator=(Device&& other) noexcept {
  if (this == &other) return *this;
  release();
  id_ = other.id_;
  info_ = other.info_;
  members_ = std::move(other.members_);
  other.id_ = RTE_MAX_ETHPORTS;
  return *this;
}

uint16_t Device::rx_queues_max() const {
  uint16_t most = info_.max_rx_queues;
  for (const Device& member : members_) most = std::min(most, member.rx_queues_max());
  return most;
}

void Device::release() noexcept {
  if (id_ == RTE_MAX_ETHPORTS) return;
  rte_device* device = info_.device;
  const std::string text = device_string(device);
  rte_eth_dev_stop(id_);
  // Also where EAL had probed it: some drivers (net_virtio) give back what their rings hold only
  // when they are closed, and EAL would do that once the pool is gone.
  rte_eth_dev_close(id_);
  if (device != nullptr) rte_dev_remove(device);
  end_memif_listener(text, device_strings());
  id_ = RTE_MAX_ETHPORTS;
  members_.clear();
}

}  // namespace chaincast::port::ethdev
