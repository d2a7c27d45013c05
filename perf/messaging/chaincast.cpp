// SPDX-License-Identifier: BSD-3-Clause
#include <rte_ethdev.h>

#include <ctime>

#include "base/assert.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "fanout/copy.hpp"
#include "messaging/messaging.hpp"
#include "node/pools.hpp"
#include "port/ethdev/ethdev.hpp"
#include "port/udp/udp.hpp"
#include "rig/device.hpp"
#include "rig/machine.hpp"
#include "rig/origin.hpp"
#include "rig/product.hpp"

namespace chaincast::bench::messaging {

namespace {

constexpr size_t set_bytes = size_t{128} << 20;  // that the arrivals take
constexpr unsigned turns_quiet_max = 2000;       // without a packet moved, when nothing comes

// The processor's time that this thread has had, the kernel's work for it included.
TimeNs cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<TimeNs>(t.tv_sec) * ns_per_s + static_cast<TimeNs>(t.tv_nsec);
}

// Of the port's own where the product gives it one.
rte_mempool* pool_of(const Job& job, node::Pools& pools, rte_mempool* otherwise) {
  if (job.device.empty()) return otherwise;
  node::PortConfig config;
  config.name = "out";
  config.driver = node::PortDriver::ethdev;
  config.device = job.device;
  config.mtu_bytes = 1500;
  auto made = pools.of_port({}, config, 1, -1);
  if (!made.ok()) throw std::runtime_error(made.error().message);
  return *made != nullptr ? *made : otherwise;
}

std::unique_ptr<port::Port> make_port(const Job& job, rte_mempool* pool) {
  Endpoint own;
  own.address = {127, 0, 0, 1};
  if (job.device.empty()) {
    port::UdpConfig config;
    config.name = "out";
    config.addresses = {own};
    config.udp_port = static_cast<uint16_t>(job.port - 1);
    config.mtu_bytes = 1500;
    auto made = port::make_udp(config, pool);
    CC_ASSERT(made.ok());
    return std::move(made).value();
  }
  port::EthdevConfig config;
  config.name = "out";
  config.device = job.device;
  config.addresses = {{bench_endpoint(0, 0), 16}};
  config.udp_port = udp_port;
  auto made = port::make_ethdev(config, pool);
  if (!made.ok()) throw std::runtime_error(made.error().message);
  return std::move(made).value();
}

struct Setup {
  node::Pools pools;
  rte_mempool* packets;
  rte_mempool* headers;
  std::unique_ptr<Device> source;
  std::unique_ptr<port::Port> out;
  std::unique_ptr<Product> product;
  std::unique_ptr<crypto::FrameEngine> sealing = make_frame_engine(false);
  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  std::unique_ptr<Origin> origin;
};

ProductConfig product_config(const Job& job, const Setup& setup) {
  ProductConfig out;
  out.rx = {&setup.source->port()};
  out.rx_macs = {setup.source->mac()};
  out.tx = setup.out.get();
  out.tx_mac = {2, 0, 0, 0, 0, 1};
  out.fanout = job.fanout;
  out.datagram_bytes = 1472;
  out.own = bench_endpoint(0, 0);
  out.has_peer_ports = job.device.empty();
  out.peers_first.address = {127, 0, 0, 1};
  out.peers_first.port = job.port;
  return out;
}

void prepare(const Job& job, Setup& setup) {
  std::vector<rte_mbuf*> arrivals;
  std::vector<uint8_t> frame(wire::frame_header_bytes + job.payload_bytes);
  for (size_t bytes = 0; bytes < set_bytes; bytes += frame.size() + 256) {
    setup.origin->seal_next(frame.data(), static_cast<uint16_t>(job.payload_bytes));
    arrivals.push_back(setup.product->stamp(0, 0, frame, 1, setup.packets));
  }
  setup.source->offer(std::move(arrivals));
}

}  // namespace

Json send_chaincast(const Job& job) {
  EalOptions eal;
  eal.cpu = job.cpu;
  eal.memory_mb = 768;
  start_eal(eal);
  rcu::Reader reader;
  Setup setup;
  setup.packets = make_pool("packets", 131'071, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
  setup.headers = make_pool("headers", 65'535, 512, fanout::header_data_room_bytes);
  setup.source = std::make_unique<Device>(
      DeviceConfig{"net_null0", setup.packets, 1500, bench_endpoint(0, 0)});
  setup.out = make_port(job, pool_of(job, setup.pools, setup.packets));
  CC_ASSERT(setup.out->start().ok());
  setup.product =
      std::make_unique<Product>(product_config(job, setup), setup.headers, setup.packets);
  setup.origin = std::make_unique<Origin>(
      *setup.toolbox, *setup.sealing,
      OriginConfig{wire::Suite::sha256_gmac, static_cast<uint16_t>(job.payload_bytes)});
  setup.product->add_stream(setup.origin->stream(*setup.sealing));
  prepare(job, setup);
  setup.source->stop_offering_after(uint64_t{job.ms} * rte_get_tsc_hz() / 1000);
  const MonotonicClock clock;
  const TimeNs start = clock.now_ns();
  const TimeNs used = cpu_ns();
  TimeNs last = start;
  for (unsigned quiet = 0; quiet < turns_quiet_max;) {
    const TimeNs now = clock.now_ns();
    const unsigned moved = setup.product->worker(0).step(now);
    if (moved > 0) last = now;
    quiet = moved > 0 || !setup.source->is_over() ? 0 : quiet + 1;
    reader.quiescent();
  }
  const Json out = {{"sent", setup.product->copies()},
                    {"frames", setup.product->kept()},
                    {"ns", last - start},
                    {"cpu_ns", cpu_ns() - used},
                    {"refused", setup.product->losses()}};
  setup.source->drop_rest();
  setup.product.reset();
  setup.out->stop();
  return out;
}

}  // namespace chaincast::bench::messaging
