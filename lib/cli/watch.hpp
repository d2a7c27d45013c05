// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chaincast::cli {

// `watch SECONDS COMMAND...`, which a console with a terminal repeats itself.
struct Watch {
  unsigned seconds = 1;
  std::string command;
};

// Nothing where the line is no such command, or a wrong one: the node says what is wrong with it.
std::optional<Watch> parse_watch(std::string_view line);

}  // namespace chaincast::cli
