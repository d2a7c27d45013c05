// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/console.hpp"

// What a node tells the service manager that started it (systemd's Type=notify; the protocol of
// sd_notify(3)): that it is ready, how it is, that it stops, that it lives. A console, because the
// control loop wakes it; nothing is read from the manager.
namespace chaincast::console {

struct SystemdOptions {
  TimeNs drain_ns = 0;                   // longest drain: the manager is asked to wait that long
  std::function<bool()> is_stopping;     // asked on every turn of the control loop
  std::function<std::string()> summary;  // one line for `systemctl status`; asked once a second
};

// Control thread. Each notice is one datagram to the manager's socket, which is not waited for:
// what it does not take is lost, and the next one says the same again. Without a manager
// ($NOTIFY_SOCKET unset) nothing is sent and nothing wakes the loop.
class Systemd final : public cli::Console {
 public:
  // Margin that is added to `drain_ns` for saying goodbye and for stopping DPDK.
  static constexpr TimeNs stop_margin_ns = 10 * ns_per_s;

  // Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. `now_ns` starts the timers.
  static std::unique_ptr<Systemd> open(SystemdOptions options, TimeNs now_ns);

  // The node serves its control socket and forwards. Call once, after that is so.
  void ready();

  void add_poll_fds(std::vector<pollfd>&) const override {}
  // A second from now while there is a manager; sooner where its watchdog wants more.
  TimeNs wake_at_ns() const override;
  // Tells what is due: the stop (once), the watchdog at half its interval, a summary that changed.
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

 private:
  explicit Systemd(SystemdOptions options) : options_(std::move(options)) {}

  SystemdOptions options_;
  bool has_manager_ = false;
  bool is_stop_told_ = false;
  TimeNs interval_ns_ = ns_per_s;  // between two notices
  bool has_watchdog_ = false;
  TimeNs due_ns_ = 0;
  std::string summary_;  // as told last
};

}  // namespace chaincast::console
