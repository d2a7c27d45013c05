// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "console/terminal/terminal.hpp"

namespace chaincast::console {

// Body of the terminal's thread: reads lines, asks, prints, until end of input, `stop_fd` readable
// or the handover closed.
void read_lines(const TerminalOptions& options, Handover& handover, int stop_fd);

// What completion adds: `candidates` are whole words for the last word of `line`. The text to
// insert: the rest of their common prefix, and a blank if there is one candidate only.
std::string completion_text(std::string_view line, const std::vector<std::string>& candidates);

}  // namespace chaincast::console
