// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "cli/console.hpp"

namespace chaincast::console {

// SIGTERM, SIGINT and SIGHUP as a console: the control loop hears of them through a descriptor, so
// that no handler and no global is needed. Control thread.
class Signals final : public cli::Console {
 public:
  // Blocks these signals (and ignores SIGPIPE) for the calling thread and all that it starts later;
  // call first in main.
  static void block();
  // Called once per signal received: `on_reload` for SIGHUP, `on_stop` for the others.
  static Result<std::unique_ptr<Signals>> open(std::function<void()> on_stop,
                                               std::function<void()> on_reload);
  ~Signals() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override { return time_never; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

 private:
  Signals(int fd, std::function<void()> on_stop, std::function<void()> on_reload)
      : fd_(fd), on_stop_(std::move(on_stop)), on_reload_(std::move(on_reload)) {}
  const int fd_;
  std::function<void()> on_stop_;
  std::function<void()> on_reload_;
};

}  // namespace chaincast::console
