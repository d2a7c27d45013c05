// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "load/cable.hpp"

// Source and sink at the near end of a cable, on one thread: frames leave at a fixed rate, and each
// copy that comes back is known by its seq and its peer (RFC 2544 26.1 to 26.3; RFC 3918 4.3, 5.1
// and 5.2, with every frame tagged).
namespace chaincast::bench::load {

struct TesterPlan {
  double frames_per_s = 1e6;
  uint64_t attempts = 0;  // frames to offer; ends sooner where packets are used up
  unsigned fanout = 1;
  double warm_share = 0.1;         // of the frames, first ones, that no time is taken of
  uint64_t drain_ns = 20'000'000;  // after the last frame or copy, until what is missing is lost
  // Called before the attempt `change_at`, by the tester's thread; then copies to one peer are
  // watched.
  std::function<void()> change;
  uint64_t change_at = 0;
  unsigned watched_peer = 0;
};

struct TesterResult {
  uint64_t offered = 0;            // attempts
  uint64_t missed = 0;             // that found the cable full; the frame is offered again
  uint64_t delivered = 0;          // copies
  uint64_t complete = 0;           // frames of which every copy came
  uint64_t twice = 0;              // copies that came more than once, or of no frame
  uint64_t late = 0;               // attempts more than 1 us after their time
  double offer_ns = 0;             // from the first attempt to the last
  double deliver_ns = 0;           // from the first copy to the last
  double first_watched_ns = -1;    // from the change to the first copy for the watched peer
  double last_watched_ns = -1;     // and to the last one
  std::vector<double> latency_ns;  // to the first copy of each complete frame
  std::vector<double> skew_ns;     // from its first copy to its last
  std::vector<double> slow_at_ns;  // the slowest thousandth's moments of sending, from the first
};

// Sends `packets`, whose frames have seqs from `first_seq` on, one frame each; takes ownership. A
// frame that finds the cable full is offered again at the next attempt: the attempt is lost, and
// the stream has no gap, which a network would close by repair and this tester cannot.
TesterResult test(Cable& cable, const TesterPlan& plan, std::vector<rte_mbuf*> packets,
                  uint64_t first_seq);

}  // namespace chaincast::bench::load
