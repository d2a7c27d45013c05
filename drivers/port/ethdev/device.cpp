// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/device.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <regex>
#include <string_view>

namespace chaincast::port::ethdev {

namespace {

// Drivers that leave the kernel in charge of the NIC.
constexpr std::array<std::string_view, 4> bifurcated_drivers = {"mlx5_core", "mlx4_core", "mana",
                                                                "hv_netvsc"};
constexpr std::array<std::string_view, 3> userspace_drivers = {"vfio-pci", "igb_uio",
                                                               "uio_pci_generic"};

struct SegmentRule {
  std::string_view driver;
  bool takes;
};
// Against what they advertise in 22.11.
constexpr std::array<SegmentRule, 3> segment_rules = {{
    {"net_null", true},
    {"net_pcap", true},
    {"net_af_xdp", false},
}};

template <size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

Status diagnose_pci(const EthdevConfig& config, const std::string& name, const std::string& sysfs) {
  const std::string address = name.size() == 7 ? "0000:" + name : name;
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
Status diagnose_interface(const EthdevConfig& config, const std::string& name,
                          const std::string& interface) {
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
  if (const std::string pairs = device_argument(config.device, "qpairs");
      !pairs.empty() && pairs != "1") {
    return error(ErrorCode::unsupported,
                 fmt::format("port '{}': {} with qpairs={} spreads packets over queues by itself; "
                             "leave qpairs away",
                             config.name, name, pairs));
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

}  // namespace

std::string device_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

std::string device_argument(const std::string& device, const std::string& key) {
  const size_t at = device.find("," + key + "=");
  if (at == std::string::npos) return "";
  const size_t first = at + key.size() + 2;
  return device.substr(first, device.find(',', first) - first);
}

bool is_pci_address(const std::string& name) {
  static const std::regex shape("([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7]");
  return std::regex_match(name, shape);
}

bool takes_segments(const std::string& driver, uint64_t tx_offload_capabilities) {
  for (const SegmentRule& rule : segment_rules) {
    if (rule.driver == driver) return rule.takes;
  }
  return (tx_offload_capabilities & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
}

Status diagnose(const EthdevConfig& config, const std::string& sysfs) {
  const std::string name = device_name(config.device);
  if (is_pci_address(name)) return diagnose_pci(config, name, sysfs);
  if (name.starts_with("net_virtio_user") && rte_eal_has_hugepages() == 0) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}': {} shares its memory and needs hugepages; reserve some "
                             "(echo 64 > /proc/sys/vm/nr_hugepages) and start without --no-huge",
                             config.name, name));
  }
  const std::string interface = device_argument(config.device, "iface");
  const bool is_on_kernel = name.starts_with("net_af_packet") || name.starts_with("net_af_xdp") ||
                            (name.starts_with("net_pcap") && !interface.empty());
  if (is_on_kernel) return diagnose_interface(config, name, interface);
  return {};
}

Result<Device> Device::attach(const EthdevConfig& config) {
  const std::string name = device_name(config.device);
  uint16_t id = 0;
  bool is_ours = false;
  if (!find_port(name, id)) {
    const int result = rte_dev_probe(config.device.c_str());
    is_ours = result == 0;
    if (result != 0 || !find_port(name, id)) {
      return error(result == -ENODEV || result == 0 ? ErrorCode::not_found : ErrorCode::io,
                   fmt::format("port '{}': DPDK cannot probe device '{}' ({}); check its name and "
                               "arguments, and EAL's messages above (--log-level=*:debug tells "
                               "more)",
                               config.name, config.device, std::strerror(std::abs(result))));
    }
  }
  Device out(id, is_ours);
  if (const int result = rte_eth_dev_info_get(id, &out.info_); result != 0) {
    return error(ErrorCode::io, fmt::format("port '{}': device '{}' tells nothing about itself "
                                            "({}); is its driver complete?",
                                            config.name, name, std::strerror(-result)));
  }
  return out;
}

Device::Device(Device&& other) noexcept
    : id_(other.id_), is_ours_(other.is_ours_), info_(other.info_) {
  other.id_ = RTE_MAX_ETHPORTS;
}

Device::~Device() {
  if (id_ == RTE_MAX_ETHPORTS) return;
  rte_device* device = info_.device;
  rte_eth_dev_stop(id_);
  if (!is_ours_) return;  // EAL probed it: stays, stopped, and can be attached again
  rte_eth_dev_close(id_);
  if (device != nullptr) rte_dev_remove(device);
}

}  // namespace chaincast::port::ethdev
