// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <string>

// What every benchmark needs of the machine: EAL on one cpu, pools, and what the machine did
// meanwhile. One thread, which is EAL's main lcore, as a worker's thread is an EAL thread.
namespace chaincast::bench {

struct EalOptions {
  unsigned cpu = 0;
  unsigned memory_mb = 1024;
  bool has_hugepages = false;  // else ordinary memory
  int second_cpu = -1;         // of a second lcore, if any
  unsigned channels = 0;       // of memory, that pools spread their buffers over; 0: as EAL sees it
};
// Once per process; ends it with EAL's message on failure.
void start_eal(const EalOptions& options);

// A packet pool; aborts where the memory is not to be had.
rte_mempool* make_pool(const std::string& name, unsigned count, unsigned cache, uint16_t data_room);

// Time that the hypervisor took from this machine's cpus, in clock ticks, from /proc/stat.
uint64_t steal_ticks();
// How often the kernel took the cpu from this thread.
uint64_t preemptions();
// As nominated by the kernel: "AMD EPYC ...".
std::string cpu_model();

double ns_of_cycles(uint64_t cycles);

// While it lives, the calling thread is not preempted by ordinary ones, where that is permitted.
class Undisturbed {
 public:
  Undisturbed();
  ~Undisturbed();
  Undisturbed(const Undisturbed&) = delete;
  Undisturbed& operator=(const Undisturbed&) = delete;
};

}  // namespace chaincast::bench
