// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

namespace chaincast::fanout {

// Buffers that are free beside those in the threads' caches. Any thread; one load, where
// rte_mempool_avail_count() reads every cache.
inline unsigned free_outside_caches(const rte_mempool* pool) noexcept {
  return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

}  // namespace chaincast::fanout
