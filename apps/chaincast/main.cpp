// SPDX-License-Identifier: BSD-3-Clause
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>

#include "console/signals/signals.hpp"
#include "console/terminal/terminal.hpp"
#include "console/unix/server.hpp"
#include "crypto/cpu.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "options.hpp"
#include "port/ethdev/device.hpp"
#include "process/eal/eal.hpp"

namespace chaincast {

namespace {

int fail(const Error& failure) {
  std::fprintf(stderr, "chaincast: %s\n", failure.message.c_str());
  return 1;
}

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_shared<spdlog::logger>("chaincast",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // The journal stamps lines itself.
  logger->set_pattern(getenv("JOURNAL_STREAM") != nullptr ? "%l %v" : "%Y-%m-%d %H:%M:%S.%e %l %v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

int serve(node::Node& node, const Options& options, const base::ThreadStarter& threads,
          spdlog::logger& logger) {
  console::ServerOptions socket;
  socket.path = node.config().node.socket;
  auto server = console::Server::listen(socket, node);
  if (!server) return fail(server.error());
  auto signals = console::Signals::open([&node] { node.request_stop(); });
  if (!signals) return fail(signals.error());
  node.attach(**server);
  node.attach(**signals);
  if (Status started = node.start_workers(); !started) return fail(started.error());
  logger.info("node {} ({}): running, control socket {}", node.config().node.name,
              node.identity().id.hex(), socket.path);
  if (!options.command_file.empty()) {
    auto loaded = node.run("load " + options.command_file);
    if (!loaded) logger.error("{}", loaded.error().message);
  }
  std::unique_ptr<console::Terminal> terminal;
  if (options.is_interactive) {
    terminal = console::Terminal::start({}, node, threads);
    node.attach(*terminal);
  }
  const int code = node.run();
  logger.info("node {}: {}", node.config().node.name,
              code == 0 ? "drained, bye" : "the drain timed out");
  return code;
}

eal::Request eal_request(const Options& options, const node::Config& config) {
  eal::Request request;
  request.program = "chaincast";
  request.options = options.eal.empty() ? config.node.eal : options.eal;
  for (const node::PortConfig& port : config.ports) {
    const std::string device = port::ethdev::device_name(port.device);
    if (port::ethdev::is_pci_address(device)) request.pci.push_back(port.device);
  }
  request.memory_bytes = config.node.memory_mb != 0 ? size_t{config.node.memory_mb} << 20
                                                    : node::pool_memory_bytes(config);
  request.file_prefix = "chaincast-" + config.node.name + "-" + std::to_string(getpid());
  return request;
}

int run(const Options& options) {
  auto config = node::load_config(options.config_file);
  if (!config) return fail(config.error());
  if (options.check_config) {
    std::printf("%s: ok\n", options.config_file.c_str());
    return 0;
  }
  console::Signals::block();
  base::ThreadStarter threads;
  cpu_set_t worker_cpus;
  CPU_ZERO(&worker_cpus);
  for (unsigned cpu : config->node.worker_cpus) CPU_SET(cpu, &worker_cpus);
  threads.reserve(worker_cpus);
  // What EAL and drivers start inherits this; their threads must stay off the workers' cores too.
  threads.settle_here();

  const auto logger = make_logger();
  std::string said;
  if (Status started = eal::start(eal_request(options, *config), said); !started) {
    return fail(started.error());
  }
  if (!said.empty()) logger->info("{}", said);
  // DPDK has pinned this thread to its main lcore; control goes where it may.
  threads.settle_here();

  const auto toolbox = crypto::openssl::make_toolbox();
  const node::Environment environment = factory::make_environment(
      threads, *toolbox, [&logger](node::LogLevel level, const std::string& text) {
        logger->log(static_cast<spdlog::level::level_enum>(level), "{}", text);
      });
  int code = 1;
  {
    auto node = node::Node::create(std::move(config).value(), environment);
    code = node ? serve(**node, options, threads, *logger) : fail(node.error());
  }
  eal::stop();
  return code;
}

}  // namespace

}  // namespace chaincast

int main(int argc, char** argv) {
  using namespace chaincast;
  if (Status cpu = crypto::require_cpu(); !cpu) return fail(cpu.error());
  int exit_code = -1;
  const Options options = parse_options(argc, argv, exit_code);
  if (exit_code >= 0) return exit_code;
  if (!options.keygen.empty()) return run_keygen(options.keygen);
  if (print_and_exit(options)) return 0;
  if (options.config_file.empty()) {
    std::fputs("chaincast: no configuration; give --config FILE (--example-config prints one)\n",
               stderr);
    return 2;
  }
  return run(options);
}
