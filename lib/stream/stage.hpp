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
// window (stage `record`); losers of a race are duplicates. Then moves the windows of the streams
// it touched. Drops: duplicate, stale, ahead, conflict, bad_link.
void commit(stage::Burst& burst) noexcept;

}  // namespace chaincast::stream
