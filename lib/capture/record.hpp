// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "stage/drop.hpp"

// What a worker's tap puts into its ring for one datagram: this head, the datagram from the hop
// header on (padded to 4 bytes), and what was lost of it.
namespace chaincast::capture {

// One frame of the datagram that was dropped.
struct Loss {
  uint16_t offset = 0;  // of the frame in the datagram
  stage::Drop reason = stage::Drop::count_;
};

struct Record {
  TimeNs time_ns = 0;  // monotonic
  Endpoint remote;
  uint16_t local_port = 0;
  uint16_t port_id = 0;
  uint16_t bytes = 0;
  uint16_t losses = 0;                     // frames
  stage::Drop drop = stage::Drop::count_;  // why the datagram, or what was left of it, was lost
  bool is_outgoing = false;
  bool is_void = false;  // not wanted after all
};

// A record of `bytes` bytes of which at most `losses_max` frames are lost.
constexpr size_t losses_offset(size_t bytes) {
  return sizeof(Record) + ((bytes + 3) & ~size_t{3});
}
constexpr size_t record_bytes(size_t bytes, size_t losses_max) {
  return losses_offset(bytes) + losses_max * sizeof(Loss);
}

}  // namespace chaincast::capture
