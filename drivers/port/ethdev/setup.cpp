// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <net/if.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "port/ethdev/device.hpp"

namespace chaincast::port::ethdev {

namespace {

constexpr unsigned l2_max_bytes = ethernet_bytes + vlan_tag_bytes;
constexpr uint64_t rx_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t tx_checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

Error failed(const EthdevConfig& config, const char* step, int result) {
  return error(ErrorCode::io,
               fmt::format("port '{}': device '{}' refuses to {} ({}); see EAL's messages above",
                           config.name, device_name(config.device), step, std::strerror(-result)));
}

unsigned kernel_mtu(const std::string& interface) {
  if (interface.empty()) return 0;
  ifreq request{};
  interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  const bool is_known = ioctl(fd, SIOCGIFMTU, &request) == 0;
  close(fd);
  return is_known ? static_cast<unsigned>(request.ifr_mtu) : 0;
}

Result<uint16_t> choose_mtu(const EthdevConfig& config, const Device& device, rte_mempool* pool) {
  const unsigned room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
  const unsigned fitting = room - l2_max_bytes;
  const unsigned most = std::min<unsigned>(fitting, device.info().max_mtu);
  if (config.mtu_bytes != 0) {
    if (config.mtu_bytes <= most) return config.mtu_bytes;
    return error(
        ErrorCode::refused,
        fmt::format(
            "port '{}': MTU {} exceeds what {} ({}); lower mtu{}", config.name, config.mtu_bytes,
            fitting < device.info().max_mtu ? "receive buffers hold" : "the device takes", most,
            fitting < device.info().max_mtu ? " or give the other ports the same mtu" : ""));
  }
  unsigned mtu = kernel_mtu(device_argument(config.device, "iface"));
  uint16_t current = 0;
  if (mtu == 0 && rte_eth_dev_get_mtu(device.id(), &current) == 0) mtu = current;
  if (mtu == 0) mtu = RTE_ETHER_MTU;
  return static_cast<uint16_t>(std::min(mtu, most));
}

Result<uint64_t> choose_tx_offloads(const EthdevConfig& config, const Device& device,
                                    bool is_shared) {
  const uint64_t offered = device.info().tx_offload_capa;
  uint64_t out = 0;
  if (is_shared) out |= offered & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (config.checksum == ChecksumMode::software) return out;
  if (config.checksum == ChecksumMode::hardware && (offered & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) == 0) {
    return error(ErrorCode::unsupported,
                 fmt::format("port '{}': device '{}' computes no UDP checksums; set checksum to "
                             "auto or software",
                             config.name, device_name(config.device)));
  }
  return out | (offered & tx_checksums);
}

Result<bool> choose_sharing(const EthdevConfig& config, const Device& device) {
  const std::string driver = device.info().driver_name;
  const bool takes = takes_segments(driver, device.info().tx_offload_capa);
  if (config.copy == CopyMode::linear) return false;
  if (config.copy == CopyMode::shared && !takes) {
    return error(ErrorCode::unsupported,
                 fmt::format("port '{}': driver {} takes no chained packets; set copy to auto or "
                             "linear",
                             config.name, driver));
  }
  return takes;
}

struct Plan {
  uint16_t rx_queues;
  uint16_t tx_queues;
  uint16_t mtu_bytes;
  uint64_t rx_offloads;
  uint64_t tx_offloads;
};

Status set_up_queues(const EthdevConfig& config, const Device& device, const Plan& plan,
                     rte_mempool* pool) {
  uint16_t rx_descriptors = config.rx_descriptors;
  uint16_t tx_descriptors = config.tx_descriptors;
  const int adjusted =
      rte_eth_dev_adjust_nb_rx_tx_desc(device.id(), &rx_descriptors, &tx_descriptors);
  if (adjusted != 0) return failed(config, "size its rings", adjusted);
  const int socket = rte_eth_dev_socket_id(device.id());
  const auto node = static_cast<unsigned>(socket < 0 ? SOCKET_ID_ANY : socket);
  for (uint16_t queue = 0; queue < plan.rx_queues; ++queue) {
    rte_eth_rxconf conf = device.info().default_rxconf;
    conf.offloads = plan.rx_offloads;
    const int result =
        rte_eth_rx_queue_setup(device.id(), queue, rx_descriptors, node, &conf, pool);
    if (result != 0) return failed(config, "set up a receive queue", result);
  }
  for (uint16_t queue = 0; queue < plan.tx_queues; ++queue) {
    rte_eth_txconf conf = device.info().default_txconf;
    // Never MBUF_FAST_FREE: payloads are shared by reference count.
    conf.offloads = plan.tx_offloads;
    const int result = rte_eth_tx_queue_setup(device.id(), queue, tx_descriptors, node, &conf);
    if (result != 0) return failed(config, "set up a transmit queue", result);
  }
  return {};
}

Status configure_and_start(const EthdevConfig& config, const Device& device, const Plan& plan,
                           rte_mempool* pool) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = plan.mtu_bytes;
  conf.rxmode.offloads = plan.rx_offloads;
  conf.txmode.offloads = plan.tx_offloads;
  int result = rte_eth_dev_configure(device.id(), plan.rx_queues, plan.tx_queues, &conf);
  if (result != 0) return failed(config, "be configured", result);
  if (Status queues = set_up_queues(config, device, plan, pool); !queues.ok()) return queues;
  result = rte_eth_dev_start(device.id());
  if (result != 0) return failed(config, "start", result);
  // Devices without these pass everything anyway.
  if (config.is_promiscuous) {
    rte_eth_promiscuous_enable(device.id());
  } else {
    rte_eth_promiscuous_disable(device.id());
  }
  rte_eth_allmulticast_enable(device.id());
  return {};
}

}  // namespace

