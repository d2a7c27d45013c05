// SPDX-License-Identifier: BSD-3-Clause
#include "rig/machine.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "base/assert.hpp"

namespace chaincast::bench {

void start_eal(const EalOptions& options) {
  const std::string first = std::to_string(options.cpu);
  const std::string second = options.second_cpu < 0 ? "" : "," + std::to_string(options.second_cpu);
  std::vector<std::string> words = {"bench",          "-l",          first + second,
                                    "--main-lcore",   first,         "--no-pci",
                                    "--no-telemetry", "--log-level", "warning"};
  if (options.has_hugepages) {
    words.push_back("--in-memory");
  } else {
    words.insert(words.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(options.memory_mb),
                               "--file-prefix", "ccbench" + std::to_string(getpid())});
  }
  if (options.channels != 0) words.insert(words.end(), {"-n", std::to_string(options.channels)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  CC_ASSERT(rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0);
}

rte_mempool* make_pool(const std::string& name, unsigned count, unsigned cache,
                       uint16_t data_room) {
  rte_mempool* const pool =
      rte_pktmbuf_pool_create(name.c_str(), count, cache, 0, data_room, SOCKET_ID_ANY);
  CC_ASSERT(pool != nullptr);
  return pool;
}

uint64_t steal_ticks() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  uint64_t field = 0;
  file >> cpu;
  for (int i = 0; i < 8; ++i) file >> field;
  return field;
}

uint64_t preemptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<uint64_t>(usage.ru_nivcsw);
}

// With family and model: hypervisors give several generations one name.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::map<std::string, std::string> first;  // of each field
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size()) continue;
    first.emplace(line.substr(0, line.find_last_not_of("\t ", colon - 1) + 1),
                  line.substr(colon + 2));
  }
  return first["model name"] + ", family " + first["cpu family"] + " model " + first["model"];
}

double ns_of_cycles(uint64_t cycles) {
  return static_cast<double>(cycles) * 1e9 / static_cast<double>(rte_get_tsc_hz());
}

Undisturbed::Undisturbed() {
  sched_param first{};
  first.sched_priority = 1;
  sched_setscheduler(0, SCHED_FIFO, &first);
}

Undisturbed::~Undisturbed() {
  const sched_param ordinary{};
  sched_setscheduler(0, SCHED_OTHER, &ordinary);
}

}  // namespace chaincast::bench
