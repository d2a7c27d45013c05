// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>

#include "stage/burst.hpp"
#include "stream/stream.hpp"

// Stages `probe` and `commit` over the streams' dedup windows: probe before verify, commit after,
// so that a duplicate costs one load and a forgery never marks a frame as seen.
namespace chaincast::stream {

// Reads Frame stream, seq, tag48; writes is_conflict. A hit writes nothing shared but its counter.
// Drops: stale, ahead, duplicate, conflict (budget spent).
void probe(stage::Burst& burst) noexcept;

// Reads Frame stream, seq, tag48, digest, bytes, length. The winner of a frame stores it in the
// window (stage `record`); losers of a race are duplicates. Writes sum of long ones where the burst
// wants it. Then moves the windows of the streams it touched. Drops: duplicate, stale, ahead,
// conflict, bad_link.
void commit(stage::Burst& burst) noexcept;

// For streams with OriginMarks: marks the frames whose datagram came over the origin's own link.
// Before probe, duplicates of frames that came otherwise included: where the tag covers the digest,
// what the origin sends under that tag is the frame that the window has. After commit, all suites:
// what the window took is what came. Reads Frame stream, seq, tag48, datagram and Datagram peer.
// Drops, before probe: conflict (of a stream of this node's own, and not made here).
void mark_origin_arrivals(stage::Burst& burst) noexcept;
void mark_origin_commits(stage::Burst& burst) noexcept;

}  // namespace chaincast::stream
