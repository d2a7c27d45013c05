// SPDX-License-Identifier: BSD-3-Clause
// The table described to readers: help, docs/commands.md, and itself as JSON.
#include <fmt/format.h>

#include <algorithm>

#include "manual/manual.hpp"
#include "ops/nearest.hpp"
#include "ops/ops.hpp"
#include "ops/parse.hpp"
#include "ops/schema.hpp"

namespace chaincast::ops {

namespace {

const char* type_name(ArgumentType type) {
  switch (type) {
    case ArgumentType::word:
      return "word";
    case ArgumentType::text:
      return "text";
    case ArgumentType::command:
      return "command";
    case ArgumentType::number:
      return "number";
    case ArgumentType::choice:
      return "choice";
    case ArgumentType::port:
      return "port";
    case ArgumentType::peer:
      return "peer";
    case ArgumentType::stream:
      return "stream";
    case ArgumentType::file:
      return "file";
  }
  return "";
}

std::vector<std::string> sections_of(const Table& table) {
  std::vector<std::string> out;
  for (const Operation& operation : table.operations()) {
    if (std::find(out.begin(), out.end(), operation.section) == out.end()) {
      out.push_back(operation.section);
    }
  }
  return out;
}

Json row_of(const Operation& operation) {
  return Json{{"command", usage(operation)}, {"help", operation.help}};
}

Json help_overview(const Table& table) {
  Json sections = Json::array();
  for (const std::string& section : sections_of(table)) {
    size_t count = 0;
    for (const Operation& operation : table.operations()) count += operation.section == section;
    sections.push_back(Json{{"section", section}, {"commands", count}});
  }
  return Json{{"usage", "help SECTION, help all, help COMMAND..."}, {"sections", sections}};
}

Reply help(const Table& table, const std::string& topic) {
  if (topic.empty()) return help_overview(table);
  Json rows = Json::array();
  for (const Operation& operation : table.operations()) {
    const bool named = operation.path == topic || operation.path.starts_with(topic + " ");
    if (topic == "all" || operation.section == topic || named) rows.push_back(row_of(operation));
  }
  if (!rows.empty()) return Json{{"commands", rows}};
  auto known = sections_of(table);
  known.emplace_back("all");
  return error(ErrorCode::not_found,
               fmt::format("help: no section or command '{}'{}", topic, suggestion(topic, known)));
}

std::string constraint(const Argument& argument) {
  std::string out;
  if (argument.type == ArgumentType::number) out = range_text(argument);
  if (argument.type == ArgumentType::choice) {
    out = fmt::format("{}", fmt::join(argument.choices, ", "));
  }
  if (argument.allows_all) out += out.empty() ? "or `all`" : ", or `all`";
  return out;
}

Json describe_argument(const Argument& argument) {
  Json out{{"name", argument.name}, {"type", type_name(argument.type)}, {"help", argument.help}};
  out["optional"] = argument.optional;
  if (!argument.keyword.empty()) out["keyword"] = argument.keyword;
  if (!argument.choices.empty()) out["choices"] = argument.choices;
  if (argument.type == ArgumentType::number) {
    out["min"] = argument.min;
    out["max"] = argument.max;
  }
  if (!argument.unit.empty()) out["unit"] = argument.unit;
  if (argument.allows_all) out["allows_all"] = true;
  return out;
}

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

std::string escaped(std::string text) {
  for (size_t i = text.find('|'); i != std::string::npos; i = text.find('|', i + 2)) {
    text.insert(i, 1, '\\');
  }
  return text;
}

}  // namespace

void add_help(Table& table) {
  Operation operation;
  operation.path = "help";
  operation.section = "control";
  operation.arguments = {optional(argument("topic", ArgumentType::command,
                                           "a section, the first words of a command, or `all`"))};
  operation.help = "list the sections, or the commands of one";
  operation.handler = [&table](const Arguments& arguments) {
    return help(table, arguments.text("topic"));
  };
  table.add(std::move(operation));
}

void add_schema(Table& table) {
  Operation operation;
  operation.path = "show schema";
  operation.section = "display";
  operation.arguments = {
      argument("command", ArgumentType::command, "a command, without its values")};
  operation.help = "JSON Schema of what a command replies";
  operation.handler = [&table](const Arguments& arguments) -> Reply {
    const std::string path = arguments.text("command");
    std::vector<std::string> known;
    for (const Operation& one : table.operations()) {
      if (one.schema.is_null()) continue;
      if (one.path == path) return schema::document(one);
      known.push_back(one.path);
    }
    return error(ErrorCode::not_found,
                 fmt::format("show schema: '{}' has none{}", path, suggestion(path, known)));
  };
  operation.schema = Json{{"$ref", "https://json-schema.org/draft/2020-12/schema"}};
  table.add(std::move(operation));
}

void add_watch(Table& table) {
  Operation operation;
  operation.path = "watch";
  operation.section = "control";
  Argument seconds = argument("seconds", ArgumentType::number, "between two runs");
  seconds.min = 1;
  seconds.max = 3600;
  seconds.unit = std::string("s");
  operation.arguments = {seconds,
                         argument("command", ArgumentType::command, "what to run each time")};
  operation.help = "Repeat a command until a key is pressed";
  operation.handler = [](const Arguments&) -> Reply {
    return error(ErrorCode::unsupported,
                 "watch: runs at a prompt on a terminal, or as `chaincastctl watch`");
  };
  table.add(std::move(operation));
}

Json Table::schemas() const {
  Json out = Json::object();
  for (const Operation& operation : operations_) {
    if (!operation.schema.is_null()) out[operation.path] = schema::document(operation);
  }
  out["error"] = schema::error_document();
  return out;
}

void Table::describe_in(manual::Page& page) const {
  for (const std::string& section : sections_of(*this)) {
    page.section(section);
    for (const Operation& operation : operations_) {
      if (operation.section != section) continue;
      page.subsection(usage(operation));
      page.paragraph(fmt::format("{}. {}", capitalized(operation.help),
                                 operation.access == Access::read ? "Reads only."
                                                                  : "Changes the "
                                                                    "node."));
      for (const Argument& argument : operation.arguments) {
        const std::string name = argument.keyword.empty() ? argument.name : argument.keyword;
        const std::string values = constraint(argument);
        page.item(name, fmt::format("{}{}", argument.help,
                                    values.empty() ? "" : fmt::format(" ({})", values)));
      }
    }
  }
}

std::string Table::reference_markdown() const {
  std::string out =
      "# Commands\n\nGenerated from the operations table; do not edit. The same commands work at "
      "the prompt\n(`chaincast -i`), in command files and through `chaincastctl`. `NAME` is a "
      "value, `[...]` may be\nleft out, `a|b` is a choice. Every `show` ends in an optional "
      "`json`: one JSON document.\n";
  for (const std::string& section : sections_of(*this)) {
    out += fmt::format("\n## {}\n", section);
    for (const Operation& operation : operations_) {
      if (operation.section != section) continue;
      out += fmt::format("\n### `{}`\n\n{} ({})\n", usage(operation), operation.help,
                         operation.access == Access::read ? "read" : "write");
      if (operation.arguments.empty()) continue;
      out += "\n| argument | type | values | meaning |\n|---|---|---|---|\n";
      for (const Argument& argument : operation.arguments) {
        const std::string name = argument.keyword.empty() ? argument.name : argument.keyword;
        out += fmt::format("| `{}` | {} | {} | {} |\n", escaped(name), type_name(argument.type),
                           escaped(constraint(argument)), escaped(argument.help));
      }
    }
  }
  return out;
}

Json Table::describe() const {
  Json out = Json::array();
  for (const Operation& operation : operations_) {
    Json arguments = Json::array();
    for (const Argument& argument : operation.arguments) {
      arguments.push_back(describe_argument(argument));
    }
    out.push_back(Json{{"path", operation.path},
                       {"section", operation.section},
                       {"access", operation.access == Access::read ? "read" : "write"},
                       {"help", operation.help},
                       {"arguments", std::move(arguments)}});
  }
  return out;
}

}  // namespace chaincast::ops
