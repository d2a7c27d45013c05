// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "cli/clients.hpp"
#include "cli/console.hpp"

// Pages for whoever scrapes a node: an HTTP/1.1 server for GET and HEAD of a few fixed paths, one
// request per connection. It authenticates nobody, so it belongs on a loopback address.
namespace chaincast::console {

class HttpConnection;

struct HttpOptions {
  Endpoint address = {};  // port 0: any free one
  size_t clients_max = 16;
  size_t request_bytes_max = 8192;     // request line and header
  TimeNs patience_ns = 10 * ns_per_s;  // for a request to come, and for its reply to leave
};

// `body` is called on the control thread, at most once a turn.
struct HttpPage {
  std::string path;  // "/metrics"
  std::string content_type;
  std::function<std::string()> body;
};

struct HttpCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;    // too many clients
  uint64_t answered = 0;   // with 200
  uint64_t rejected = 0;   // with another status
  uint64_t dismissed = 0;  // out of patience
};

// Owner: the node's program; control thread only; nothing blocks. Memory per client: one request
// and one page.
class HttpServer final : public cli::Console {
 public:
  // Binds and listens; the message of an error names address and remedy.
  static Result<std::unique_ptr<HttpServer>> listen(HttpOptions options,
                                                    std::vector<HttpPage> pages);
  ~HttpServer() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;
  const HttpCounters& counters() const { return counters_; }
  // With the port that was bound.
  const Endpoint& address() const { return options_.address; }

 private:
  HttpServer(HttpOptions options, std::vector<HttpPage> pages, int fd);
  cli::Accepted accept_client(TimeNs now_ns);

  HttpOptions options_;
  const std::vector<HttpPage> pages_;
  const int fd_;
  HttpCounters counters_;
  cli::Clients<HttpConnection> clients_;
};

}  // namespace chaincast::console
