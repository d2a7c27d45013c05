// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chaincast::ops {

// The candidate within a third of `word`'s length in edits (insert, delete, replace, swap of two
// neighbours; at least one edit is allowed), or empty: what a mistyped word probably meant.
// Words longer than 64 characters have no near word. Cost: O(candidates x length^2).
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

// `"; did you mean 'x'?"` where a near word exists, else `"; expected one of: a, b, c"` (at most
// 24 of them), or empty without candidates.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace chaincast::ops
