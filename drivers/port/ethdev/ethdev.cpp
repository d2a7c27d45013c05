// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/ethdev.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "port/ethdev/device.hpp"
#include "port/ethdev/queue.hpp"

namespace chaincast::port {

namespace {

using ethdev::Context;
using ethdev::Device;
using ethdev::Queue;
using ethdev::Setup;

constexpr unsigned control_burst = 64;  // packets per queue and call
// Workers do not wake control when they have handed it packets.
constexpr TimeNs control_interval_ns = 2 * ns_per_ms;

NeighbourConfig neighbour_config(const EthdevConfig& config, const Mac& mac) {
  NeighbourConfig out;
  out.mac = mac;
  out.vlan = config.vlan;
  out.addresses = config.addresses;
  out.gateway_v4 = config.gateway_v4;
  out.gateway_v6 = config.gateway_v6;
  return out;
}

class EthdevPort final : public Port {
 public:
  EthdevPort(const EthdevConfig& config, Device device, const Setup& setup, const Mac& mac,
             rte_mempool* pool)
      : config_(config),
        pool_(pool),
        device_(std::move(device)),
        capabilities_(setup.capabilities),
        mac_(mac),
        neighbours_(neighbour_config(config, mac)),
        queues_(std::max(capabilities_.rx_queues, capabilities_.tx_queues)) {
    context_.device = device_.id();
    context_.port_id = config.id;
    context_.is_edge = config.role == Role::edge;
    context_.pool = pool;
    Local& local = context_.local;
    local.mac = mac;
    local.vlan = config.vlan;
    local.udp_port = config.udp_port;
    local.udp_port_count = config.udp_port_count;
    for (const InterfaceAddress& own : config.addresses) {
      local.addresses[local.address_count++] = own.address;
    }
  }

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    CC_ASSERT(queue < capabilities_.rx_queues);
    return queues_[queue].receive(context_, static_cast<uint16_t>(queue), out, max, drops);
  }
  unsigned transmit(unsigned queue, const Destination&, rte_mbuf** packets,
                    unsigned count) noexcept override {
    CC_ASSERT(queue < capabilities_.tx_queues);
    return queues_[queue].transmit(context_, static_cast<uint16_t>(queue), packets, count);
  }
  void tick(unsigned queue, TimeNs) noexcept override {
    if (queue < capabilities_.tx_queues) {
      queues_[queue].tick(context_, static_cast<uint16_t>(queue));
    }
  }

  Info info() const override;
  Capabilities capabilities() const override { return capabilities_; }
  Counters counters() const override;
  std::vector<std::pair<std::string, uint64_t>> extended_counters() const override;
  Result<Destination> destination(const Endpoint& remote, uint16_t local_port) override;
  uint64_t destinations_version() const override { return neighbours_.version(); }
  TimeNs control(TimeNs now_ns) override;
  Status start() override;
  void stop() override;
  int wait_fd(unsigned) const override { return -1; }

 private:
  void send(Frames& frames);

