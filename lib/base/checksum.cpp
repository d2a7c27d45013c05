// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.hpp"

#include <immintrin.h>

#include <array>
#include <cstring>

namespace chaincast {

namespace {

uint32_t load16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

uint32_t load32(const uint8_t* p) noexcept {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

uint32_t small_sum(const uint8_t* data, size_t bytes) noexcept {
  uint64_t sum = 0;
  size_t i = 0;
  for (; i + 4 <= bytes; i += 4) sum += load32(data + i);
  if (i + 2 <= bytes) {
    sum += load16(data + i);
    i += 2;
  }
  if (i < bytes) sum += data[i];
  return fold_internet_sum(sum);
}

#if !defined(__clang__) || __clang_major__ >= 16
#define CC_WIDE_SUM __attribute__((target("avx512f,avx512bw,avx512vnni")))

bool has_wide_sum() noexcept {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
}

// Bytes at even and at odd offsets apart: VNNI multiplies each with 1 or 0 and adds four of them to
// a 32-bit lane. All lanes of 64 KB together stay below 2^32.
struct WideSum {
  __m512i even;
  __m512i odd;
};

CC_WIDE_SUM inline void add_wide(WideSum& sum, __m512i bytes) noexcept {
  sum.even = _mm512_dpbusd_epi32(sum.even, bytes, _mm512_set1_epi16(0x0001));
  sum.odd = _mm512_dpbusd_epi32(sum.odd, bytes, _mm512_set1_epi16(0x0100));
}

CC_WIDE_SUM uint32_t internet_sum_wide(const uint8_t* data, size_t bytes) noexcept {
  WideSum first = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  WideSum second = first;
  size_t i = 0;
  for (; i + 128 <= bytes; i += 128) {
    add_wide(first, _mm512_loadu_si512(data + i));
    add_wide(second, _mm512_loadu_si512(data + i + 64));
  }
  if (i + 64 <= bytes) {
    add_wide(first, _mm512_loadu_si512(data + i));
    i += 64;
  }
  add_wide(second, _mm512_maskz_loadu_epi8((uint64_t{1} << (bytes - i)) - 1, data + i));
  const __m512i even = _mm512_add_epi32(first.even, second.even);
  const __m512i odd = _mm512_add_epi32(first.odd, second.odd);
  // Maskz forms and a detour by memory: GCC 12 warns of its own "undefined" operands elsewhere.
  alignas(64) std::array<uint32_t, 16> lanes;
  _mm512_store_si512(lanes.data(), _mm512_add_epi32(even, _mm512_maskz_slli_epi32(0xffff, odd, 8)));
  uint64_t sum = 0;
  for (const uint32_t lane : lanes) sum += lane;
  return fold_internet_sum(sum);
}
#endif

}  // namespace

uint32_t internet_sum(const uint8_t* data, size_t bytes) noexcept {
#ifdef CC_WIDE_SUM
  if (has_wide_sum()) return internet_sum_wide(data, bytes);
#endif
  return internet_sum_avx2(data, bytes);
}

uint32_t internet_sum_avx2(const uint8_t* data, size_t bytes) noexcept {
  // 32-bit words in 64-bit lanes: no carry is lost, and the fold is exact at the end.
  const __m256i low_half = _mm256_set1_epi64x(0xffffffff);
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i));
    even = _mm256_add_epi64(even, _mm256_and_si256(words, low_half));
    odd = _mm256_add_epi64(odd, _mm256_srli_epi64(words, 32));
  }
  alignas(32) std::array<uint64_t, 4> lanes;
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), _mm256_add_epi64(even, odd));
  const uint64_t sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  return fold_internet_sum(uint64_t{fold_internet_sum(sum)} + small_sum(data + i, bytes - i));
}

}  // namespace chaincast
