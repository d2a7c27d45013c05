// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crypto/crypto.hpp"
#include "node/line.hpp"
#include "port/port.hpp"
#include "rcu/rcu.hpp"
#include "rig/relay.hpp"
#include "worker/worker.hpp"

// The product's data plane as node::Node makes it: workers with their lines over ports, and a plane
// that is filled by hand where control would: neighbours that send, peers that receive. Default
// policy: link checks on, no rate limit, queues of 1,024 packets. What delivers to local
// subscribers reads windows on another core and is not part of it.
//
// Made and torn down by one thread; worker w is stepped by one thread at a time.
namespace chaincast::bench {

struct ProductConfig {
  std::vector<port::Port*> rx;  // of each worker, queue 0; borrowed
  port::Port* tx = nullptr;     // of all, may be one of those; borrowed
  std::vector<port::Mac> rx_macs;
  port::Mac tx_mac{};
  unsigned workers = 1;
  unsigned neighbours = 1;
  unsigned fanout = 1;
  uint16_t datagram_bytes = 0;  // what paths to the peers carry, from the hop header on
  bool is_plain = false;        // no cryptography of frames
  Endpoint own;                 // address and base UDP port that arrivals go to
  Endpoint peers_first;         // of peer 0; the others follow
  bool has_peer_ports = false;  // peers differ in their UDP ports, not in addresses
};

inline constexpr uint16_t udp_port = 7000;
// Address `number` of a group of benchmark addresses: 10.group.x.y.
Endpoint bench_endpoint(uint8_t group, unsigned number);

std::unique_ptr<crypto::FrameEngine> make_frame_engine(bool is_plain);

class Product {
 public:
  // Borrowed: pools.
  Product(const ProductConfig& config, rte_mempool* headers, rte_mempool* payloads);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  node::Plane& plane() { return plane_; }
  worker::Worker& worker(unsigned number) { return *workers_[number]; }
  rcu::Retirer& retirer() { return retirer_; }
  void add_stream(std::shared_ptr<stream::Stream> stream);
  // Publishes the peers anew, `fanout` of them: those that were there stay as they are.
  void set_fanout(unsigned fanout);

  // The next datagram of a neighbour's lane to worker w, as it comes in: `frames` back to back,
  // `count` of them. From `pool`.
  rte_mbuf* stamp(unsigned neighbour, unsigned worker, std::span<const uint8_t> frames,
                  unsigned count, rte_mempool* pool);

  // Sums over the workers. Copies: frames that ports took.
  uint64_t frames() const;
  uint64_t kept() const;
  uint64_t copies() const;
  uint64_t dropped(stage::Drop reason) const;
  // Drops by name but for duplicates and `except`; empty where there are none.
  std::string losses(std::span<const stage::Drop> except = {}) const;
  // What is wrong with a packet that was sent to one of the peers: addresses, UDP checksum, link
  // check by libcrypto. Empty: nothing. Its frames, from the hop header on, in `datagram`.
  std::string check_packet(ByteSpan packet, ByteSpan& datagram) const;

 private:
  struct Way {
    std::unique_ptr<hop::RxLane> lane;
    port::Destination to;  // from the neighbour to us
    uint64_t counter = 0;
  };
  void add_neighbour(unsigned number);
  fanout::Peer make_peer(uint32_t number);
  Endpoint peer_endpoint(uint32_t number) const;

  const ProductConfig config_;
  node::Plane plane_;
  rcu::Retirer retirer_;
  std::vector<fanout::Peer> gone_;      // workers may still have packets for them
  std::vector<std::vector<Way>> ways_;  // [neighbour][worker]
  std::vector<std::unique_ptr<node::Line>> lines_;
  std::vector<std::unique_ptr<worker::Worker>> workers_;
};

}  // namespace chaincast::bench
