// SPDX-License-Identifier: BSD-3-Clause
#include "load/cable.hpp"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <stdexcept>

#include "base/assert.hpp"
#include "port/ethdev/ethdev.hpp"
#include "rig/product.hpp"

namespace chaincast::bench::load {

namespace {

struct Far {
  std::unique_ptr<port::Port> port;
  port::Mac mac{};
};

Far make_far(const std::string& device, rte_mempool* pool) {
  port::EthdevConfig config;
  config.name = "far";
  config.device = device;
  config.addresses = {{bench_endpoint(0, 0), 16}};
  config.udp_port = udp_port;
  auto made = port::make_ethdev(config, pool);
  if (!made.ok()) throw std::runtime_error(made.error().message);
  Far out{std::move(made).value()};
  if (const Status started = out.port->start(); !started.ok()) {
    throw std::runtime_error(started.error().message);
  }
  // As the port tells it: net_ring has none, and then the port takes one.
  const std::string text = out.port->info().mac;
  for (size_t i = 0; i < out.mac.size(); ++i) {
    out.mac[i] = static_cast<uint8_t>(std::stoul(text.substr(i * 3, 2), nullptr, 16));
  }
  return out;
}

class RingCable final : public Cable {
 public:
  explicit RingCable(rte_mempool* pool) {
    for (auto& [ring, name] : {std::pair{&in_, "load_in"}, std::pair{&out_, "load_out"}}) {
      *ring = rte_ring_create(name, ring_entries, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
      CC_ASSERT(*ring != nullptr);
    }
    CC_ASSERT(rte_eth_from_rings("load", &in_, 1, &out_, 1, 0) >= 0);
    far_ = make_far("net_ring_load", pool);
  }
  ~RingCable() override {
    far_.port->stop();
    far_.port.reset();
    rte_mbuf* packet = nullptr;
    for (rte_ring* ring : {in_, out_}) {
      while (rte_ring_dequeue(ring, reinterpret_cast<void**>(&packet)) == 0) {
        rte_pktmbuf_free(packet);
      }
      rte_ring_free(ring);
    }
  }
  port::Port& port() override { return *far_.port; }
  const port::Mac& mac() const override { return far_.mac; }
  unsigned send(rte_mbuf** packets, unsigned count) override {
    return rte_ring_enqueue_burst(in_, reinterpret_cast<void**>(packets), count, nullptr);
  }
  unsigned receive(rte_mbuf** packets, unsigned max) override {
    return rte_ring_dequeue_burst(out_, reinterpret_cast<void**>(packets), max, nullptr);
  }

 private:
  rte_ring* in_ = nullptr;
  rte_ring* out_ = nullptr;
  Far far_;
};

class DeviceCable final : public Cable {
 public:
  DeviceCable(const std::string& near, const std::string& far, rte_mempool* pool)
      : far_(make_far(far, pool)) {
    const std::string name = near.substr(0, near.find(','));
    if (rte_dev_probe(near.c_str()) != 0 || rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0) {
      throw std::runtime_error("DPDK cannot probe '" + near + "'");
    }
    const rte_eth_conf conf{};
    CC_ASSERT(rte_eth_dev_configure(id_, 1, 1, &conf) == 0);
    CC_ASSERT(rte_eth_rx_queue_setup(id_, 0, ring_entries, 0, nullptr, pool) == 0);
    CC_ASSERT(rte_eth_tx_queue_setup(id_, 0, ring_entries, 0, nullptr) == 0);
    CC_ASSERT(rte_eth_dev_start(id_) == 0);
    rte_eth_promiscuous_enable(id_);
  }
  ~DeviceCable() override {
    far_.port->stop();
    far_.port.reset();
    rte_eth_dev_info info{};
    const bool is_known = rte_eth_dev_info_get(id_, &info) == 0;
    rte_eth_dev_stop(id_);
    rte_eth_dev_close(id_);
    if (is_known) rte_dev_remove(info.device);
  }
  port::Port& port() override { return *far_.port; }
  const port::Mac& mac() const override { return far_.mac; }
  unsigned send(rte_mbuf** packets, unsigned count) override {
    return rte_eth_tx_burst(id_, 0, packets, static_cast<uint16_t>(count));
  }
  unsigned receive(rte_mbuf** packets, unsigned max) override {
    return rte_eth_rx_burst(id_, 0, packets, static_cast<uint16_t>(max));
  }

 private:
  Far far_;
  uint16_t id_ = 0;
};

}  // namespace

std::unique_ptr<Cable> make_ring_cable(rte_mempool* pool) {
  return std::make_unique<RingCable>(pool);
}

std::unique_ptr<Cable> make_device_cable(const std::string& near, const std::string& far,
                                         rte_mempool* pool) {
  return std::make_unique<DeviceCable>(near, far, pool);
}

}  // namespace chaincast::bench::load
