// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/console.hpp"
#include "feed/intake.hpp"
#include "feed/outlet.hpp"

// The UDP socket through which an application beside a node hands over objects, or gets them
// (docs/rest.md). lib/feed decides what is said; the socket is here.
namespace chaincast::console {

struct FeedOptions {
  std::string stream;     // one of the node's
  bool is_host = false;   // it takes objects; else it hands them out
  uint64_t size_max = 0;  // of a host's objects
};

// The feed of one stream of a node, on 127.0.0.1 and a port that the system picks. Owner: whoever
// runs the node, which outlives it; control thread. Memory: 4 MiB that wait for a reader, and what
// the kernel grants the socket.
class Feed final : public cli::Console, private feed::Socket {
 public:
  // Binds, and subscribes for a member. `io` where the system gives no socket; the service's error
  // where it knows no such stream.
  static Result<std::unique_ptr<Feed>> open(const FeedOptions& options, cli::Service& service);
  ~Feed() override;

  uint16_t udp_port() const { return udp_port_; }

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  // Any thread.
  ops::Json describe() const override;

 private:
  Feed(int fd, const FeedOptions& options, cli::Service& service);
  Status bind();
  void receive(TimeNs now_ns);
  bool send(const Endpoint& to, ByteSpan datagram) override;

  const int fd_;
  cli::Service& service_;
  uint16_t udp_port_ = 0;
  // One of the two.
  std::optional<feed::Intake> intake_;
  std::optional<feed::Outlet> outlet_;
  std::optional<cli::SubscriptionId> subscription_;
  Bytes buffer_;
  bool owes_answers_ = false;
  TimeNs now_ns_ = 0;
  stats::Counter overrun_;  // datagrams that the kernel had no room for
};

}  // namespace chaincast::console
