// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"

namespace chaincast::test {

// RFC 1071's definition, byte by byte, in host order: the independent reference. `start`: a sum
// so far, not complemented.
inline uint16_t naive_checksum(ByteSpan bytes, uint32_t start = 0) {
  uint64_t sum = start;
  for (size_t i = 0; i < bytes.size(); ++i) sum += uint64_t{bytes[i]} << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace chaincast::test
