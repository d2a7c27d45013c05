// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"

// The sizes of synthetic objects, as written on a command line. Pure; a plain value.
namespace chaincast::gen {

inline constexpr uint32_t object_bytes_limit = 16u << 20;
inline constexpr size_t sizes_listed_max = 1'024;

class Sizes {
 public:
  // "64,512,1400": in turn, in this order; "64-9000": uniform over the range; "imix": 64, 594 and
  // 1518 bytes as 7:4:1, in a fixed mix of twelve. `invalid` names what is wrong with the text.
  static Result<Sizes> parse(std::string_view text);

  // Of the object with that index. `random` is that object's own, and is used for ranges only.
  uint32_t at(uint64_t index, Random& random) const;
  uint32_t smallest() const { return smallest_; }
  uint32_t largest() const { return largest_; }

 private:
  std::vector<uint32_t> listed_;  // empty: a range
  uint32_t smallest_ = 0;
  uint32_t largest_ = 0;
};

}  // namespace chaincast::gen
