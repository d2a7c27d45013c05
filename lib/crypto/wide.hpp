// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "wire/frame.hpp"

// Functions for processors that have AVX-512 with its vector forms of AES and carry-less
// multiplication; private to crypto. Callers ask has_wide() first.
//
// In all of them the maskz forms of intrinsics stand where plain ones would do: GCC 12 warns of its
// own "undefined" operands in those.
#define CC_WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")))
#define CC_WIDE_INLINE CC_WIDE __attribute__((always_inline)) inline

namespace chaincast::crypto {

// Costs a load and a test. Clang before 16 does not know the features' names: other paths do the
// same.
inline bool has_wide() noexcept {
#if !defined(__clang__) || __clang_major__ >= 16
  return __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

inline __m128i load_block(const uint8_t* p) noexcept {
  __m128i v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

CC_WIDE_INLINE __m512i broadcast_block(const uint8_t* p) noexcept {
  return _mm512_maskz_broadcast_i32x4(0xffff, load_block(p));
}

// Byte i of what a frame's digest or tag covers, for i from the hashed header's end on, stands at
// frame[i + frame_gap_bytes]: its tag lies between header and payload.
inline constexpr size_t frame_gap_bytes =
    wire::frame_header_bytes - wire::frame_hashed_header_bytes;

CC_WIDE_INLINE __mmask64 first_bytes(size_t count) noexcept {
  return count >= sizeof(__m512i) ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// The first 64 of these bytes, as far as they are `present`; zeros elsewhere.
CC_WIDE_INLINE __m512i load_around_tag(const uint8_t* frame, __mmask64 present) noexcept {
  constexpr __mmask64 header = (uint64_t{1} << wire::frame_hashed_header_bytes) - 1;
  const __m512i block = _mm512_maskz_loadu_epi8(present & header, frame);
  return _mm512_mask_loadu_epi8(block, present & ~header, frame + frame_gap_bytes);
}

}  // namespace chaincast::crypto
