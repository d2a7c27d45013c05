// SPDX-License-Identifier: BSD-3-Clause
#include "node/pools.hpp"

#include <fmt/core.h>
#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <algorithm>

#include "fanout/copy.hpp"
#include "node/node.hpp"
#include "port/kinds.hpp"

namespace chaincast::node {

namespace {

constexpr unsigned ring_packets = 1024;     // rx and tx descriptors per queue
constexpr unsigned cache_packets = 256;     // mempool cache per worker
constexpr unsigned control_packets = 6144;  // both mailbox rings of a worker, full
constexpr unsigned margin_packets = 1024;
constexpr size_t mbuf_overhead_bytes = sizeof(rte_mbuf) + 128;  // object header, alignment

// A NIC gets a queue more, for control; virtual devices do not, or hold no buffers in it.
unsigned queues_of(const Config& config, const PortConfig& port) {
  const bool is_nic =
      port.driver == PortDriver::ethdev && port::kind_of(port.device).driver.empty();
  return port.queues != 0 ? port.queues : config.node.workers + (is_nic ? 1 : 0);
}

bool has_own_pool(const PortConfig& port) {
  return port::kind_of(port.device).own_mbufs_per_queue != 0;
}

unsigned own_mbufs(const PortConfig& port, unsigned queues) {
  return port::kind_of(port.device).own_mbufs_per_queue * queues;
}

// As rte_pktmbuf_pool_create, but objects lie back to back: a driver that maps the pool's memory
// for a device wants each within a page, and no padding between them.
rte_mempool* create_dense(const std::string& name, unsigned count, uint16_t data_room, int socket) {
  rte_mempool* pool = rte_mempool_create_empty(
      name.c_str(), count, static_cast<unsigned>(sizeof(rte_mbuf)) + data_room, cache_packets,
      sizeof(rte_pktmbuf_pool_private), socket, RTE_MEMPOOL_F_NO_SPREAD);
  if (pool == nullptr) return nullptr;
  rte_pktmbuf_pool_private room{};
  room.mbuf_data_room_size = data_room;
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_init(pool, &room);
  if (rte_mempool_populate_default(pool) < 0) {
    rte_mempool_free(pool);
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

// Link partners that a member accepts unless connectivity hangs on more.
unsigned partners_max(const MembershipConfig& membership) {
  if (!membership.address) return 0;
  graph::MemberConfig member;
  if (membership.degree != 0) member.set_degree(membership.degree);
  return member.links_max;
}

}  // namespace

PoolSizes pool_sizes(const Config& config) {
  PoolSizes sizes;
  // Not below DPDK's usual room: devices ask for it whatever the MTU.
  sizes.payload_data_room =
      std::max<uint16_t>(RTE_MBUF_DEFAULT_BUF_SIZE, RTE_PKTMBUF_HEADROOM + 256 + RTE_ETHER_MTU);
  unsigned queues = 0;
  for (const PortConfig& port : config.ports) {
    sizes.payload_data_room =
        std::max({sizes.payload_data_room, port::buffer_bytes(port.device, port.mtu_bytes),
                  static_cast<uint16_t>(RTE_PKTMBUF_HEADROOM + 256 + port.mtu_bytes)});
    queues += 2 * std::max(queues_of(config, port), config.node.workers);
  }
  const unsigned peers =
      std::max(static_cast<unsigned>(config.peers.size()) + partners_max(config.membership), 4u);
  const unsigned queued = std::min(peers * 256, 65'536u);
  sizes.payloads = config.node.pool_mbufs != 0
                       ? config.node.pool_mbufs
                       : queues * ring_packets + queued +
                             config.node.workers * (2 * cache_packets + control_packets) +
                             margin_packets;
  sizes.headers = queues * ring_packets + 4 * queued + 4 * margin_packets;
  return sizes;
}

size_t pool_memory_bytes(const Config& config) {
  const PoolSizes sizes = pool_sizes(config);
  size_t bytes = sizes.payloads * (sizes.payload_data_room + mbuf_overhead_bytes) +
                 sizes.headers * (fanout::header_data_room_bytes + mbuf_overhead_bytes);
  for (const PortConfig& port : config.ports) {
    bytes += own_mbufs(port, queues_of(config, port)) *
             (port::buffer_bytes(port.device, port.mtu_bytes) + mbuf_overhead_bytes);
  }
  return bytes;
}

Pools::~Pools() {
  for (const auto& [numa_node, pool] : local_) {
    if (pool != payloads_) rte_mempool_free(pool);
  }
  for (const auto& [port, pool] : own_) rte_mempool_free(pool);
  for (rte_mempool* pool : leaving_) rte_mempool_free(pool);
  rte_mempool_free(headers_);
  rte_mempool_free(payloads_);
}

// Unique in the process, which may hold several nodes.
std::string Pools::next_name(const char* kind) {
  return fmt::format("{}{:x}.{}", kind, reinterpret_cast<uintptr_t>(this) & 0xffff'ffff'ffff,
                     made_++);
}

Status Pools::create(const Config& config, Warn warn) {
  warn_ = std::move(warn);
  const PoolSizes sizes = pool_sizes(config);
  home_ = static_cast<int>(rte_lcore_to_socket_id(rte_get_main_lcore()));
  payloads_ = rte_pktmbuf_pool_create(next_name("p").c_str(), sizes.payloads, cache_packets, 0,
                                      sizes.payload_data_room, home_);
  if (payloads_ == nullptr) {
    home_ = SOCKET_ID_ANY;
    payloads_ = rte_pktmbuf_pool_create(next_name("p").c_str(), sizes.payloads, cache_packets, 0,
                                        sizes.payload_data_room, SOCKET_ID_ANY);
  }
  headers_ = rte_pktmbuf_pool_create(next_name("h").c_str(), sizes.headers, 512, 0,
                                     fanout::header_data_room_bytes, SOCKET_ID_ANY);
  if (payloads_ != nullptr && headers_ != nullptr) return {};
  return error(ErrorCode::refused,
               fmt::format("node {}: no memory for packet buffers ({} MiB wanted); reserve more "
                           "hugepages, raise [node] memory_mb or lower pool_mbufs",
                           config.node.name, pool_memory_bytes(config) >> 20));
}

Result<rte_mempool*> Pools::of_port(const Config& config, const PortConfig& port, unsigned queues,
                                    int numa_node) {
  if (!has_own_pool(port)) return local_to(config, numa_node);
  const unsigned count = own_mbufs(port, queues);
  rte_mempool* pool =
      create_dense(next_name("o"), count, port::buffer_bytes(port.device, port.mtu_bytes),
                   numa_node < 0 ? SOCKET_ID_ANY : numa_node);
  if (pool == nullptr) {
    return error(ErrorCode::refused,
                 fmt::format("port {}: no memory for the {} packet buffers of its own that {} "
                             "wants; reserve more hugepages, raise [node] memory_mb, or name the "
                             "port in the configuration that the node starts with",
                             port.name, count, port::kind_of(port.device).driver));
  }
  own_[port.name] = pool;
  return pool;
}

rte_mempool* Pools::local_to(const Config& config, int numa_node) {
  if (numa_node < 0 || numa_node == home_) return payloads_;
  const auto known = local_.find(numa_node);
  if (known != local_.end()) return known->second;
  const PoolSizes sizes = pool_sizes(config);
  rte_mempool* pool = rte_pktmbuf_pool_create(next_name("n").c_str(), sizes.payloads, cache_packets,
                                              0, sizes.payload_data_room, numa_node);
  if (pool == nullptr) {
    warn_(
        fmt::format("no memory for packet buffers on NUMA node {}: its ports use those of another "
                    "node and are slower; reserve hugepages there",
                    numa_node));
    pool = payloads_;
  }
  local_[numa_node] = pool;
  return pool;
}

void Pools::release(rte_mempool* pool) {
  for (auto it = own_.begin(); it != own_.end(); ++it) {
    if (it->second != pool) continue;
    leaving_.push_back(pool);
    own_.erase(it);
    break;
  }
  sweep();
}

void Pools::sweep() {
  std::erase_if(leaving_, [](rte_mempool* pool) {
    if (rte_mempool_full(pool) == 0) return false;
    rte_mempool_free(pool);
    return true;
  });
}

std::vector<Pools::Row> Pools::rows() const {
  std::vector<Row> out = {{"payloads", payloads_}, {"headers", headers_}};
  for (const auto& [numa_node, pool] : local_) {
    if (pool != payloads_)
      out.push_back({fmt::format("payloads on NUMA node {}", numa_node), pool});
  }
  for (const auto& [port, pool] : own_) out.push_back({fmt::format("port {}", port), pool});
  return out;
}

}  // namespace chaincast::node
