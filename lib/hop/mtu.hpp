// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"

// Packetisation-layer path MTU discovery of one link (RFC 8899). Pure: says what to probe and when,
// is told what came back. Sizes are of whole IP packets.
//
// Order: the base (1280) is confirmed, then the limit of both ports is tried at once, then the
// usual sizes upward, then halving until the largest size that passes is known exactly. What passed
// is confirmed every confirm_ns; if it stops passing while the link lives (a black hole),
// the search starts again. A larger size is tried every raise_ns.
namespace chaincast::hop {

class MtuSearch {
 public:
  static constexpr uint16_t base_bytes = 1280;
  static constexpr uint16_t least_bytes = 576;  // below this a path is not usable
  static constexpr unsigned tries_max = 8;  // 10 % loss each way: all lost once in 600,000 sizes
  static constexpr TimeNs confirm_ns = 5 * ns_per_s;
  static constexpr TimeNs raise_ns = 60 * ns_per_s;

  struct Probe {
    uint32_t id = 0;
    uint16_t bytes = 0;
  };

  // Starts from nothing. `limit_bytes`: what both ports take.
  void start(uint16_t limit_bytes, TimeNs now_ns);
  // The probe to send now, if one is due. Resent after `timeout_ns`. `heard_ns`: newest sign of
  // life of the peer; silence of a dead link proves nothing about a size.
  std::optional<Probe> due(TimeNs now_ns, TimeNs timeout_ns, TimeNs heard_ns);
  // A reply arrived.
  void answered(uint32_t id, uint16_t bytes, TimeNs now_ns);

  uint16_t mtu_bytes() const { return mtu_bytes_; }  // proven; 0: nothing yet
  TimeNs next_ns() const { return next_ns_; }
  bool settled() const { return settled_; }

 private:
  void choose(TimeNs now_ns);
  uint16_t next_target() const;
  void aim(uint16_t target, TimeNs now_ns);
  void failed(TimeNs now_ns);

  uint16_t limit_ = 0;
  uint16_t mtu_bytes_ = 0;
  uint16_t passed_ = 0;  // largest that passed in this search
  uint32_t failed_ = 0;  // smallest that failed; limit + 1 if none
  uint16_t target_ = 0;
  unsigned tries_ = 0;
  bool settled_ = false;
  uint32_t first_id_ = 1;  // of this target
  uint32_t next_id_ = 1;
  TimeNs first_try_ns_ = 0;
  TimeNs confirmed_ns_ = 0;  // when passed_ last passed
  TimeNs raise_at_ns_ = 0;
  TimeNs next_ns_ = time_never;
};

}  // namespace chaincast::hop
