// SPDX-License-Identifier: BSD-3-Clause
#include "gen/synthetic.hpp"

#include <algorithm>
#include <cstring>

#include "base/random.hpp"

namespace chaincast::gen {

void synthetic_object(const Sizes& sizes, uint64_t seed, uint64_t index, Bytes& out) {
  // Two steps, or neighbouring seeds would share objects.
  Random random(Random(seed).next() + index);
  out.resize(sizes.at(index, random));
  for (size_t at = 0; at < out.size(); at += 8) {
    uint8_t word[8];
    store_be64(word, random.next());
    std::memcpy(out.data() + at, word, std::min<size_t>(8, out.size() - at));
  }
}

}  // namespace chaincast::gen
