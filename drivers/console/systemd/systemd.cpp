// SPDX-License-Identifier: BSD-3-Clause
#include "console/systemd/systemd.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>

namespace chaincast::console {

std::unique_ptr<Systemd> Systemd::open(SystemdOptions options, TimeNs now_ns) {
  std::unique_ptr<Systemd> out(new Systemd(std::move(options)));
  const char* socket = getenv("NOTIFY_SOCKET");
  out->has_manager_ = socket != nullptr && *socket != '\0';
  uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
    out->has_watchdog_ = true;
    out->interval_ns_ = std::clamp(watchdog_us * ns_per_us / 2, ns_per_ms, ns_per_s);
  }
  out->due_ns_ = now_ns;
  return out;
}

void Systemd::ready() {
  if (!has_manager_) return;
  summary_ = options_.summary();
  sd_notify(0, ("READY=1\nSTATUS=" + summary_).c_str());
}

TimeNs Systemd::wake_at_ns() const {
  return has_manager_ ? due_ns_ : time_never;
}

void Systemd::on_ready(std::span<const pollfd>, TimeNs now_ns) {
  if (!has_manager_) return;
  if (!is_stop_told_ && options_.is_stopping()) {
    is_stop_told_ = true;
    const TimeNs longest_us = (options_.drain_ns + stop_margin_ns) / ns_per_us;
    sd_notify(
        0, fmt::format("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={}", longest_us).c_str());
  }
  if (now_ns < due_ns_) return;
  due_ns_ = now_ns + interval_ns_;
  if (has_watchdog_) sd_notify(0, "WATCHDOG=1");
  std::string summary = is_stop_told_ ? summary_ : options_.summary();
  if (summary == summary_) return;
  summary_ = std::move(summary);
  sd_notify(0, ("STATUS=" + summary_).c_str());
}

ops::Json Systemd::describe() const {
  return {{"console", "systemd"}, {"manager", has_manager_}, {"watchdog", has_watchdog_}};
}

}  // namespace chaincast::console
