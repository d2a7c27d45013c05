// SPDX-License-Identifier: BSD-3-Clause
#include "support/eal.hpp"

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/assert.hpp"

namespace chaincast::test {

const base::ThreadStarter& ensure_eal() {
  static const base::ThreadStarter starter;
  static const bool started = [] {
    std::vector<std::string> words = {"test",
                                      "--no-huge",
                                      "--no-shconf",
                                      "--no-pci",
                                      "-m",
                                      "1024",
                                      "--no-telemetry",
                                      "--log-level",
                                      "error",
                                      "--file-prefix",
                                      "cctest" + std::to_string(getpid())};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    CC_ASSERT(rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0);
    return true;
  }();
  CC_ASSERT(started);
  return starter;
}

rte_mempool* make_pool(unsigned count, uint16_t data_room) {
  static std::atomic<unsigned> serial{0};
  ensure_eal();
  const std::string name = "test" + std::to_string(serial.fetch_add(1));
  rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), count, 0, 0, data_room, SOCKET_ID_ANY);
  CC_ASSERT(pool != nullptr);
  return pool;
}

}  // namespace chaincast::test
