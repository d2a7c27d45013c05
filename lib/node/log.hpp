// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include "base/clock.hpp"
#include "node/config.hpp"

namespace chaincast::node {

// One line per state change, at most `lines_per_s_max` a second; what is held back is counted and
// said with the next line. Control thread only.
class Log {
 public:
  static constexpr unsigned lines_per_s_max = 50;
  using Write = std::function<void(LogLevel, const std::string&)>;

  Log(Write write, LogLevel level, const Clock& clock)
      : write_(std::move(write)), level_(level), clock_(clock) {}

  void say(LogLevel level, const std::string& text) {
    if (level < level_ || !write_) return;
    const TimeNs now = clock_.now_ns();
    if (now - second_start_ns_ >= ns_per_s) {
      if (held_back_ > 0) {
        write_(LogLevel::warning, std::to_string(held_back_) + " log lines held back");
      }
      second_start_ns_ = now;
      lines_ = 0;
      held_back_ = 0;
    }
    if (++lines_ > lines_per_s_max) {
      ++held_back_;
      return;
    }
    write_(level, text);
  }
  void info(const std::string& text) { say(LogLevel::info, text); }
  void warning(const std::string& text) { say(LogLevel::warning, text); }
  void set_level(LogLevel level) { level_ = level; }

 private:
  Write write_;
  LogLevel level_;
  const Clock& clock_;
  TimeNs second_start_ns_ = 0;
  unsigned lines_ = 0;
  uint64_t held_back_ = 0;
};

}  // namespace chaincast::node
