// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/receive_queues.hpp"

#include <algorithm>

namespace chaincast::port::ethdev {

Result<QueueChoice> choose_queues(const QueueWish& wish, QueueDevice& device) {
  const auto with_control = static_cast<uint16_t>(wish.workers + 1);
  const uint16_t wanted = wish.queues != 0 ? wish.queues : with_control;
  QueueChoice out;
  out.rx_queues = std::min({wanted, with_control, wish.rx_max});
  out.tx_queues = std::min(wanted, wish.tx_max);
  if (wish.has_rules && out.rx_queues > 1 &&
      device.configure(out.rx_queues, out.tx_queues, false).ok()) {
    const Result<unsigned> rules = device.try_rules(out.rx_queues);
    if (!rules.ok()) return rules.error();
    out.rules = rules.value();
    // With fewer queues some worker's bulk arrives where control does.
    if (out.rx_queues == with_control) out.control = ControlQueue::own;
    if (out.rules > 0) {
      out.steering = Steering::rules;
      return out;
    }
  }
  out.control = ControlQueue::hashed;
  if (wish.spreads_always && wish.rx_max > 1) {
    out.rx_queues = wish.rx_max;
    Status done = device.configure(out.rx_queues, out.tx_queues, false);
    if (!done.ok()) return done.error();
    return out;
  }
  if (wish.has_hash && out.rx_queues > 1 &&
      device.configure(out.rx_queues, out.tx_queues, true).ok()) {
    // With fewer queues two ports would have to share one, and control with them.
    if (out.rx_queues < with_control) return out;
    const Result<bool> by_port = device.try_port_hash(out.rx_queues);
    if (!by_port.ok()) return by_port.error();
    if (by_port.value()) {
      out.control = ControlQueue::own;
      out.steering = Steering::hash;
    }
    return out;
  }
  out.control = ControlQueue::shared;
  out.rx_queues = 1;
  out.tx_queues = std::min(wish.queues != 0 ? wish.queues : wish.workers, wish.tx_max);
  if (Status done = device.configure(1, out.tx_queues, false); !done.ok()) return done.error();
  return out;
}

}  // namespace chaincast::port::ethdev
