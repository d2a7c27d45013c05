// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

// DPDK's environment layer, once per process.
namespace chaincast::eal {

struct Request {
  std::string program;               // argv[0]
  std::vector<std::string> options;  // of the command line, else of the configuration
  std::vector<std::string> pci;      // addresses of the NICs that ports use
  size_t memory_bytes = 0;           // that pools want
  std::string file_prefix;           // separates processes
};

// The options rte_eal_init gets. Where none are given, EAL touches only the NICs that ports use;
// where the host has no free hugepages, those are left out too; `said` explains the choice.
std::vector<std::string> choose_options(const Request& request, size_t free_hugepage_bytes,
                                        std::string& said);
// EAL maps hugepages through files of a hugetlbfs.
struct Hugepages {
  size_t free_bytes = 0;     // of all sizes, if this process can get at them
  std::string closed_mount;  // a hugetlbfs that it may not write to, where it has no other
};
Hugepages usable_hugepages();
// Starts EAL. Call base::ThreadStarter before. The message names what to do about hugepages,
// permissions and devices. `said` is for the log.
Status start(const Request& request, std::string& said);
void stop();

}  // namespace chaincast::eal
