// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/random.hpp"

namespace chaincast::wire {

// Bytes of a hex text with blanks.
inline Bytes unhex(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits),
               [](char c) { return c != ' ' && c != '\n'; });
  return from_hex(digits).value();
}

// A heap copy of exactly the given size, so that the address sanitizer sees one byte too far.
class ExactCopy {
 public:
  explicit ExactCopy(ByteSpan bytes) : bytes_(new uint8_t[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  ByteSpan span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_;
};

// Calls `check(ByteSpan)` with every proper prefix of `good`.
template <typename Check>
void for_each_truncation(ByteSpan good, Check check) {
  for (size_t size = 0; size < good.size(); ++size) check(ExactCopy(good.first(size)).span());
}

// Calls `check(ByteSpan)` with `rounds` damaged copies: bytes overwritten, inserted, removed.
template <typename Check>
void for_each_mutation(ByteSpan good, uint64_t seed, unsigned rounds, Check check) {
  Random random(seed);
  for (unsigned round = 0; round < rounds; ++round) {
    Bytes bytes(good.begin(), good.end());
    for (uint64_t edits = 1 + random.below(4); edits > 0 && !bytes.empty(); --edits) {
      const auto at = static_cast<ptrdiff_t>(random.below(bytes.size()));
      const auto value = static_cast<uint8_t>(random.below(256));
      switch (random.below(4)) {
        case 0:
          bytes.insert(bytes.begin() + at, value);
          break;
        case 1:
          bytes.erase(bytes.begin() + at);
          break;
        default:
          bytes[static_cast<size_t>(at)] = value;
          break;
      }
    }
    check(ExactCopy(bytes).span());
  }
}

// 0, 1, 2, ... from `first`: recognisable contents for fixed-size fields.
template <typename Array>
Array counting(uint8_t first) {
  Array out{};
  std::iota(out.begin(), out.end(), first);
  return out;
}

}  // namespace chaincast::wire
