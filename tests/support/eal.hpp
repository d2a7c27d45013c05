// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include "base/thread.hpp"

// EAL for tests: no hugepages, no shared configuration, no PCI, no privileges.
namespace chaincast::test {

// Starts EAL once per process (a --file-prefix per process). Returns the thread starter made
// before it, so tests start threads as the product does.
const base::ThreadStarter& ensure_eal();

// A packet pool with a unique name, freed by the caller with rte_mempool_free.
rte_mempool* make_pool(unsigned count = 4095, uint16_t data_room = 2176);

}  // namespace chaincast::test
