// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

// The stamp that a generator puts at the front of an object, so that a receiver can tell loss,
// duplication, order, content and latency from the objects alone. Pure; any thread; a write or a
// read costs one CRC over the object (about 0.1 ns a byte).
//
//   offset  bytes
//   0       3      "CCG"
//   3       1      clock: 'M' CLOCK_MONOTONIC, 'R' CLOCK_REALTIME
//   4       4      generator: drawn at random for each run
//   8       8      index: counts this generator's objects from 0
//   16      8      time in ns, when the object was handed to the node
//   24      4      length of the whole object
//   28      4      CRC-32C over bytes 0..27 and 32..end
// All numbers are big-endian.
namespace chaincast::gen {

inline constexpr size_t stamp_bytes = 32;

enum class StampClock : uint8_t {
  monotonic,  // comparable on one host only
  realtime,   // comparable where clocks are synchronised
};
const char* to_string(StampClock clock) noexcept;

struct Stamp {
  StampClock clock = StampClock::monotonic;
  uint32_t generator = 0;
  uint64_t index = 0;
  uint64_t time_ns = 0;
  bool operator==(const Stamp&) const = default;
};

// CRC-32C (RFC 3720, B.4) of `bytes`; pass an earlier result as `crc` to go on with it.
uint32_t crc32c(ByteSpan bytes, uint32_t crc = 0) noexcept;

// Overwrites the first stamp_bytes of the object, which must be that long.
void write_stamp(const Stamp& stamp, std::span<uint8_t> object) noexcept;

enum class StampState : uint8_t {
  none,     // too short for a stamp, or another beginning
  good,     //
  corrupt,  // begins like a stamp, but length or CRC disagree: no field is to be trusted
};
// `out` is filled unless the answer is `none`.
StampState read_stamp(ByteSpan object, Stamp& out) noexcept;

}  // namespace chaincast::gen
