// SPDX-License-Identifier: BSD-3-Clause
#include "start.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdlib>

#include "node/node.hpp"
#include "port/ethdev/device.hpp"
#include "port/kinds.hpp"

namespace chaincast {

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_shared<spdlog::logger>("chaincast",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // The journal stamps lines itself.
  logger->set_pattern(getenv("JOURNAL_STREAM") != nullptr ? "%l %v" : "%Y-%m-%d %H:%M:%S.%e %l %v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

eal::Request eal_request(const Options& options, const node::Config& config,
                         const base::ThreadStarter& threads) {
  eal::Request request;
  request.program = "chaincast";
  request.options = options.eal.empty() ? config.node.eal : options.eal;
  for (const node::PortConfig& port : config.ports) {
    const std::string device = port::device_name(port.device);
    if (port::ethdev::is_pci_address(device)) request.pci.push_back(port.device);
  }
  request.memory_bytes = config.node.memory_mb != 0 ? size_t{config.node.memory_mb} << 20
                                                    : node::pool_memory_bytes(config);
  request.file_prefix = "chaincast-" + config.node.name + "-" + std::to_string(getpid());
  request.workers = {config.node.workers, config.node.worker_cpus, threads.saved_affinity()};
  return request;
}

}  // namespace chaincast
