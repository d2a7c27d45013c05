// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "cli/console.hpp"

namespace chaincast::console {

// SIGTERM and SIGINT as a console: the control loop hears of them through a descriptor, so that no
// handler and no global is needed. Control thread.
class Signals final : public cli::Console {
 public:
  // Blocks both signals (and ignores SIGPIPE) for the calling thread and all that it starts later;
  // call first in main.
  static void block();
  // `on_stop` is called once per signal received.
  static Result<std::unique_ptr<Signals>> open(std::function<void()> on_stop);
  ~Signals() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override { return time_never; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

 private:
  Signals(int fd, std::function<void()> on_stop) : fd_(fd), on_stop_(std::move(on_stop)) {}
  const int fd_;
  std::function<void()> on_stop_;
};

}  // namespace chaincast::console
