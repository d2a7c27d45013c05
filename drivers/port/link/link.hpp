// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <array>
#include <memory>

#include "base/clock.hpp"
#include "port/port.hpp"

// A bad network in front of any port: what this side transmits is delayed, lost, doubled,
// reordered, altered, throttled or cut off, by a seeded choice, and then sent by the port inside.
// What this side receives is untouched: wrap both ends for both directions.
namespace chaincast::port {

inline constexpr unsigned partitions_max = 64;

// Probabilities are 0..1 per packet. All zero: the link is a wire.
struct LinkSettings {
  TimeNs delay_ns = 0;
  TimeNs jitter_ns = 0;  // added, uniform in [0, jitter]; does not reorder by itself
  double loss = 0;
  double duplication = 0;  // a second copy, right behind the first
  double reordering = 0;   // held reorder_ns longer, so that later packets overtake
  TimeNs reorder_ns = 1 * ns_per_ms;
  double flip = 0;  // one bit of the UDP payload inverted
  // Bytes per second and queue, headers included; 0: no limit. What would wait behind more than
  // rate_queue_bytes is dropped.
  uint64_t rate_bytes_per_s = 0;
  uint64_t rate_queue_bytes = 1u << 20;
  bool is_cut = false;  // drop everything
  // Drop what goes to these remotes; port 0 means any port of the address.
  std::array<Endpoint, partitions_max> cut_remotes{};
  unsigned cut_remote_count = 0;
};

struct LinkConfig {
  uint64_t seed = 1;                 // queue q uses seed + q
  unsigned held_packets_max = 4096;  // per queue; beyond: dropped as overflow
  LinkSettings settings;
};

// Packets; every one offered is in exactly one of: passed, lost, cut, throttled, overflow,
// no_buffer, or still held. A duplicate counts as one more offered.
struct LinkCounters {
  uint64_t offered = 0, passed = 0;
  uint64_t lost = 0, cut = 0, throttled = 0, overflow = 0, no_buffer = 0;
  uint64_t duplicated = 0, reordered = 0, flipped = 0;
  uint64_t held = 0;  // now
};

// Threads: as Port; set() and settings() on control threads, also while workers transmit: a queue
// takes new settings with its next burst. Packets are copied into `pool` while they wait, so they
// pin none of the sender's buffers. Time is the clock's, read once per call; with a clock that
// needs no system call there is none.
class LinkPort : public Port {
 public:
  // Fails with `invalid` on a probability outside 0..1 or too many remotes.
  virtual Status set(const LinkSettings& settings) = 0;
  virtual LinkSettings settings() const = 0;
  virtual LinkCounters link_counters() const = 0;
};

// `pool` and `clock` are borrowed. The pool's buffers hold a whole packet each.
Result<std::unique_ptr<LinkPort>> make_link(std::unique_ptr<Port> inside, const LinkConfig& config,
                                            rte_mempool* pool, const Clock& clock);

}  // namespace chaincast::port
