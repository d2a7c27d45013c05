// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "metrics/metrics.hpp"

// A node's metrics: one table for each `show`.
namespace chaincast::node {

std::span<const metrics::Table> metric_tables();

// The whole page, from what `run` (Node::run) replies to the tables' commands. Control thread;
// costs what the commands cost. At most a few hundred bytes for each peer, port, stream and metric.
std::string metrics_page(const std::function<ops::Reply(std::string_view)>& run);

}  // namespace chaincast::node
