// SPDX-License-Identifier: BSD-3-Clause
#include "node/pools.hpp"

#include <fmt/core.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "fanout/copy.hpp"
#include "node/node.hpp"

namespace chaincast::node {

namespace {

constexpr unsigned ring_packets = 1024;     // rx and tx descriptors per queue
constexpr unsigned cache_packets = 256;     // mempool cache per worker
constexpr unsigned control_packets = 6144;  // both mailbox rings of a worker, full
constexpr unsigned margin_packets = 1024;
constexpr size_t mbuf_overhead_bytes = sizeof(rte_mbuf) + 128;  // object header, alignment

}  // namespace

PoolSizes pool_sizes(const Config& config) {
  PoolSizes sizes;
  uint16_t mtu = 1500;
  unsigned queues = 0;
  for (const PortConfig& port : config.ports) {
    mtu = std::max(mtu, port.mtu_bytes);
    queues += 2 * config.node.workers;
  }
  const unsigned peers = static_cast<unsigned>(std::max<size_t>(config.peers.size(), 4));
  const unsigned queued = std::min(peers * 256, 65'536u);
  // Not below DPDK's usual room: devices ask for it whatever the MTU (net_af_packet's frames).
  sizes.payload_data_room = std::max<uint16_t>(
      RTE_MBUF_DEFAULT_BUF_SIZE, static_cast<uint16_t>(RTE_PKTMBUF_HEADROOM + 256 + mtu));
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
  return sizes.payloads * (sizes.payload_data_room + mbuf_overhead_bytes) +
         sizes.headers * (fanout::header_data_room_bytes + mbuf_overhead_bytes);
}

Result<Pools> create_pools(const Config& config, const void* owner) {
  const PoolSizes sizes = pool_sizes(config);
  const std::string name = fmt::format("{:x}", reinterpret_cast<uintptr_t>(owner));
  Pools pools;
  pools.payloads = rte_pktmbuf_pool_create(("p" + name).c_str(), sizes.payloads, cache_packets, 0,
                                           sizes.payload_data_room, SOCKET_ID_ANY);
  pools.headers = rte_pktmbuf_pool_create(("h" + name).c_str(), sizes.headers, 512, 0,
                                          fanout::header_data_room_bytes, SOCKET_ID_ANY);
  if (pools.payloads != nullptr && pools.headers != nullptr) return pools;
  rte_mempool_free(pools.payloads);
  rte_mempool_free(pools.headers);
  return error(ErrorCode::refused,
               fmt::format("node {}: no memory for packet buffers ({} MiB wanted); reserve more "
                           "hugepages, raise [node] memory_mb or lower pool_mbufs",
                           config.node.name, pool_memory_bytes(config) >> 20));
}

}  // namespace chaincast::node
