// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hop/lane.hpp"
#include "stage/burst.hpp"

// Stage `hop`: admits datagrams of known links.
//
// Reads Datagram data, bytes, source; writes peer, hops, frame_count. Order of checks (protocol
// brief, section 2): length, version, hops, link id, source address, replay window, link check
// (batched over the burst). Data datagrams (frame count > 0) stay in the burst; control datagrams
// (frame count 0) and hellos leave through `control`, which copies what it takes.
// Drops: truncated, bad_version, bad_count, too_many_hops, unknown_link, bad_source, replayed,
// too_old, trailing, oversized, bad_check, control_full, hello_limit.
// A lane's window, counters and last_heard change only for datagrams whose check matched (lanes
// with check_off: for all that got that far).
namespace chaincast::hop {

// Takes control datagrams out of the data plane: bounded, never waits.
class ControlSink {
 public:
  virtual ~ControlSink() = default;
  // `lane` is null for hellos. False: no room (counted by the stage).
  virtual bool take(const stage::Datagram& datagram, const RxLane* lane) noexcept = 0;
};

void process(stage::Burst& burst, const LaneTable& lanes, ControlSink& control) noexcept;

}  // namespace chaincast::hop
