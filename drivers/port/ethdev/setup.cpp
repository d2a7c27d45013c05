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
#include "port/ethdev/receive_queues.hpp"

namespace chaincast::port::ethdev {

namespace {

constexpr unsigned l2_max_bytes = ethernet_bytes + vlan_tag_bytes;  // or with a frame check
constexpr uint64_t rx_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t hash_of_ports = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
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

// Members say what a device made of them only repeats.
bool understates_mtu(const EthdevConfig& config) {
  return kind_of(config.members.empty() ? config.device : config.members.front()).understates_mtu;
}

uint16_t device_mtu_max(const EthdevConfig& config, const rte_eth_dev_info& info) {
  if (understates_mtu(config)) return UINT16_MAX;
  const unsigned most = info.max_rx_pktlen > l2_max_bytes ? info.max_rx_pktlen - l2_max_bytes : 0;
  return static_cast<uint16_t>(std::min<unsigned>(info.max_mtu, most));
}

Status check_interface_mtu(const EthdevConfig& config, unsigned kernels) {
  if (kernels == 0 || config.mtu_bytes <= std::max<unsigned>(kernels, RTE_ETHER_MTU)) return {};
  const std::string interface = interface_below(config.device);
  return error(
      ErrorCode::refused,
      fmt::format("port '{}': MTU {} exceeds the {} of interface '{}'; raise it (`ip link "
                  "set {} mtu {}`) or lower mtu",
                  config.name, config.mtu_bytes, kernels, interface, interface, config.mtu_bytes));
}

Result<uint16_t> choose_mtu(const EthdevConfig& config, const Device& device, rte_mempool* pool) {
  const uint16_t fitting = mtu_within(config.device, rte_pktmbuf_data_room_size(pool));
  const uint16_t taken = device_mtu_max(config, device.info());
  const uint16_t most = std::min(fitting, taken);
  const unsigned kernels = kernel_mtu(interface_below(config.device));
  if (config.mtu_bytes > most) {
    return error(
        ErrorCode::refused,
        fmt::format("port '{}': MTU {} exceeds what {} ({}); lower mtu{}", config.name,
                    config.mtu_bytes, fitting < taken ? "receive buffers hold" : "the device takes",
                    most, fitting < taken ? " or give the other ports the same mtu" : ""));
  }
  if (Status fits = check_interface_mtu(config, kernels); !fits.ok()) return fits.error();
  if (config.mtu_bytes != 0) {
    return static_cast<uint16_t>(
        std::min<unsigned>(config.mtu_bytes, kernels != 0 ? kernels : config.mtu_bytes));
  }
  unsigned mtu = kernels;
  uint16_t current = 0;
  if (mtu == 0 && rte_eth_dev_get_mtu(device.id(), &current) == 0) mtu = current;
  if (mtu == 0) mtu = RTE_ETHER_MTU;
  return static_cast<uint16_t>(std::min<unsigned>(mtu, most));
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
  bool by_hash;
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

Status configure(const EthdevConfig& config, const Device& device, const Plan& plan,
                 rte_mempool* pool) {
  rte_eth_conf conf{};
  conf.rxmode.mtu =
      understates_mtu(config) ? std::min<uint16_t>(plan.mtu_bytes, RTE_ETHER_MTU) : plan.mtu_bytes;
  conf.rxmode.offloads = plan.rx_offloads;
  conf.txmode.offloads = plan.tx_offloads;
  if (plan.by_hash) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = device.info().flow_type_rss_offloads & hash_of_ports;
  }
  const int result = rte_eth_dev_configure(device.id(), plan.rx_queues, plan.tx_queues, &conf);
  if (result != 0) return failed(config, "be configured", result);
  return set_up_queues(config, device, plan, pool);
}

// DPDK's device behind choose_queues().
class RealDevice final : public QueueDevice {
 public:
  RealDevice(const EthdevConfig& config, const Device& device, const Plan& plan, rte_mempool* pool)
      : config_(config), device_(device), plan_(plan), pool_(pool) {}

  Status configure(uint16_t rx_queues, uint16_t tx_queues, bool by_hash) override {
    plan_.rx_queues = rx_queues;
    plan_.tx_queues = tx_queues;
    plan_.by_hash = by_hash;
    return ethdev::configure(config_, device_, plan_, pool_);
  }
  // Rules need a device that runs.
  Result<unsigned> try_rules(uint16_t rx_queues) override {
    if (Status started = start_device(config_, device_.id()); !started.ok()) {
      return started.error();
    }
    const unsigned rules = steer_ports(device_.id(), config_, rx_queues);
    rte_flow_error failure{};
    rte_flow_flush(device_.id(), &failure);
    rte_eth_dev_stop(device_.id());
    return rules;
  }

  Result<bool> try_port_hash(uint16_t rx_queues) override {
    if (Status started = start_device(config_, device_.id()); !started.ok()) {
      return started.error();
    }
    const bool shows_port = hash_by_port(device_.info(), device_.id(), config_, rx_queues);
    rte_eth_dev_stop(device_.id());
    return shows_port;
  }

 private:
  const EthdevConfig& config_;
  const Device& device_;
  Plan plan_;
  rte_mempool* const pool_;
};

QueueWish wish_of(const EthdevConfig& config, const Device& device) {
  QueueWish out;
  out.workers = config.workers;
  out.queues = config.queues;
  out.rx_max = device.rx_queues_max();
  out.tx_max = device.info().max_tx_queues;
  const Kind& kind = kind_of(config.device);
  // Virtual devices that offer a hash have none, or leave it to the other end.
  if (kind.driver.empty() || kind.has_members) {
    out.has_rules = knows_rules(device.id());
    out.has_hash = (device.info().flow_type_rss_offloads & hash_of_ports) != 0;
  }
  out.spreads_always = kind.spreads_always;
  return out;
}

}  // namespace

Status start_device(const EthdevConfig& config, uint16_t device) {
  const int result = rte_eth_dev_start(device);
  if (result != 0) return failed(config, "start", result);
  // Devices without it pass everything anyway.
  set_promiscuous(config, device);
  return {};
}

int set_promiscuous(const EthdevConfig& config, uint16_t device) {
  // A bond passes what is sent to a group in one of two modes only, and packet sockets lack one.
  const bool takes_groups = rte_eth_allmulticast_enable(device) == 0;
  const bool has_to = !takes_groups && kind_of(config.device).has_members;
  return config.is_promiscuous || has_to ? rte_eth_promiscuous_enable(device)
                                         : rte_eth_promiscuous_disable(device);
}

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
  RealDevice real(config, device, plan, pool);
  const Result<QueueChoice> queues = choose_queues(wish_of(config, device), real);
  if (!queues.ok()) return queues.error();
  Setup out;
  out.steering = queues->steering;
  out.steering_rules = queues->rules;
  out.capabilities.rx_queues = queues->rx_queues;
  out.capabilities.tx_queues = queues->tx_queues;
  out.capabilities.control_port = true;
  out.capabilities.control_queue = queues->control;
  out.capabilities.mtu_bytes = plan.mtu_bytes;
  out.mtu_max_bytes = std::min(mtu_within(config.device, rte_pktmbuf_data_room_size(pool)),
                               device_mtu_max(config, info));
  out.capabilities.shared_segments = is_shared.value();
  if (kind_of(config.device).own_mbufs_per_queue != 0) out.capabilities.send_pool = pool;
  out.capabilities.udp_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
  out.capabilities.ipv4_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
  out.capabilities.steers_ports =
      queues->control == ControlQueue::own && queues->steering == Steering::rules;
  return out;
}

}  // namespace chaincast::port::ethdev
