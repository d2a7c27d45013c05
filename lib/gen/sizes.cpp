// SPDX-License-Identifier: BSD-3-Clause
#include "gen/sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace chaincast::gen {

namespace {

constexpr uint32_t imix_small = 64;
constexpr uint32_t imix_middle = 594;
constexpr uint32_t imix_large = 1518;

std::optional<uint32_t> number(std::string_view text) {
  uint32_t out = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  if (code != std::errc() || stop != end || out > object_bytes_limit) return std::nullopt;
  return out;
}

Error bad(std::string_view text, std::string_view problem) {
  return error(ErrorCode::invalid,
               fmt::format("sizes '{}': {}; write 64,512,1400 or 64-9000 or imix, each at most {}",
                           text, problem, object_bytes_limit));
}

}  // namespace

Result<Sizes> Sizes::parse(std::string_view text) {
  Sizes out;
  if (text == "imix") {
    out.listed_ = {imix_small, imix_middle, imix_small,  imix_small, imix_middle, imix_small,
                   imix_large, imix_small,  imix_middle, imix_small, imix_middle, imix_small};
  } else if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto low = number(text.substr(0, dash));
    const auto high = number(text.substr(dash + 1));
    if (!low || !high) return bad(text, "the range needs two whole numbers");
    if (*low > *high) return bad(text, "the range ends before it starts");
    out.smallest_ = *low;
    out.largest_ = *high;
    return out;
  } else {
    for (size_t at = 0; at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      const auto size = number(text.substr(at, comma - at));
      if (!size) return bad(text, fmt::format("'{}' is no size", text.substr(at, comma - at)));
      if (out.listed_.size() == sizes_listed_max) return bad(text, "more than 1024 sizes");
      out.listed_.push_back(*size);
      at = comma + 1;
    }
  }
  const auto [low, high] = std::minmax_element(out.listed_.begin(), out.listed_.end());
  out.smallest_ = *low;
  out.largest_ = *high;
  return out;
}

uint32_t Sizes::at(uint64_t index, Random& random) const {
  if (!listed_.empty()) return listed_[index % listed_.size()];
  return smallest_ + static_cast<uint32_t>(random.below(uint64_t{largest_} - smallest_ + 1));
}

}  // namespace chaincast::gen
