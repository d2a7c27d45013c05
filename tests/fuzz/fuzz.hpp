// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "base/bytes.hpp"

// libFuzzer's entry point: any bytes, no crash, no read outside `data`. Every target also asserts
// its format's invariant with CC_ASSERT. Returns 0. Called by one thread.
extern "C" [[gnu::visibility("default")]] int LLVMFuzzerTestOneInput(const uint8_t* data,
                                                                     size_t size);
