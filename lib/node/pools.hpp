// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "node/config.hpp"

// The packet buffers of one node: how many, how large, where, and why (docs/architecture.md).
namespace chaincast::node {

struct PoolSizes {
  unsigned payloads = 0;           // rx rings, tx rings, peers' queues, bundles, caches, margin
  unsigned headers = 0;            // one per copy under way
  uint16_t payload_data_room = 0;  // covers the largest port MTU in one segment
};
PoolSizes pool_sizes(const Config& config);

// Control thread only. Workers allocate from the pools and free into them.
class Pools {
 public:
  using Warn = std::function<void(const std::string&)>;

  Pools() = default;
  Pools(const Pools&) = delete;
  Pools& operator=(const Pools&) = delete;
  // Every buffer is back by then: workers and ports are gone.
  ~Pools();

  // The two pools of the node. `refused` names the memory wanted and the remedy.
  Status create(const Config& config, Warn warn);
  rte_mempool* payloads() const { return payloads_; }
  rte_mempool* headers() const { return headers_; }

  // Where a port receives: into the node's pool; into one on the NUMA node of its device (-1:
  // unknown) where that is another one than the pool's, or, with one warning, into the node's pool
  // where that memory cannot be had; into a pool of its own where its kind wants that.
  Result<rte_mempool*> of_port(const Config& config, const PortConfig& port, unsigned queues,
                               int numa_node);
  // The port is gone. A pool of its own is freed once other ports have sent what came from it.
  void release(rte_mempool* pool);
  // Frees what has come home. Cheap where nothing is awaited.
  void sweep();

  struct Row {
    std::string name;
    const rte_mempool* pool;
  };
  std::vector<Row> rows() const;

 private:
  rte_mempool* local_to(const Config& config, int numa_node);
  std::string next_name(const char* kind);

  int home_ = -1;  // NUMA node of the node's own pools
  rte_mempool* payloads_ = nullptr;
  rte_mempool* headers_ = nullptr;
  std::map<int, rte_mempool*> local_;        // by NUMA node; the node's own where none was had
  std::map<std::string, rte_mempool*> own_;  // by port
  std::vector<rte_mempool*> leaving_;
  Warn warn_;
  unsigned made_ = 0;
};

}  // namespace chaincast::node
