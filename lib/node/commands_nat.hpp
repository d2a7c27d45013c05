// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "node/node.hpp"
#include "ops/ops.hpp"

namespace chaincast::node {

// `show nat`; of the section "membership".
ops::Operation nat_operation(Node* node);

}  // namespace chaincast::node
