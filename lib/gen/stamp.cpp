// SPDX-License-Identifier: BSD-3-Clause
#include "gen/stamp.hpp"

#include <nmmintrin.h>

#include <cstring>

#include "base/assert.hpp"

namespace chaincast::gen {

namespace {

constexpr char magic[] = {'C', 'C', 'G'};
constexpr size_t crc_offset = 28;

uint32_t crc_of(ByteSpan object) noexcept {
  return crc32c(object.subspan(stamp_bytes), crc32c(object.first(crc_offset)));
}

}  // namespace

const char* to_string(StampClock clock) noexcept {
  return clock == StampClock::monotonic ? "monotonic" : "realtime";
}

uint32_t crc32c(ByteSpan bytes, uint32_t crc) noexcept {
  uint64_t state = ~crc;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto rest = static_cast<uint32_t>(state);
  for (; at < bytes.size(); ++at) rest = _mm_crc32_u8(rest, bytes[at]);
  return ~rest;
}

void write_stamp(const Stamp& stamp, std::span<uint8_t> object) noexcept {
  CC_ASSERT(object.size() >= stamp_bytes);
  std::memcpy(object.data(), magic, sizeof magic);
  object[3] = stamp.clock == StampClock::monotonic ? 'M' : 'R';
  store_be32(object.data() + 4, stamp.generator);
  store_be64(object.data() + 8, stamp.index);
  store_be64(object.data() + 16, stamp.time_ns);
  store_be32(object.data() + 24, static_cast<uint32_t>(object.size()));
  store_be32(object.data() + crc_offset, crc_of(object));
}

StampState read_stamp(ByteSpan object, Stamp& out) noexcept {
  if (object.size() < stamp_bytes) return StampState::none;
  if (std::memcmp(object.data(), magic, sizeof magic) != 0) return StampState::none;
  if (object[3] != 'M' && object[3] != 'R') return StampState::none;
  out.clock = object[3] == 'M' ? StampClock::monotonic : StampClock::realtime;
  out.generator = load_be32(object.data() + 4);
  out.index = load_be64(object.data() + 8);
  out.time_ns = load_be64(object.data() + 16);
  const bool whole = load_be32(object.data() + 24) == object.size();
  const bool intact = load_be32(object.data() + crc_offset) == crc_of(object);
  return whole && intact ? StampState::good : StampState::corrupt;
}

}  // namespace chaincast::gen
