// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "genesis.hpp"

namespace chaincast {

// The command line: `chaincast [EAL options --] [options]`, or `chaincast keygen ...`, or
// `chaincast genesis ...`.
struct Options {
  std::vector<std::string> eal;  // before `--`
  std::string config_file;
  std::string rest_address;                 // --rest: serve the streaming interface instead
  std::string token_file;                   // of it; empty: none
  std::string ports_address = "127.0.0.1";  // of its instances
  std::string command_file;
  bool is_interactive = false;
  unsigned stats_period_s = 0;  // 0: never
  bool check_config = false;
  bool example_config = false;
  bool print_commands = false;
  bool print_schemas = false;
  std::string manual;  // the page to print
  bool show_version = false;
  std::vector<std::string> keygen;  // its arguments; empty unless asked for
  GenesisOptions genesis;
};

// Parses; where help or a usage error ends the program, `exit_code` is set and the text printed.
Options parse_options(int argc, char** argv, int& exit_code);

// Prints what --version, --example-config and --print-... ask for; false if none was asked.
bool print_and_exit(const Options& options);

// `keygen FILE`, `keygen secret FILE`, `keygen relay-secret FROM TO`.
int run_keygen(const std::vector<std::string>& arguments);

}  // namespace chaincast
