// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/clients.hpp"
#include "cli/console.hpp"

// The control socket of a node: a Unix stream socket, mode 0600, in whose protocol (docs/socket.md)
// clients run commands, publish objects and subscribe to streams.
namespace chaincast::console {

class Connection;

struct ServerOptions {
  std::string path;  // at most 107 bytes; its directory is made (0755) if only that one is missing
  size_t clients_max = 64;
  size_t object_bytes_max = 16 * 1024 * 1024;  // longest object a client may publish
  size_t output_bytes_max = 4 * 1024 * 1024;   // waiting for one client, or one message if longer
  size_t rings_bytes_max = 256 * 1024 * 1024;  // of all rings together
  TimeNs stall_ns = 60 * ns_per_s;             // output without progress for so long: dismissed
};

// Counters of the server and of clients that left; never reset.
struct ServerCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;    // too many clients
  uint64_t dismissed = 0;  // protocol errors and stalled clients
  uint64_t commands = 0;
  uint64_t published_objects = 0;
  uint64_t withheld = 0;  // publish requests the node had no room for at first
  uint64_t delivered_objects = 0;
  uint64_t output_full = 0;     // objects a subscriber had no room for
  uint64_t loss_notices = 0;    // lost ranges reported to subscribers
  uint64_t origin_notices = 0;  // origins lost and back, to who watches them
  uint64_t too_long = 0;        // objects that no ring of that size can hold, told as lost
  uint64_t rings = 0;           // now
  uint64_t ring_bytes = 0;      // now
};

// Owner: the node; control thread only; no thread of its own. Memory per client is bounded by
// output_bytes_max plus one request plus 256 KiB, and its rings.
class Server final : public cli::Console {
 public:
  // Binds and listens. A socket that nobody answers on is replaced; one that somebody answers on
  // is an error (`exists`), as is any other kind of file there.
  static Result<std::unique_ptr<Server>> listen(ServerOptions options, cli::Service& service);
  // Sends what the sockets take without waiting, closes all and removes the socket file.
  ~Server() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;
  const ServerCounters& counters() const { return counters_; }
  const std::string& path() const { return options_.path; }

 private:
  Server(ServerOptions options, cli::Service& service, int fd);
  cli::Accepted accept_client(TimeNs now_ns);

  ServerOptions options_;
  cli::Service& service_;
  int fd_;
  dev_t device_ = 0;  // of the socket file, so that only our own is removed
  ino_t inode_ = 0;
  ServerCounters counters_;
  cli::Clients<Connection> clients_;
};

}  // namespace chaincast::console
