// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/thread.hpp"
#include "cli/console.hpp"
#include "node/node.hpp"

namespace chaincast {

// What lets programs reach the node: the HTTP servers of `[metrics] address` and `[rest] address`
// where these are configured, and the commands of DPDK's telemetry. The caller attaches them to the
// node and keeps them until it has stopped running; EAL is up. An address that cannot be had is an
// error.
Result<std::vector<std::unique_ptr<cli::Console>>> open_observers(
    node::Node& node, const base::ThreadStarter& threads);

// One line for the service manager: peers that are up, streams.
std::string summary(node::Node& node);

}  // namespace chaincast