  const EthdevConfig config_;
  rte_mempool* const pool_;
  Device device_;
  const Capabilities capabilities_;
  const Mac mac_;
  Context context_;
  Neighbours neighbours_;  // control
  std::vector<Queue> queues_;
  bool is_started_ = true;
  TimeNs now_ns_ = 0;
  uint64_t frames_lost_ = 0;  // control's frames without buffer or place
};

Info EthdevPort::info() const {
  Info out;
  out.name = config_.name;
  out.driver = device_.info().driver_name;
  out.device = config_.device;
  out.id = config_.id;
  out.role = config_.role;
  out.numa_node = rte_eth_dev_socket_id(device_.id());
  out.udp_port = config_.udp_port;
  out.mac = mac_text(mac_);
  for (const InterfaceAddress& own : config_.addresses) {
    out.addresses.push_back(own.address);
    out.addresses.back().port = config_.udp_port;
  }
  rte_eth_link link{};
  const bool is_known = rte_eth_link_get_nowait(device_.id(), &link) == 0;
  out.is_up = is_started_ && is_known && link.link_status == RTE_ETH_LINK_UP;
  const NeighbourCounters& answers = neighbours_.counters();
  out.details = {
      {"link", is_known && link.link_status == RTE_ETH_LINK_UP ? "up" : "down"},
      {"speed_mbps", std::to_string(is_known ? link.link_speed : 0)},
      {"arp_answered", std::to_string(answers.answered_arp)},
      {"ndp_answered", std::to_string(answers.answered_ndp)},
      {"echo_answered", std::to_string(answers.answered_echo)},
      {"address_conflicts", std::to_string(answers.conflicts)},
      {"control_frames_lost", std::to_string(frames_lost_)},
      {"neighbours", std::to_string(neighbours_.entries().size())},
  };
  return out;
}

Counters EthdevPort::counters() const {
  Counters out;
  for (const Queue& queue : queues_) {
    out.rx_packets += queue.rx_packets.read();
    out.rx_bytes += queue.rx_bytes.read();
    out.tx_packets += queue.tx_packets.read();
    out.tx_bytes += queue.tx_bytes.read();
    out.tx_full += queue.tx_full.read();
  }
  rte_eth_stats stats{};
  if (rte_eth_stats_get(device_.id(), &stats) == 0) {
    out.rx_missed = stats.imissed + stats.rx_nombuf;
    out.tx_failed = stats.oerrors;
  }
  return out;
}

std::vector<std::pair<std::string, uint64_t>> EthdevPort::extended_counters() const {
  std::vector<std::pair<std::string, uint64_t>> out;
  const int count = rte_eth_xstats_get(device_.id(), nullptr, 0);
  if (count <= 0) return out;
  const auto size = static_cast<unsigned>(count);
  std::vector<rte_eth_xstat> values(size);
  std::vector<rte_eth_xstat_name> names(size);
  if (rte_eth_xstats_get(device_.id(), values.data(), size) != count ||
      rte_eth_xstats_get_names(device_.id(), names.data(), size) != count) {
    return out;
  }
  for (unsigned i = 0; i < size; ++i) {
    if (values[i].id < size) out.emplace_back(names[values[i].id].name, values[i].value);
  }
  return out;
}

Result<Destination> EthdevPort::destination(const Endpoint& remote, uint16_t local_port) {
  Frames frames;
  const NextHop hop = neighbours_.resolve(remote, now_ns_, frames);
  send(frames);
  const std::string what = fmt::format("port '{}' cannot reach {}", config_.name, to_text(remote));
  switch (hop.reach) {
    case Reach::resolved:
      break;
    case Reach::unresolved:
      return error(ErrorCode::not_found,
                   fmt::format("{}: next hop {} has not answered {}; check cable, VLAN and the "
                               "other end's address",
                               what, address_text(hop.neighbour),
                               remote.is_ipv6 ? "neighbour solicitation" : "ARP"));
    case Reach::no_address:
      return error(ErrorCode::refused, fmt::format("{}: it has no {} address; give it one", what,
                                                   remote.is_ipv6 ? "IPv6" : "IPv4"));
    case Reach::no_route:
      return error(ErrorCode::refused,
                   fmt::format("{}: not on its link and no {} gateway; add one to gateway, or "
                               "correct the prefix length in ip",
                               what, remote.is_ipv6 ? "IPv6" : "IPv4"));
    case Reach::full:
      return error(ErrorCode::refused, fmt::format("{}: its neighbour table is full ({} entries)",
                                                   what, neighbours_.entries().size()));
  }
  HeaderFields fields;
  fields.source_mac = mac_;
  fields.destination_mac = hop.mac;
  fields.vlan = config_.vlan;
  fields.source = hop.source;
  fields.source.port = local_port;
  fields.remote = remote;
  return make_destination(fields);
}

TimeNs EthdevPort::control(TimeNs now_ns) {
  now_ns_ = now_ns;
  Frames frames;
  for (uint16_t i = 0; i < capabilities_.rx_queues; ++i) {
    rte_mbuf* mbuf = nullptr;
    for (unsigned n = 0; n < control_burst && queues_[i].to_control.pop(mbuf); ++n) {
      const ByteSpan frame(rte_pktmbuf_mtod(mbuf, const uint8_t*), mbuf->data_len);
      neighbours_.receive(frame, parse_headers(frame, ethdev::hints_of(mbuf)), now_ns, frames);
      rte_pktmbuf_free(mbuf);
    }
  }
  neighbours_.tick(now_ns, frames);
  send(frames);
  return now_ns + control_interval_ns;
}

// Hands frames to the worker of queue 0.
void EthdevPort::send(Frames& frames) {
  for (const Bytes& frame : frames) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    char* room = nullptr;
    if (mbuf != nullptr) room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
    if (room != nullptr) {
      std::memcpy(room, frame.data(), frame.size());
      if (queues_[0].from_control.push(std::move(mbuf))) continue;
    }
    rte_pktmbuf_free(mbuf);
    ++frames_lost_;
  }
  frames.clear();
}

