// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "port/port.hpp"

// How many queues a device gets, and what fills those that it receives into. The decision alone:
// the device behind it is an interface. Control thread.
namespace chaincast::port::ethdev {

struct QueueWish {
  uint16_t workers = 1;
  uint16_t queues = 0;  // of the configuration; 0: one per worker, and one before them for control
  uint16_t rx_max = 1;  // that the device has
  uint16_t tx_max = 1;
  bool has_rules = false;       // its driver knows flow rules, if perhaps none that are wanted
  bool has_hash = false;        // it can spread UDP over queues by a hash of addresses and ports
  bool spreads_always = false;  // it does so over all that it has, untold
};

// What brings a lane to its queue.
enum class Steering : uint8_t {
  none,
  rules,  // flow rules: exactly
  hash,   // the key and table of its hash: as the device hashes, so the receiver looks again
};

// A device that can be configured while it is stopped, as often as wanted; the last time counts.
class QueueDevice {
 public:
  virtual ~QueueDevice() = default;
  virtual Status configure(uint16_t rx_queues, uint16_t tx_queues, bool by_hash) = 0;
  // How many rules it takes to steer UDP port base + q to queue q for each q; 0: it cannot.
  // Leaves it stopped and without rules.
  virtual Result<unsigned> try_rules(uint16_t rx_queues) = 0;
  // Whether its hash, configured before, can be made one of the UDP port: base + q to queue q.
  // Leaves it stopped.
  virtual Result<bool> try_port_hash(uint16_t rx_queues) = 0;
};

struct QueueChoice {
  ControlQueue control = ControlQueue::shared;
  uint16_t rx_queues = 1;
  uint16_t tx_queues = 1;
  Steering steering = Steering::none;
  unsigned rules = 0;
};

// Leaves the device configured with what it returns. In this order:
//   rules: queue 0 has control, queue 1 + w the bulk of worker w;
//   key:   the same by a hash that shows the UDP port alone, where all of these queues are had;
//   hash:  any packet may be in any queue; control waits only behind bulk of the same hash;
//   one queue for all. Transmit queues beyond one per worker are taken with the first three only:
//   where a transmit queue ends in the same queue of another process nobody may be there.
Result<QueueChoice> choose_queues(const QueueWish& wish, QueueDevice& device);

}  // namespace chaincast::port::ethdev
