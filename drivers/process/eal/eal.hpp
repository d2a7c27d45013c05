// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "process/eal/lcores.hpp"

// DPDK's environment layer, once per process.
namespace chaincast::eal {

struct Request {
  std::string program;               // argv[0]
  std::vector<std::string> options;  // of the command line, else of the configuration
  std::vector<std::string> pci;      // addresses of the NICs that ports use
  size_t memory_bytes = 0;           // that pools want
  std::string file_prefix;           // separates processes
  WorkerCpus workers;                // of the only node in the process
};

// The options rte_eal_init gets. Where none are given, EAL touches only the NICs that ports use;
// where the host has no free hugepages, those are left out too; `said` explains the choice. Where
// secondary processes may attach, and nobody has chosen lcores, there is one for each worker.
std::vector<std::string> choose_options(const Request& request, size_t free_hugepage_bytes,
                                        std::string& said);
// Whether another process (dpdk-dumpcap, dpdk-proc-info) may attach to one with these options: it
// maps the same files.
bool admits_secondaries(const std::vector<std::string>& options);
// EAL maps hugepages through files of a hugetlbfs.
struct Hugepages {
  size_t free_bytes = 0;     // of all sizes, if this process can get at them
  std::string closed_mount;  // a hugetlbfs that it may not write to, where it has no other
};
Hugepages usable_hugepages();
// What EAL has become.
struct Started {
  std::vector<std::string> said;  // lines for the log
  bool runs_workers = false;      // it has lcores for them, and secondary processes may attach
};
// Starts EAL, and what dpdk-dumpcap asks for in this process. Call base::ThreadStarter before. The
// message names what to do about hugepages, permissions and devices.
Result<Started> start(const Request& request);
// Where the workers of the node run: on those lcores, or on registered threads of `starter`.
std::unique_ptr<worker::Threads> make_worker_threads(const Request& request, const Started& started,
                                                     const base::ThreadStarter& starter);
// Ends EAL, for good: its interrupt thread stands still until the process ends.
void stop();

}  // namespace chaincast::eal
