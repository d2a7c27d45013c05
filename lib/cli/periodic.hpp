// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "cli/console.hpp"

namespace chaincast::cli {

// Runs one command again and again and hands its text on: `--stats-period`. Control thread.
class Periodic final : public Console {
 public:
  using Print = std::function<void(const std::string& text)>;
  // The first run is one period after the first turn. `commander` outlives it.
  Periodic(Commander& commander, std::string command, TimeNs period_ns, Print print)
      : commander_(commander),
        command_(std::move(command)),
        period_ns_(period_ns),
        print_(std::move(print)) {}

  void add_poll_fds(std::vector<pollfd>&) const override {}
  TimeNs wake_at_ns() const override { return due_ns_; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

 private:
  Commander& commander_;
  const std::string command_;
  const TimeNs period_ns_;
  Print print_;
  TimeNs due_ns_ = 0;  // 0: no turn yet
};

}  // namespace chaincast::cli
