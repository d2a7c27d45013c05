// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include "generator.hpp"

namespace chaincast::generator {

struct CommandLine {
  std::string socket = "/run/chaincast/chaincast.sock";
  bool sends = false;  // else it receives
  SendOptions send;
  ReceiveOptions receive;
};

// Fills `line`, or returns the exit code where the program ends here: help was printed, or what is
// wrong.
std::optional<int> parse_arguments(int argc, char** argv, CommandLine& line);

}  // namespace chaincast::generator
