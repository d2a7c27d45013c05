// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include "base/result.hpp"
#include "node/config.hpp"

// The packet buffers of one node: how many, how large, and why (docs/configuration.md).
namespace chaincast::node {

struct PoolSizes {
  unsigned payloads = 0;           // rx rings, tx rings, peers' queues, bundles, caches, margin
  unsigned headers = 0;            // one per copy under way
  uint16_t payload_data_room = 0;  // covers the largest port MTU in one segment
};
PoolSizes pool_sizes(const Config& config);

struct Pools {
  rte_mempool* payloads = nullptr;
  rte_mempool* headers = nullptr;
};
// `owner` makes the names unique in the process. `refused` names the memory wanted and the remedy.
Result<Pools> create_pools(const Config& config, const void* owner);

}  // namespace chaincast::node
