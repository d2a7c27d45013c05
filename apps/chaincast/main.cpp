// SPDX-License-Identifier: BSD-3-Clause
#include <spdlog/spdlog.h>

#include <cstdio>

#include "cli/periodic.hpp"
#include "console/signals/signals.hpp"
#include "console/systemd/systemd.hpp"
#include "console/terminal/terminal.hpp"
#include "console/unix/server.hpp"
#include "crypto/cpu.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "observers.hpp"
#include "options.hpp"
#include "process/eal/eal.hpp"
#include "rest.hpp"
#include "start.hpp"

namespace chaincast {

namespace {

int fail(const Error& failure) {
  std::fprintf(stderr, "chaincast: %s\n", failure.message.c_str());
  return 1;
}

void reload(node::Node& node, spdlog::logger& logger) {
  const auto done = node.run("reload");
  if (!done) logger.error("reload: {}", done.error().message);
}

int serve(node::Node& node, const Options& options, const base::ThreadStarter& threads,
          spdlog::logger& logger) {
  console::ServerOptions socket;
  socket.path = node.config().node.socket;
  auto server = console::Server::listen(socket, node);
  if (!server) return fail(server.error());
  auto signals = console::Signals::open([&node] { node.request_stop(); },
                                        [&node, &logger] { reload(node, logger); });
  if (!signals) return fail(signals.error());
  auto observers = open_observers(node, threads);
  if (!observers) return fail(observers.error());
  node.attach(**server);
  node.attach(**signals);
  for (const auto& observer : *observers) node.attach(*observer);
  if (Status started = node.start_workers(); !started) return fail(started.error());
  logger.info("node {} ({}): running, control socket {}", node.config().node.name,
              node.identity().id.hex(), socket.path);
  if (!options.command_file.empty()) {
    auto loaded = node.run("load " + options.command_file);
    if (!loaded) logger.error("{}", loaded.error().message);
  }
  std::unique_ptr<console::Terminal> terminal;
  if (options.is_interactive) {
    console::TerminalOptions prompt;
    prompt.history_file = console::default_history_file();
    terminal = console::Terminal::start(prompt, node, threads);
    node.attach(*terminal);
  }
  const auto systemd = console::Systemd::open(
      {node.config().node.drain_timeout_s * ns_per_s, [&node] { return node.is_stopping(); },
       [&node] { return summary(node); }},
      node.now_ns());
  node.attach(*systemd);
  systemd->ready();
  cli::Periodic stats(node, "show port stats all", options.stats_period_s * ns_per_s,
                      [](const std::string& text) {
                        std::fputs(text.c_str(), stdout);
                        std::fflush(stdout);
                      });
  if (options.stats_period_s != 0) node.attach(stats);
  const int code = node.run();
  logger.info("node {}: {}", node.config().node.name,
              code == 0 ? "drained, bye" : "the drain timed out");
  return code;
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
  const eal::Request request = eal_request(options, *config, threads);
  const auto started = eal::start(request);
  if (!started) return fail(started.error());
  for (const std::string& line : started->said) logger->info("{}", line);
  // DPDK has pinned this thread to its main lcore; control goes where it may.
  threads.settle_here();

  const auto toolbox = crypto::openssl::make_toolbox();
  const auto worker_threads = eal::make_worker_threads(request, *started, threads);
  const node::Environment environment = factory::make_environment(
      threads, *worker_threads, *toolbox, [&logger](node::LogLevel level, const std::string& text) {
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
  if (!options.genesis.file.empty()) return run_genesis(options.genesis);
  if (print_and_exit(options)) return 0;
  if (!options.rest_address.empty()) return run_rest(options);
  if (options.config_file.empty()) {
    std::fputs("chaincast: no configuration; give --config FILE (--example-config prints one)\n",
               stderr);
    return 2;
  }
  return run(options);
}
