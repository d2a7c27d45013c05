// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include "cli/watch.hpp"

// Repeating a command on a terminal, for prompts and chaincastctl.
namespace chaincast::console {

// Where it happens. A descriptor that is -1 is not looked at.
struct Screen {
  int input_fd = -1;  // a terminal: a key ends it
  int output_fd = 1;  // where it is a terminal, it is cleared before each run
  int stop_fd = -1;   // readable: it ends
};

// Columns and rows of a terminal; 0 for what is none.
struct Size {
  size_t columns = 0;
  size_t rows = 0;
};
Size size_of(int fd);

// Everything, or as much as the other end takes.
void print(int fd, std::string_view text);

// Runs `reply` every watch.seconds and prints what it returns, until a key (Ctrl-C is one here), or
// the stop descriptor. More lines than the terminal has are cut. The calling thread waits.
void repeat(const cli::Watch& watch, const Screen& screen,
            const std::function<std::string()>& reply);

}  // namespace chaincast::console
