// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

// The Internet checksum's sum of long runs of bytes, for the data path (RFC 1071). Sums are in
// memory byte order (section 2(B)).
namespace chaincast {

// One's complement sum of `bytes` bytes as if they began at an even offset, folded to 16 bits.
// At most 64 KB. Pure. About 1 ns per 40 bytes, per 100 where the processor has AVX512_VNNI.
uint32_t internet_sum(const uint8_t* data, size_t bytes) noexcept;
// What internet_sum() does on other processors; for tests.
uint32_t internet_sum_avx2(const uint8_t* data, size_t bytes) noexcept;

// Adding the rotated sum leaves low + high + carry in the upper half.
inline uint32_t fold_internet_sum(uint64_t sum) noexcept {
  const auto half = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return (half + std::rotl(half, 16)) >> 16;
}

// A folded sum of bytes that begin at an odd offset of the whole.
inline uint32_t internet_sum_at_odd(uint32_t sum) noexcept {
  return (sum >> 8 | sum << 8) & 0xffff;
}

}  // namespace chaincast
