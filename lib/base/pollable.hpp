// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <span>
#include <vector>

#include "base/clock.hpp"

namespace chaincast {

// Something that owns descriptors and is called by the control loop, each turn:
//   fds.clear(); x.add_poll_fds(fds); poll(fds, until x.wake_at_ns()); x.on_ready(fds, now);
// Control thread; nothing blocks.
class Pollable {
 public:
  virtual ~Pollable() = default;
  // Appends the descriptors to wait for, with their events.
  virtual void add_poll_fds(std::vector<pollfd>& fds) const = 0;
  // When on_ready must be called even if nothing is ready; time_never if nothing waits.
  virtual TimeNs wake_at_ns() const = 0;
  // `fds` is what add_poll_fds appended, `revents` filled in by poll (all zero is allowed).
  // Bounded work per call.
  virtual void on_ready(std::span<const pollfd> fds, TimeNs now_ns) = 0;
};

}  // namespace chaincast
