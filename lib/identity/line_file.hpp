// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

// One-line files that only their owner may read. Private to the module; rules and errors as in
// identity.hpp. Control threads; each call waits for the disk.
namespace chaincast::identity {

inline constexpr size_t line_bytes_max = 255;

// The line without its newline. The caller wipes it.
Result<std::string> read_private_line(const std::string& path);
// Creates `path` with the line and a newline; leaves nothing behind on failure.
Status write_private_line(const std::string& path, std::string_view line);
// The same with any text and mode.
Status write_new_file(const std::string& path, std::string_view text, unsigned mode);

}  // namespace chaincast::identity
