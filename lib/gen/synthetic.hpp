// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "gen/sizes.hpp"

namespace chaincast::gen {

// Object number `index` of the made-up sequence of `seed`: its size by `sizes`, its bytes
// incompressible. Depends on nothing else, so that any object can be made again. Pure; any thread;
// about 0.2 ns a byte. `out` keeps its memory from call to call.
void synthetic_object(const Sizes& sizes, uint64_t seed, uint64_t index, Bytes& out);

}  // namespace chaincast::gen
