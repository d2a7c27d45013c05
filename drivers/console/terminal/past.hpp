// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <histedit.h>

#include <string>

// The lines of earlier prompts, in a file of their user's. What cannot be read or written is left:
// a prompt works without its past.
namespace chaincast::console {

inline constexpr size_t past_bytes_max = 4 * 1024 * 1024;  // a longer file is not read

void load_past(History* past, const std::string& file);
// Replaces the file as a whole, mode 0600: two prompts never mix, the later one stays.
void save_past(History* past, const std::string& file);

}  // namespace chaincast::console
