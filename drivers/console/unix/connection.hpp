// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "cli/console.hpp"
#include "console/unix/message.hpp"
#include "console/unix/server.hpp"

namespace chaincast::console {

// One client of the server: its input, its bounded output, its subscriptions. Requests are answered
// in order; while the node has no room for an object, or output waits, no further request is read.
// Owner: Server; control thread.
class Connection {
 public:
  // Owns `fd`, which must be non-blocking.
  Connection(int fd, const ServerOptions& options, cli::Service& service, ServerCounters& counters,
             TimeNs now_ns);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  pollfd poll_fd() const;
  TimeNs wake_at_ns() const;
  void on_ready(short revents, TimeNs now_ns);
  // Nothing more to do here: the server destroys it.
  bool finished() const { return finished_; }
  // Sends what the socket takes.
  void flush(TimeNs now_ns);

 private:
  class Subscription;
  enum class Step { done, held, incomplete };

  void read_input();
  Step take_request();
  Step handle(Type type, ByteReader body);
  Step on_publish(ByteReader& body);
  void on_command(ByteReader& body);
  void on_subscribe(ByteReader& body);
  void on_stream(ByteReader& body);
  void fail(const std::string& reason);

  size_t output_bytes() const { return out_.size() - out_start_; }
  // True if `bytes` more may wait, or if nothing waits yet.
  bool has_room(size_t bytes) const;
  void send(Type type, ByteSpan body);
  void send_object(uint32_t subscription, const cli::Delivered& delivered);

  const int fd_;
  const ServerOptions& options_;
  cli::Service& service_;
  ServerCounters& counters_;
  Bytes in_;
  size_t in_start_ = 0;
  Bytes out_;
  size_t out_start_ = 0;
  TimeNs progress_ns_;  // last time output moved or was empty
  TimeNs now_ns_;       // of the last on_ready
  bool held_ = false;   // the first request waits for the node
  bool more_ = false;   // a whole request is left from this turn
  bool input_ended_ = false;
  bool failed_ = false;  // only output is left to send
  bool finished_ = false;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

}  // namespace chaincast::console
