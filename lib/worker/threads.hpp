// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "base/thread.hpp"

// The threads that workers run on: all that a worker knows of the process it is in.
namespace chaincast::worker {

// Returns soon after its token is stopped.
using Body = std::function<void(std::stop_token)>;

// A body that runs. Destruction stops its token and waits until it has returned.
class Run {
 public:
  virtual ~Run() = default;
};

// Each body gets a thread that DPDK knows as an lcore, so that mempools' caches work. Outlives what
// it has started. Control thread.
class Threads {
 public:
  virtual ~Threads() = default;
  // Runs `body` on `cpu` alone, or on all cpus that the process may use if cpu < 0. Fails with
  // `refused` if it may not use that one, or where lcores are used up.
  virtual Result<std::unique_ptr<Run>> start(const std::string& name, int cpu, Body body) = 0;
};

// Threads of their own, which DPDK learns of when they start: as many as wanted, for any number of
// nodes, at any time. The price is that no secondary process can attach to this one any more
// (docs/decisions/0005-threads-of-workers.md). `starter` outlives the result.
std::unique_ptr<Threads> make_registered_threads(const base::ThreadStarter& starter);

}  // namespace chaincast::worker
