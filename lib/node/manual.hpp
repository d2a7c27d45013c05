// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

// The manual pages that the operations table and the keys of the configuration fill. They need no
// node; any thread.
namespace chaincast::node {

std::string commands_manual();  // chaincast-commands(7)
std::string config_manual();    // chaincast.toml(5)

}  // namespace chaincast::node
