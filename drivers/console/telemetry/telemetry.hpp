// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cli/console.hpp"

// A node's numbers for dpdk-telemetry: DPDK's telemetry socket answers `/chaincast/...` with what
// `show` says.
namespace chaincast::console {

// "/chaincast/peers" lists the names of the rows, "/chaincast/peers,NAME" shows one; where `rows`
// is empty the whole reply is shown.
struct TelemetryCommand {
  std::string path;
  std::string command;  // of the operations table
  std::string rows;     // key of the array
  std::string name;     // key of a row's name
  std::string help;
};

// DPDK calls back on threads of its own and passes no argument: its callbacks find the one
// Telemetry of the process through a memzone, and wait up to answer_within for the control thread,
// which alone runs commands.
//
// Owner: the program; made and destroyed on the control thread, after EAL has started and before it
// is cleaned up. At most one at a time.
class Telemetry final : public cli::Console {
 public:
  static constexpr TimeNs answer_within_ns = 2 * ns_per_s;
  // One command of the operations table (Node::run); called on the control thread.
  using Runner = std::function<ops::Reply(std::string_view)>;

  // Fails if the process has one already, or DPDK takes no more commands.
  static Result<std::unique_ptr<Telemetry>> open(std::vector<TelemetryCommand> commands,
                                                 Runner run);
  ~Telemetry() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override { return time_never; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

  // What `path` is answered with, or an error. Any thread but the control thread.
  ops::Reply ask(const std::string& path, const std::string& parameter);

 private:
  struct Request {
    std::string command;
    ops::Reply reply = ops::Json();
    bool is_done = false;
  };

  Telemetry(std::vector<TelemetryCommand> commands, Runner run, int fd);
  ops::Reply wait_for(const std::string& command);

  const std::vector<TelemetryCommand> commands_;
  const Runner run_;
  const int fd_;  // an eventfd: a request waits
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<std::shared_ptr<Request>> waiting_;
  uint64_t requests_ = 0;
  bool is_closing_ = false;
};

}  // namespace chaincast::console