Status EthdevPort::start() {
  if (is_started_) return {};
  const int result = rte_eth_dev_start(device_.id());
  if (result != 0) {
    return error(ErrorCode::io, fmt::format("port '{}': device '{}' does not start ({}); see EAL's "
                                            "messages above",
                                            config_.name, config_.device, strerror(-result)));
  }
  // Some drivers forget flow rules when they stop.
  if (capabilities_.rx_queues > 1 &&
      !ethdev::steer_ports(device_.id(), config_, capabilities_.rx_queues)) {
    rte_eth_dev_stop(device_.id());
    return error(ErrorCode::io, fmt::format("port '{}': device '{}' no longer steers UDP ports; "
                                            "attach it again",
                                            config_.name, config_.device));
  }
  is_started_ = true;
  return {};
}

void EthdevPort::stop() {
  if (!is_started_) return;
  rte_flow_error failure{};
  if (capabilities_.rx_queues > 1) rte_flow_flush(device_.id(), &failure);
  rte_eth_dev_stop(device_.id());
  is_started_ = false;
}

Status check(const EthdevConfig& config) {
  if (config.addresses.size() > own_addresses_max) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}' has {} addresses; give it at most {}", config.name,
                             config.addresses.size(), own_addresses_max));
  }
  const unsigned last_port = unsigned{config.udp_port} + config.udp_port_count - 1;
  if (config.queues == 0 || config.udp_port_count == 0 || last_port > 65535) {
    return error(
        ErrorCode::invalid,
        fmt::format("port '{}': needs at least one queue and UDP ports in 1..65535, has {} "
                    "queues and ports {}..{}",
                    config.name, config.queues, config.udp_port, last_port));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Port>> make_ethdev(const EthdevConfig& config, rte_mempool* pool) {
  if (Status checked = check(config); !checked.ok()) return checked.error();
  if (Status usable = ethdev::diagnose(config); !usable.ok()) return usable.error();
  Result<Device> device = Device::attach(config);
  if (!device.ok()) return device.error();
  Result<Setup> setup = ethdev::set_up(config, device.value(), pool);
  if (!setup.ok()) return setup.error();
  rte_ether_addr address{};
  rte_eth_macaddr_get(device->id(), &address);
  Mac mac;
  std::copy(std::begin(address.addr_bytes), std::end(address.addr_bytes), mac.begin());
  auto port =
      std::make_unique<EthdevPort>(config, std::move(device).value(), setup.value(), mac, pool);
  port->stop();
  return std::unique_ptr<Port>(std::move(port));
}

}  // namespace chaincast::port
