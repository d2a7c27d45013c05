// SPDX-License-Identifier: BSD-3-Clause
// chaincast-liar --config FILE: a node as chaincast runs it, but for one thing: once there is a
// FILE.lie, it answers each frame that it gets with a forged one in the next one's place, and with
// votes for frames that were never sent. For scenarios.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "console/signals/signals.hpp"
#include "console/unix/server.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "process/eal/eal.hpp"
#include "support/liar.hpp"

namespace chaincast {
namespace {

int fail(const Error& failure) {
  std::fprintf(stderr, "chaincast-liar: %s\n", failure.message.c_str());
  return 1;
}

// Called by the control loop.
class Lies final : public cli::Console {
 public:
  Lies(node::Node& node, const crypto::Toolbox& toolbox)
      : liar_(node, toolbox), sign_(node.config().file + ".lie") {}
  ops::Json describe() const override { return ops::Json::object(); }
  void add_poll_fds(std::vector<pollfd>&) const override {}
  TimeNs wake_at_ns() const override { return again_ns_; }
  void on_ready(std::span<const pollfd>, TimeNs now_ns) override {
    if (now_ns < again_ns_) return;
    again_ns_ = now_ns + ns_per_ms;
    if (liar_.stream() == nullptr || access(sign_.c_str(), F_OK) != 0) return;
    const stream::ReceiverStatus& status = liar_.stream()->receiver->status();
    if (!status.anchored || status.highest_seen == lied_at_) return;
    if (!liar_.forge_next()) return;
    lied_at_ = liar_.stream()->receiver->status().highest_seen;
    liar_.vouch_falsely();
  }

 private:
  test::Liar liar_;
  const std::string sign_;
  TimeNs again_ns_ = 0;
  Seq lied_at_ = 0;
};

int serve(node::Node& node, const crypto::Toolbox& toolbox) {
  console::ServerOptions socket;
  socket.path = node.config().node.socket;
  auto server = console::Server::listen(socket, node);
  if (!server) return fail(server.error());
  auto signals = console::Signals::open([&node] { node.request_stop(); }, [] {});
  if (!signals) return fail(signals.error());
  Lies lies(node, toolbox);
  node.attach(**server);
  node.attach(**signals);
  node.attach(lies);
  if (Status started = node.start_workers(); !started) return fail(started.error());
  return node.run();
}

int run(const char* file) {
  auto config = node::load_config(file);
  if (!config) return fail(config.error());
  console::Signals::block();
  base::ThreadStarter threads;
  eal::Request request;
  request.program = "chaincast-liar";
  request.options = config->node.eal;
  request.memory_bytes = node::pool_memory_bytes(*config);
  request.file_prefix = "chaincast-" + config->node.name + "-" + std::to_string(getpid());
  request.workers = {config->node.workers, config->node.worker_cpus, threads.saved_affinity()};
  const auto started = eal::start(request);
  if (!started) return fail(started.error());
  threads.settle_here();
  const auto toolbox = crypto::openssl::make_toolbox();
  const auto worker_threads = eal::make_worker_threads(request, *started, threads);
  const node::Environment environment = factory::make_environment(
      threads, *worker_threads, *toolbox,
      [](node::LogLevel, const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); });
  int code = 1;
  {
    auto node = node::Node::create(std::move(config).value(), environment);
    code = node ? serve(**node, *toolbox) : fail(node.error());
  }
  eal::stop();
  return code;
}

}  // namespace
}  // namespace chaincast

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--config") != 0) {
    std::fputs("chaincast-liar --config FILE\n", stderr);
    return 2;
  }
  return chaincast::run(argv[2]);
}
