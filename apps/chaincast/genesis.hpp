// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "identity/genesis.hpp"

// `chaincast genesis FILE ...`: the file that a network begins with (docs/membership.md).
namespace chaincast {

struct GenesisOptions {
  std::string file;  // empty: not asked for
  std::string admission;
  // Key files, or keys as 64 hex digits.
  std::vector<std::string> founders, endorsers, admitted;
  // Name, threshold, votes, links; the keys come of the above.
  identity::Genesis genesis;
};

// Writes the file, which must not exist, and prints the id of the network. The exit code.
int run_genesis(const GenesisOptions& options);

}  // namespace chaincast
