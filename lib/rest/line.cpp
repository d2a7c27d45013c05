// SPDX-License-Identifier: BSD-3-Clause
#include "rest/line.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace chaincast::rest {

namespace {

Error invalid(std::string message) {
  return error(ErrorCode::invalid, std::move(message));
}

std::string quoted(const std::string& word) {
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

bool takes_rest(const ops::Argument& argument) {
  return argument.type == ops::ArgumentType::text || argument.type == ops::ArgumentType::command;
}

bool is_one_line(const std::string& value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
}

std::string names_of(const ops::Operation& operation) {
  std::string out;
  for (const ops::Argument& argument : operation.arguments) {
    out += (out.empty() ? "" : ", ") + argument.name;
  }
  return out.empty() ? "none" : out;
}

Status check_names(const ops::Operation& operation, const Values& values) {
  for (const auto& [name, value] : values) {
    const bool is_known =
        std::any_of(operation.arguments.begin(), operation.arguments.end(),
                    [&name = name](const ops::Argument& one) { return one.name == name; });
    if (!is_known) {
      return invalid(fmt::format("'{}': no argument of `{}`; it takes: {}", name, operation.path,
                                 names_of(operation)));
    }
    if (!is_one_line(value)) {
      return invalid(fmt::format("{}: a value must be one line", name));
    }
  }
  return {};
}

}  // namespace

Result<std::string> line_of(const ops::Operation& operation, const Values& values) {
  if (Status known = check_names(operation, values); !known) return known.error();
  std::string line = operation.path;
  bool has_gap = false;  // an optional positional argument was left out
  for (const ops::Argument& argument : operation.arguments) {
    const auto found = values.find(argument.name);
    if (found == values.end()) {
      if (!argument.optional) {
        return invalid(
            fmt::format("{}: `{}` needs it: {}", argument.name, operation.path, argument.help));
      }
      has_gap = has_gap || argument.keyword.empty();
      continue;
    }
    if (has_gap && argument.keyword.empty()) {
      return invalid(fmt::format("{}: `{}` takes it only with the arguments before it",
                                 argument.name, operation.path));
    }
    if (!argument.keyword.empty()) line += " " + argument.keyword;
    line += " " + (takes_rest(argument) ? found->second : quoted(found->second));
  }
  return line;
}

Result<Values> values_of(const ops::Json& object) {
  if (!object.is_object()) return invalid("the body must be a JSON object of arguments");
  Values out;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string()) {
      out[name] = value.get<std::string>();
    } else if (value.is_number()) {
      out[name] = value.dump();
    } else if (value.is_boolean()) {
      out[name] = value.get<bool>() ? "on" : "off";
    } else {
      return invalid(fmt::format("{}: must be a string, a number or a flag", name));
    }
  }
  return out;
}

}  // namespace chaincast::rest
