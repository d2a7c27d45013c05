// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "cli/console.hpp"
#include "console/unix/server.hpp"
#include "console/unix/subscription.hpp"
#include "local/message.hpp"

namespace chaincast::console {

// What `status` and `describe` say of them.
ops::Json to_json(const ServerCounters& counters);

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
  class SocketWay;
  // A descriptor goes with the byte at that place of the output.
  struct Attached {
    uint64_t at;
    int fd;
  };
  enum class Step { done, held, incomplete };

  void read_input();
  Step take_request();
  Step handle(local::Type type, ByteReader body);
  Step on_publish(ByteReader& body);
  void on_command(ByteReader& body);
  void on_subscribe(ByteReader& body);
  void on_subscribe_ring(ByteReader& body);
  // What is wrong, or empty.
  std::string subscribe(const std::string& name, std::unique_ptr<Subscription::Way> way);
  Result<SharedRing> make_ring(const std::string& name, uint32_t bytes_wanted) const;
  void on_stream(ByteReader& body);
  void on_complete(ByteReader& body);
  void end_subscriptions();
  void fail(const std::string& reason);

  size_t output_bytes() const { return out_.size() - out_start_; }
  // True if `bytes` more may wait, or if nothing waits yet.
  bool has_room(size_t bytes) const;
  // One message, whose body is `body` and then `rest`.
  void send(local::Type type, ByteSpan body, ByteSpan rest = {});
  void send_event(uint32_t subscription, const local::RingRecord& record);
  ssize_t send_some();
  void commit_rings();
  // Dismisses a client that stands still, or breaks its ring.
  void check(TimeNs now_ns);

  const int fd_;
  const ServerOptions& options_;
  cli::Service& service_;
  ServerCounters& counters_;
  const cli::SessionId session_;
  Bytes in_;  // [start, end) is received and not yet handled
  size_t in_start_ = 0;
  size_t in_end_ = 0;
  Bytes out_;
  size_t out_start_ = 0;
  uint64_t sent_bytes_ = 0;  // ever
  std::deque<Attached> attached_;
  TimeNs progress_ns_;  // last time output moved or was empty
  TimeNs now_ns_;       // of the last on_ready
  bool held_ = false;   // the first request waits for the node
  bool more_ = false;   // a whole request is left from this turn
  bool input_ended_ = false;
  bool watches_origins_ = false;  // subscriptions that it makes
  bool failed_ = false;           // only output is left to send
  bool finished_ = false;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  std::vector<RingWay*> rings_;  // of subscriptions_
};

}  // namespace chaincast::console
