// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "worker/threads.hpp"

// Workers on EAL's own lcores, which leave DPDK's multi-process support on: one set per process,
// made when EAL starts.
namespace chaincast::eal {

// What EAL needs to know of the workers before it starts.
struct WorkerCpus {
  unsigned workers = 0;
  std::vector<unsigned> cpus;  // one for each, or empty: they float
  cpu_set_t allowed{};         // that the process may use
};

// The EAL options that make an lcore for each worker, on its cpu or on all that are allowed, and a
// main lcore on all allowed cpus but the workers' (on all, if that leaves none). An lcore's number
// is its cpu's where it has one cpu. Empty where a worker's cpu is not allowed, or they are too
// many. Pure.
std::vector<std::string> lcore_options(const WorkerCpus& wanted);

// Whether EAL, which runs, has an idle lcore for each worker.
bool has_lcores(const WorkerCpus& wanted);

// Runs bodies on these lcores; each start() takes one that is idle and has just those cpus.
// Control thread; a body's end is waited for without sleeping.
std::unique_ptr<worker::Threads> make_lcore_threads(const WorkerCpus& wanted);

}  // namespace chaincast::eal
