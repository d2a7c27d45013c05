// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/ops.hpp"

// The features of this build and the operations table that they fill. Control thread, at start;
// cost: one allocation per operation.
namespace chaincast::node {

class Node;

// A feature's rows of the operations table.
struct Feature {
  std::string_view name;
  std::vector<ops::Operation> (*operations)(Node* node);
};

// Every feature of this build, in the order of `help`. An explicit list: no start-up constructors.
std::span<const Feature> features();

// Adds every operation. `node` may be null where only the declarations are wanted
// (docs/commands.md). `table` must not move afterwards.
void fill_table(ops::Table& table, Node* node);

// docs/commands.md: every operation, and what the reasons of `show drops` mean.
std::string commands_markdown();

// One JSON document: the schema of each command's reply by its path, and that of errors.
std::string schemas();

}  // namespace chaincast::node
