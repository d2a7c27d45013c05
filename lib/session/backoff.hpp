// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unordered_map>

#include "base/clock.hpp"
#include "base/ids.hpp"

namespace chaincast::session {

// Addresses whose dials failed, and until when none is tried again: the wait doubles with every
// failure in a row. At most addresses_max; the one that may be dialled soonest makes room. Pure;
// owner and thread: the driver's. Cost: constant, with room; else all addresses once.
class Backoff {
 public:
  static constexpr size_t addresses_max = 4096;

  Backoff(TimeNs first_ns, TimeNs max_ns) : first_ns_(first_ns), max_ns_(max_ns) {}

  bool holds(const Endpoint& address, TimeNs now_ns) const;
  void failed(const Endpoint& address, TimeNs now_ns);
  void succeeded(const Endpoint& address) { waits_.erase(address); }
  size_t size() const { return waits_.size(); }

 private:
  struct Wait {
    TimeNs until_ns = 0;
    TimeNs length_ns = 0;
  };
  void make_room();

  const TimeNs first_ns_, max_ns_;
  std::unordered_map<Endpoint, Wait> waits_;
};

}  // namespace chaincast::session
