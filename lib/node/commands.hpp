// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "node/node.hpp"
#include "ops/ops.hpp"

// The operations of a node, by help section. Handlers run on the control thread; `node` is
// not touched before (the reference is generated without one).
namespace chaincast::node {

std::vector<ops::Operation> control_operations(Node* node);
std::vector<ops::Operation> display_operations(Node* node);
std::vector<ops::Operation> config_operations(Node* node);
std::vector<ops::Operation> port_operations(Node* node);
std::vector<ops::Operation> peer_operations(Node* node);
std::vector<ops::Operation> stream_operations(Node* node);
std::vector<ops::Operation> membership_operations(Node* node);
std::vector<ops::Operation> sight_operations(Node* node);
std::vector<ops::Operation> latency_operations(Node* node);  // of the section "sight"

// Rows of `show links`: this node's links in the network's graph.
ops::Json network_links(const Membership& membership);
ops::Json network_link_schema();

}  // namespace chaincast::node