Result<Setup> set_up(const EthdevConfig& config, const Device& device, rte_mempool* pool) {
  const rte_eth_dev_info& info = device.info();
  const Result<bool> is_shared = choose_sharing(config, device);
  if (!is_shared.ok()) return is_shared.error();
  const Result<uint64_t> tx_offloads = choose_tx_offloads(config, device, is_shared.value());
  if (!tx_offloads.ok()) return tx_offloads.error();
  const Result<uint16_t> mtu = choose_mtu(config, device, pool);
  if (!mtu.ok()) return mtu.error();

  Plan plan{};
  plan.mtu_bytes = mtu.value();
  plan.tx_offloads = tx_offloads.value();
  if (config.checksum != ChecksumMode::software) {
    plan.rx_offloads = info.rx_offload_capa & rx_checksums;
  }
  plan.rx_queues = std::min(config.queues, info.max_rx_queues);
  plan.tx_queues = std::min(config.queues, info.max_tx_queues);
  if (Status started = configure_and_start(config, device, plan, pool); !started.ok()) {
    return started.error();
  }
  const bool is_steered = steer_ports(device.id(), config, plan.rx_queues);
  if (!is_steered) {
    // Without steering the other queues would receive nothing, or what they should not.
    plan.rx_queues = 1;
    rte_eth_dev_stop(device.id());
    if (Status started = configure_and_start(config, device, plan, pool); !started.ok()) {
      return started.error();
    }
  }

  Setup out;
  out.has_rx_checksum = plan.rx_offloads != 0;
  out.capabilities.rx_queues = plan.rx_queues;
  out.capabilities.tx_queues = plan.tx_queues;
  out.capabilities.mtu_bytes = plan.mtu_bytes;
  out.capabilities.shared_segments = is_shared.value();
  out.capabilities.udp_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
  out.capabilities.ipv4_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
  out.capabilities.steers_ports = is_steered && plan.rx_queues >= config.udp_port_count;
  return out;
}

}  // namespace chaincast::port::ethdev
