// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chaincast::cli {

inline constexpr size_t files_read_max = 4096;  // entries of a directory looked at
inline constexpr size_t files_listed_max = 256;

// Paths of this process that begin with `prefix`, directories with a slash behind, for completion.
// Hidden ones only where the prefix names a dot. Bounded by the two limits; empty where nothing can
// be read.
std::vector<std::string> files_with(std::string_view prefix);

}  // namespace chaincast::cli
