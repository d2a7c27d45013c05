// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <functional>
#include <string>
#include <thread>

#include "base/result.hpp"

namespace chaincast::base {

// Starts every thread of the process. DPDK pins the thread that calls rte_eal_init, and whatever
// that thread starts afterwards inherits its polling core; so the affinity is saved before EAL
// starts, and each thread gets it back unless it asks for one cpu.
//
// Owner: the program's main (one per process, made before rte_eal_init); nodes hold a reference.
// Threads: start() from any thread.
class ThreadStarter {
 public:
  // Saves the calling thread's affinity.
  ThreadStarter();

  // A thread on the saved affinity. `name` is cut to 15 characters.
  std::jthread start(const std::string& name, std::function<void(std::stop_token)> body) const;
  // A thread on one cpu. Fails with `refused` if the saved affinity lacks it.
  Result<std::jthread> start_pinned(const std::string& name, int cpu,
                                    std::function<void(std::stop_token)> body) const;

  // Gives the calling thread the affinity that start() gives.
  void settle_here() const;

  const cpu_set_t& saved_affinity() const { return saved_; }
  // The saved affinity without `cpus`: what service threads get once workers own cores. If that
  // would leave nothing (a one-core box), the whole saved set is kept.
  void reserve(const cpu_set_t& cpus);

 private:
  cpu_set_t saved_;
  cpu_set_t service_;
};

}  // namespace chaincast::base
