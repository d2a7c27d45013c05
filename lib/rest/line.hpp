// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>

#include "base/result.hpp"
#include "ops/ops.hpp"

// A command line made of arguments by name: the reverse of ops::Table::match. Pure; any thread.
namespace chaincast::rest {

using Values = std::map<std::string, std::string>;

// Whatever a value holds, it stays one word of the line. `invalid` names an argument that the
// operation does not know, one that is missing, or a value that no line can carry.
Result<std::string> line_of(const ops::Operation& operation, const Values& values);
// Strings as they are, numbers and flags as people write them ("on", "off"). `invalid` names
// anything else.
Result<Values> values_of(const ops::Json& object);

}  // namespace chaincast::rest
