// SPDX-License-Identifier: BSD-3-Clause
// The only way to an interrupt source of one's own in 22.11.
#define ALLOW_EXPERIMENTAL_API

#include "process/eal/eal.hpp"

#include <fmt/core.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_log.h>
#include <rte_pdump.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <semaphore>

namespace chaincast::eal {

namespace {

constexpr size_t mib = size_t{1} << 20;
constexpr auto park_timeout = std::chrono::seconds(1);
constexpr size_t eal_own_bytes = 64 * mib;  // DPDK's own structures, rings, fragmentation

// `--name`, or `--name=value`.
bool has(const std::vector<std::string>& options, const std::string& name) {
  return std::any_of(options.begin(), options.end(), [&](const std::string& option) {
    return option == name || option.starts_with(name + "=");
  });
}

// EAL reports missing hugepages as missing permission: what the host has decides.
std::string advice(int code, const std::vector<std::string>& options, size_t wanted_bytes,
                   size_t free_bytes) {
  const bool lacks_pages = !has(options, "--no-huge") && free_bytes < wanted_bytes;
  if ((code == EACCES || code == EPERM) && !lacks_pages) {
    return "no permission; run as root or grant CAP_IPC_LOCK, CAP_NET_RAW and the hugepage mount";
  }
  if (!has(options, "--no-huge")) {
    return fmt::format(
        "no usable hugepages ({} MiB wanted); reserve some, e.g. "
        "`echo {} > /proc/sys/vm/nr_hugepages`, or use udp ports only",
        wanted_bytes / mib, wanted_bytes / (2 * mib) + 1);
  }
  return "see the EAL lines above";
}

bool chooses_lcores(const std::vector<std::string>& options) {
  return std::any_of(options.begin(), options.end(), [](const std::string& option) {
    const bool is_long = option.starts_with("--lcores") || option.starts_with("--main-lcore");
    return is_long || option.starts_with("-l") || option.starts_with("-c");
  });
}

bool find_hugetlbfs(std::string& closed_mount) {
  std::ifstream mounts("/proc/mounts");
  std::string device, place, kind, rest;
  while (mounts >> device >> place >> kind && std::getline(mounts, rest)) {
    if (kind != "hugetlbfs") continue;
    if (access(place.c_str(), W_OK | X_OK) == 0) {
      closed_mount.clear();
      return true;
    }
    closed_mount = place;
  }
  return false;
}

size_t free_hugepage_bytes() {
  size_t total = 0;
  std::error_code failed;
  for (const auto& entry :
       std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", failed)) {
    const std::string name = entry.path().filename();  // hugepages-2048kB
    size_t kib = 0, pages = 0;
    if (sscanf(name.c_str(), "hugepages-%zukB", &kib) != 1) continue;
    std::ifstream(entry.path() / "free_hugepages") >> pages;
    total += pages * kib * 1024;
  }
  return total;
}

void park(void* arrived) {
  static_cast<std::binary_semaphore*>(arrived)->release();
  for (;;) pause();
}

// Keeps DPDK's interrupt thread from what the cleanup unmaps. Drivers leave sources behind whose
// handles lie there (net_memif its listening socket, any driver what it unregistered during a
// callback), and the thread reads the handles of all sources whenever one of them changes. By a
// source of its own, not an alarm: the cleanup waits for alarms.
void park_interrupt_thread() {
  auto* const arrived = new std::binary_semaphore(0);  // for good: the thread may come too late
  rte_intr_handle* handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
  const int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);  // readable at once
  if (handle != nullptr && fd >= 0 && rte_intr_fd_set(handle, fd) == 0 &&
      rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) == 0 &&
      rte_intr_callback_register(handle, park, arrived) == 0) {
    static_cast<void>(arrived->try_acquire_for(park_timeout));
    return;
  }
  if (fd >= 0) close(fd);
  rte_intr_instance_free(handle);
  delete arrived;
}

