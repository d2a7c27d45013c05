// SPDX-License-Identifier: BSD-3-Clause
#include "rest.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "console/rest/server.hpp"
#include "console/signals/signals.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "identity/identity.hpp"
#include "instances.hpp"
#include "port/port.hpp"
#include "process/eal/eal.hpp"
#include "rest/streaming.hpp"
#include "start.hpp"

namespace chaincast {

namespace {

constexpr unsigned http_threads = 32;  // a call may wait for its instance to come in
// No packet buffer crosses a page, and one of 4 KiB holds one. Touched when they are used.
constexpr size_t small_page_factor = 2;

// The instances' keys and sockets, gone with the process.
class Directory {
 public:
  Directory() {
    std::error_code failed;
    const auto above = std::filesystem::temp_directory_path(failed);
    std::string pattern = (failed ? std::string("/tmp") : above.string()) + "/chaincast-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;  // mode 0700
  }
  ~Directory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Addresses {
  Endpoint rest;
  Endpoint ports;  // of the instances
  std::string token;
};

Result<Addresses> addresses_of(const Options& options) {
  Addresses out;
  const auto rest = port::parse_endpoint(options.rest_address);
  if (!rest) {
    return error(ErrorCode::invalid, fmt::format("--rest {}: {}; give IP:PORT, as 127.0.0.1:8080",
                                                 options.rest_address, rest.error().message));
  }
  out.rest = *rest;
  const auto ports = port::parse_address(options.ports_address);
  if (!ports) {
    return error(ErrorCode::invalid,
                 fmt::format("--rest-address {}: {}; give an IP address of this host",
                             options.ports_address, ports.error().message));
  }
  out.ports = *ports;
  if (options.token_file.empty()) {
    if (port::is_loopback(out.rest)) return out;
    return error(ErrorCode::refused,
                 fmt::format("--rest {}: others can reach that address; give --rest-token FILE "
                             "(`chaincast keygen token FILE` makes one), or a loopback address",
                             options.rest_address));
  }
  auto token = identity::load_token(options.token_file);
  if (!token) return token.error();
  out.token = std::move(token).value();
  return out;
}

eal::Request request_for(const Options& options, const base::ThreadStarter& threads) {
  Wish host;
  host.role = Role::host;
  host.resource = "any";
  const node::Config one = config_for(host, Place{"any", "", Endpoint{}}, 1);
  eal::Request request;
  request.program = "chaincast";
  request.options = options.eal;
  // Nobody has reserved pages for as many nodes as there may come to be.
  if (request.options.empty()) request.options = {"--no-huge", "--no-pci"};
  request.memory_bytes =
      NodeInstances::instances_max * small_page_factor * node::pool_memory_bytes(one);
  request.file_prefix = "chaincast-rest-" + std::to_string(getpid());
  request.workers.allowed = threads.saved_affinity();
  return request;
}

// Until a signal says that it is over.
int wait_for_end(NodeInstances& instances) {
  bool is_over = false;
  auto signals = console::Signals::open([&] { is_over = true; }, [] {});
  if (!signals) {
    std::fprintf(stderr, "chaincast: %s\n", signals.error().message.c_str());
    return 1;
  }
  const MonotonicClock clock;
  while (!is_over) {
    std::vector<pollfd> fds;
    (*signals)->add_poll_fds(fds);
    ::poll(fds.data(), fds.size(), -1);
    (*signals)->on_ready(fds, clock.now_ns());
  }
  instances.close();  // whoever waits in a call has to be let go before the server can end
  return 0;
}

Result<int> serve(const Addresses& addresses, const base::ThreadStarter& threads,
                  spdlog::logger& logger) {
  const auto toolbox = crypto::openssl::make_toolbox();
  const Directory directory;
  if (directory.path().empty()) {
    return error(ErrorCode::io, fmt::format("no temporary directory: {}; set TMPDIR to one that "
                                            "this user may write to",
                                            std::strerror(errno)));
  }
  const Shared shared{threads, *toolbox, [&logger](node::LogLevel level, const std::string& text) {
                        logger.log(static_cast<spdlog::level::level_enum>(level), "{}", text);
                      }};
  NodeInstances instances(shared, directory.path(), addresses.ports);
  const rest::Streaming streaming(instances, addresses.token);
  console::RestOptions server;
  server.address = addresses.rest;
  server.threads = http_threads;
  server.body_bytes_max = rest::streaming_body_bytes_max;
  server.refuses_mutely = true;
  if (port::is_loopback(server.address)) {
    server.hosts = {"localhost", "127.0.0.1", port::address_text(server.address), "[::1]"};
  }
  auto listening = console::RestServer::listen(
      server, [&streaming](const rest::Request& request) { return streaming.handle(request); },
      threads);
  if (!listening) return listening.error();
  logger.info("rest: http://{}/, for at most {} instances{}",
              port::to_text((*listening)->address()), NodeInstances::instances_max,
              addresses.token.empty() ? "" : ", POST needs the token");
  const int code = wait_for_end(instances);
  logger.info("rest: {} requests answered, {} rejected, bye", (*listening)->counters().answered,
              (*listening)->counters().rejected);
  return code;
}

}  // namespace

int run_rest(const Options& options) {
  const auto failed = [](const Error& failure) {
    std::fprintf(stderr, "chaincast: %s\n", failure.message.c_str());
    return 1;
  };
  const auto addresses = addresses_of(options);
  if (!addresses) return failed(addresses.error());
  console::Signals::block();
  const base::ThreadStarter threads;
  const auto logger = make_logger();
  const auto started = eal::start(request_for(options, threads));
  if (!started) return failed(started.error());
  for (const std::string& line : started->said) logger->info("{}", line);
  // DPDK has pinned this thread to its main lcore.
  threads.settle_here();
  const auto code = serve(*addresses, threads, *logger);
  eal::stop();
  return code ? *code : failed(code.error());
}

}  // namespace chaincast
