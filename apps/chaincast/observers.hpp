// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "node/node.hpp"

namespace chaincast {

// What lets others look at the node: the HTTP server of `[metrics] address` where one is
// configured, and the commands of DPDK's telemetry. The caller attaches them to the node and keeps
// them until it has stopped running; EAL is up. An address that cannot be had is an error.
Result<std::vector<std::unique_ptr<cli::Console>>> open_observers(node::Node& node);

// One line for the service manager: peers that are up, streams.
std::string summary(node::Node& node);

}  // namespace chaincast
