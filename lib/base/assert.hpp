// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <cstdlib>

// Broken invariants end the process: CC_ASSERT is always on and costs one predictable branch, so
// it belongs once per call or per burst. CC_ASSERT_FRAME is for checks per frame: on only where
// CHAINCAST_PARANOID is defined (debug, sanitizer and fuzz builds).
namespace chaincast::base {

[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "chaincast: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace chaincast::base

#define CC_ASSERT(condition)                         \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::chaincast::base::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef CHAINCAST_PARANOID
#define CC_ASSERT_FRAME(condition) CC_ASSERT(condition)
#else
#define CC_ASSERT_FRAME(condition) static_cast<void>(0)
#endif
