// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"
#include "base/random.hpp"

namespace chaincast::test {

template <typename Container>
void fill_random(Random& random, Container&& out) {
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random.next());
}

inline Bytes random_bytes(Random& random, size_t count) {
  Bytes out(count);
  fill_random(random, out);
  return out;
}

}  // namespace chaincast::test
