// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "stage/burst.hpp"
#include "stream/stream.hpp"

// Stage `classify`: cuts admitted datagrams into frames and finds their streams.
//
// Reads Datagram data, bytes, frame_count (lengths were checked by hop); writes all Frame fields
// but digest and is_conflict, and Datagram frames_kept. Drops: truncated, unknown_stream,
// unknown_epoch, bad_suite, oversized.
namespace chaincast::classify {

// Where the next round of a burst goes on: a burst may hold more frames than one round takes.
struct Cursor {
  unsigned datagram = 0;
};

// Fills the burst with the frames of the next whole datagrams, at most frames_max: a datagram that
// two rounds share could not travel on in its own buffer. Returns false when nothing was left.
bool process(stage::Burst& burst, Cursor& cursor, const stream::StreamTable& streams) noexcept;

}  // namespace chaincast::classify