// Workers on any other thread than these would end multi-process support for good.
void invite_secondaries(const Request& request, Started& started) {
  if (!has_lcores(request.workers)) {
    started.said.push_back(
        "the EAL options leave no lcore for each worker's cpus: dpdk-dumpcap and dpdk-proc-info "
        "cannot attach; leave -l, -c and --lcores away");
    return;
  }
  started.runs_workers = true;
  const std::string prefix = std::filesystem::path(rte_eal_get_runtime_dir()).filename();
  if (rte_pdump_init() == 0) {
    started.said.push_back(
        fmt::format("dpdk-dumpcap and dpdk-proc-info may attach: --file-prefix {}", prefix));
  } else {
    started.said.push_back(
        fmt::format("dpdk-dumpcap cannot capture here: {}", rte_strerror(rte_errno)));
  }
}

}  // namespace

Hugepages usable_hugepages() {
  Hugepages out;
  if (find_hugetlbfs(out.closed_mount)) out.free_bytes = free_hugepage_bytes();
  return out;
}

std::vector<std::string> choose_options(const Request& request, size_t free_bytes,
                                        std::string& said) {
  std::vector<std::string> options = request.options;
  const size_t wanted = request.memory_bytes + eal_own_bytes;
  const bool is_plain = options.empty();
  const bool has_huge = free_bytes >= wanted;
  if (is_plain || (!has(options, "--no-huge") && !has_huge && !has(options, "--in-memory"))) {
    if (!has_huge) {
      said = fmt::format("no hugepages free ({} MiB wanted): using ordinary memory", wanted / mib);
      options.push_back("--no-huge");
    }
  }
  if (has(options, "--no-huge")) {
    if (!has(options, "--no-shconf")) options.push_back("--no-shconf");
    if (!has(options, "-m")) {
      options.insert(options.end(), {"-m", std::to_string(wanted / mib + 1)});
    }
  }
  // Never probe NICs that no port asked for: they may be the host's own.
  if (is_plain && request.pci.empty()) options.push_back("--no-pci");
  for (const std::string& address : request.pci) {
    if (is_plain) options.insert(options.end(), {"-a", address});
  }
  if (!has(options, "--file-prefix")) {
    options.insert(options.end(), {"--file-prefix", request.file_prefix});
  }
  if (!has(options, "--log-level")) options.insert(options.end(), {"--log-level", "warning"});
  const bool says_telemetry = has(options, "--telemetry") || has(options, "--no-telemetry");
  if (has(options, "--no-huge") && !says_telemetry) {
    options.push_back("--no-telemetry");
  }
  if (admits_secondaries(options) && !chooses_lcores(options)) {
    const std::vector<std::string> lcores = lcore_options(request.workers);
    options.insert(options.end(), lcores.begin(), lcores.end());
  }
  return options;
}

bool admits_secondaries(const std::vector<std::string>& options) {
  return !has(options, "--no-huge") && !has(options, "--no-shconf") &&
         !has(options, "--in-memory") && !has(options, "--huge-unlink");
}

Result<Started> start(const Request& request) {
  const Hugepages pages = usable_hugepages();
  std::string said;
  std::vector<std::string> words = choose_options(request, pages.free_bytes, said);
  if (!said.empty() && !pages.closed_mount.empty()) {
    said += "; no permission on " + pages.closed_mount +
            ": to use hugepages run as root, or mount it with uid= for this user";
  }
  const std::vector<std::string> options = words;
  words.insert(words.begin(), request.program);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(argv.size() - 1), argv.data()) >= 0) {
    Started started;
    if (!said.empty()) started.said.push_back(said);
    if (admits_secondaries(options)) invite_secondaries(request, started);
    return started;
  }
  std::string line;
  for (const std::string& option : options) line += " " + option;
  return error(ErrorCode::io,
               fmt::format("DPDK did not start with{}: {}; {}", line, rte_strerror(rte_errno),
                           advice(rte_errno, options, request.memory_bytes, pages.free_bytes)));
}

std::unique_ptr<worker::Threads> make_worker_threads(const Request& request, const Started& started,
                                                     const base::ThreadStarter& starter) {
  return started.runs_workers ? make_lcore_threads(request.workers)
                              : worker::make_registered_threads(starter);
}

void stop() {
  rte_pdump_uninit();
  park_interrupt_thread();
  rte_eal_cleanup();
}

}  // namespace chaincast::eal
