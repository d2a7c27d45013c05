// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Functions for processors that have AVX-512 with its vector forms of AES and carry-less
// multiplication; private to crypto. Callers ask has_wide() first. Where the compiler does not know
// the features' names (clang before 16) it is false and no such function is called.
//
// In all of them the maskz forms of intrinsics stand where plain ones would do: GCC 12 warns of its
// own "undefined" operands in those.
#if !defined(__clang__) || __clang_major__ >= 16
#define CC_WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")))
#else
#define CC_WIDE
#endif
#define CC_WIDE_INLINE CC_WIDE __attribute__((always_inline)) inline

namespace chaincast::crypto {

// Costs a load and a test.
inline bool has_wide() noexcept {
#if !defined(__clang__) || __clang_major__ >= 16
  return __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

}  // namespace chaincast::crypto
