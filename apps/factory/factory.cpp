// SPDX-License-Identifier: BSD-3-Clause
#include "factory/factory.hpp"

#include <rte_cycles.h>

#include <memory>

#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "port/ethdev/device.hpp"
#include "port/ethdev/ethdev.hpp"
#include "port/link/link.hpp"
#include "port/udp/udp.hpp"
#include "relay/udp/sockets.hpp"
#include "session/tls/tls.hpp"

namespace chaincast::factory {

namespace {

Result<std::unique_ptr<port::Port>> make_udp(const node::PortConfig& config, uint16_t id,
                                             unsigned workers, rte_mempool* pool) {
  port::UdpConfig udp;
  udp.id = id;
  udp.name = config.name;
  udp.role = config.role;
  udp.addresses = {*config.address};
  udp.udp_port = config.address->port;
  udp.queues = static_cast<uint16_t>(config.queues != 0 ? config.queues : workers);
  udp.mtu_bytes = config.mtu_bytes;
  return port::make_udp(udp, pool);
}

Result<std::unique_ptr<port::Port>> make_ethdev(const node::PortConfig& config, uint16_t id,
                                                unsigned workers, rte_mempool* pool) {
  port::EthdevConfig ethdev;
  ethdev.id = id;
  ethdev.name = config.name;
  ethdev.role = config.role;
  ethdev.device = config.device;
  ethdev.members = config.members;
  ethdev.vlan = config.vlan;
  for (const node::InterfaceAddress& ip : config.ip) {
    ethdev.addresses.push_back({ip.address, ip.prefix_bits});
  }
  for (const Endpoint& gateway : config.gateways) {
    (gateway.is_ipv6 ? ethdev.gateway_v6 : ethdev.gateway_v4) = gateway;
  }
  ethdev.udp_port = config.udp_port.value_or(node::udp_port_default);
  ethdev.workers = static_cast<uint16_t>(workers);
  ethdev.queues = static_cast<uint16_t>(config.queues);
  ethdev.mtu_bytes = config.mtu_bytes;
  ethdev.is_promiscuous = config.promisc;
  ethdev.copy = static_cast<port::CopyMode>(config.copy);
  ethdev.checksum = static_cast<port::ChecksumMode>(config.checksum);
  return port::make_ethdev(ethdev, pool);
}

// TSC: no system call on the worker's path.
class TscClock final : public Clock {
 public:
  TimeNs now_ns() const noexcept override {
    return static_cast<TimeNs>(static_cast<double>(rte_rdtsc()) * ns_per_cycle_);
  }

 private:
  const double ns_per_cycle_ = 1e9 / static_cast<double>(rte_get_tsc_hz());
};

Result<std::unique_ptr<port::Port>> impair(std::unique_ptr<port::Port> port,
                                           const node::Impairment& wanted, rte_mempool* pool,
                                           const Clock& clock) {
  port::LinkConfig link;
  link.seed = wanted.seed;
  link.settings.delay_ns = wanted.delay_ms * ns_per_ms;
  link.settings.jitter_ns = wanted.jitter_ms * ns_per_ms;
  link.settings.loss = wanted.loss;
  link.settings.duplication = wanted.duplicate;
  link.settings.reordering = wanted.reorder;
  link.settings.rate_bytes_per_s = wanted.rate_bits_per_s / 8;
  auto made = port::make_link(std::move(port), link, pool, clock);
  if (!made) return made.error();
  return std::unique_ptr<port::Port>(std::move(made).value());
}

Result<std::unique_ptr<port::Port>> make_port(const node::PortConfig& config, uint16_t id,
                                              unsigned workers, rte_mempool* pool,
                                              const Clock& clock) {
  auto port = config.driver == node::PortDriver::udp ? make_udp(config, id, workers, pool)
                                                     : make_ethdev(config, id, workers, pool);
  if (!port || !config.link) return port;
  return impair(std::move(port).value(), *config.link, pool, clock);
}

}  // namespace

node::Environment make_environment(const base::ThreadStarter& threads,
                                   worker::Threads& worker_threads, const crypto::Toolbox& toolbox,
                                   std::function<void(node::LogLevel, const std::string&)> log) {
  const crypto::Toolbox* tools = &toolbox;
  auto make_engine =
      [tools](node::CryptoChoice choice) -> Result<std::unique_ptr<crypto::FrameEngine>> {
    if (choice == node::CryptoChoice::openssl) return tools->reference_engine();
    return crypto::ipsec_mb::make_engine(crypto::openssl::sha256);
  };
  const auto clock = std::make_shared<TscClock>();
  return {threads,
          worker_threads,
          toolbox,
          make_engine,
          [clock](const node::PortConfig& config, uint16_t id, unsigned workers,
                  rte_mempool* pool) { return make_port(config, id, workers, pool, *clock); },
          std::move(log),
          session::tls::make_tls,
          relay::open_sockets,
          [](const node::PortConfig& config) { return port::ethdev::numa_node_of(config.device); }};
}

}  // namespace chaincast::factory
