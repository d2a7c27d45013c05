// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>

#include "base/clock.hpp"

namespace chaincast::generator {

// SIGINT and SIGTERM as a descriptor, so that an interrupted run still says what it did. One per
// program; its thread is the only one.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  bool came() const { return came_; }
  // Until `events` of the descriptor (negative: none), a signal, or the time is over. True only if
  // the descriptor is ready.
  bool wait(int fd, short events, TimeNs deadline_ns);

 private:
  sigset_t set_;
  int fd_ = -1;
  bool came_ = false;
  const MonotonicClock clock_;
};

}  // namespace chaincast::generator
