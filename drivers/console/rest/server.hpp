// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/thread.hpp"
#include "cli/console.hpp"
#include "console/rest/request_queue.hpp"
#include "rest/api.hpp"

// The REST interface of a node: cpp-httplib's server on threads of its own, which hand each request
// to the control thread and wait for the answer (docs/rest.md).
namespace httplib {
class Server;
}

namespace chaincast::console {

struct RestOptions {
  Endpoint address = {};  // port 0: any free one
  unsigned threads = 4;   // requests at a time, and clients kept alive
  size_t body_bytes_max = 16u << 20;
  TimeNs patience_ns = 10 * ns_per_s;  // for bytes from a client, and for the node's answer
  // Names that the Host header may have, without the port; any if empty. On a loopback address this
  // keeps pages of other names (DNS rebinding) from using a browser as their way in.
  std::vector<std::string> hosts = {};
  // What HTTP itself refuses (too long, malformed) gets 400 and no body, instead of saying why.
  bool refuses_mutely = false;
};

struct RestCounters {
  uint64_t answered = 0;  // below 400
  uint64_t rejected = 0;  // other statuses
};

// Owner: the node's program; control thread, but for the server's own threads, which touch only the
// queue and the counters. Memory: a request and a reply per thread, and 64 connections waiting.
class RestServer final : public cli::Console {
 public:
  using Handler = std::function<rest::Response(const rest::Request&)>;
  // Binds and listens; the message of an error names address and remedy.
  static Result<std::unique_ptr<RestServer>> listen(RestOptions options, rest::Api api,
                                                    const base::ThreadStarter& threads);
  // The same for what is no node's: `handler` answers on the server's own threads, several requests
  // at a time, and may wait. It must come to an end for the destructor to.
  static Result<std::unique_ptr<RestServer>> listen(RestOptions options, Handler handler,
                                                    const base::ThreadStarter& threads);
  ~RestServer() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;
  RestCounters counters() const;
  // With the port that was bound.
  const Endpoint& address() const { return options_.address; }

 private:
  RestServer(RestOptions options, Handler handler);
  static Result<std::unique_ptr<RestServer>> start(std::unique_ptr<RestServer> server,
                                                   const base::ThreadStarter& threads);
  Status bind();
  void configure();

  RestOptions options_;
  std::optional<rest::Api> api_;  // of a node
  Handler handler_;               // or the queue to it
  RequestQueue queue_;
  bool has_more_ = false;
  std::atomic<uint64_t> answered_{0}, rejected_{0};
  std::unique_ptr<httplib::Server> server_;
  std::atomic<bool> is_over_{false};
  std::jthread listener_;
};

}  // namespace chaincast::console
