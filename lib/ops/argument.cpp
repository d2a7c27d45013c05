// SPDX-License-Identifier: BSD-3-Clause
#include "ops/ops.hpp"

namespace chaincast::ops {

Argument argument(std::string name, ArgumentType type, std::string help) {
  Argument out;
  out.name = std::move(name);
  out.type = type;
  out.help = std::move(help);
  return out;
}

Argument choice(std::string name, std::vector<std::string> choices, std::string help) {
  Argument out = argument(std::move(name), ArgumentType::choice, std::move(help));
  out.choices = std::move(choices);
  return out;
}

Argument keyed(Argument argument) {
  argument.keyword = argument.name;
  return argument;
}

Argument optional(Argument argument) {
  argument.optional = true;
  return argument;
}

Argument or_all(Argument argument) {
  argument.allows_all = true;
  return argument;
}

}  // namespace chaincast::ops
