// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

// The operations table: each operation is declared once and has several faces (command line,
// Unix socket, REST, generated reference). Handlers run on the node's control thread.
namespace chaincast::manual {
class Page;
}

namespace chaincast::ops {

using Json = nlohmann::ordered_json;

enum class Access { read, write };

enum class ArgumentType {
  word,     // one token
  text,     // rest of the line
  command,  // rest of the line: a command of the table
  number,   // unsigned, min..max, with `unit`
  choice,   // one of `choices`
  port,     // port id, name, or `all` where `allows_all`
  peer,     // peer name or `all`
  stream,   // stream name or `all`
  file,     // path
};

struct Argument {
  std::string name;
  ArgumentType type = ArgumentType::word;
  std::string help;
  std::vector<std::string> choices;
  uint64_t min = 0;
  uint64_t max = ~uint64_t{0};
  std::string unit;
  bool optional = false;
  bool allows_all = false;
  // `keyword value` in the line, e.g. "rate 1000": the keyword, or empty for positional.
  std::string keyword;
};

// Makers, to be combined: optional(keyed(argument("rate", ArgumentType::word, "..."))).
Argument argument(std::string name, ArgumentType type, std::string help);
Argument choice(std::string name, std::vector<std::string> choices, std::string help);
Argument keyed(Argument argument);  // written as "NAME value", anywhere in the line
Argument optional(Argument argument);
Argument or_all(Argument argument);

// Parsed arguments by name.
class Arguments {
 public:
  void set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  void remove(const std::string& name) { values_.erase(name); }
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  // Empty / `fallback` when absent.
  std::string text(const std::string& name, std::string fallback = {}) const;
  uint64_t number(const std::string& name, uint64_t fallback = 0) const;

 private:
  std::map<std::string, std::string> values_;
};

// A reply is one JSON tree; text faces render it as tables (cli/render.hpp).
using Reply = Result<Json>;

struct Operation {
  std::string path;     // "show peers", "add peer": literal words, testpmd order (verb first)
  std::string section;  // help section: control, display, config, ports, peers, streams
  std::vector<Argument> arguments;
  Access access = Access::read;
  std::string help;  // one line
  std::function<Reply(const Arguments&)> handler;
  // What the reply looks like (schema.hpp). Null: not declared; every `show` declares it.
  Json schema = nullptr;
};

// An ordered table. Registration order is help order. Owner: the node; control thread only.
class Table {
 public:
  // Fails (broken invariant) on a duplicate path.
  void add(Operation operation);
  void add(std::vector<Operation> operations);
  const std::vector<Operation>& operations() const { return operations_; }

  // Longest literal path match, then arguments (parse.hpp says how words find theirs);
  // abbreviations are not accepted. Errors name the token, its position and what was expected (with
  // the nearest known word).
  struct Match {
    const Operation* operation;  // valid until the next add()
    Arguments arguments;
  };
  Result<Match> match(std::string_view line) const;
  // match, then the handler.
  Reply run(std::string_view line) const;
  // What may follow `line` (its last token may be incomplete). `values` yields live names for
  // port, peer and stream arguments, and files that begin with `prefix`, which others may ignore.
  using Values = std::function<std::vector<std::string>(ArgumentType, std::string_view prefix)>;
  std::vector<std::string> complete(std::string_view line, const Values& values) const;
  // docs/commands.md.
  std::string reference_markdown() const;
  // Every operation as items of a manual page, by section.
  void describe_in(manual::Page& page) const;
  // The table itself: paths, arguments, access, help.
  Json describe() const;
  // The documents of schema.hpp by path, of operations that declare one, and that of errors.
  Json schemas() const;

 private:
  std::vector<Operation> operations_;
};

// Adds `help [TOPIC]`: the sections, or the commands of one section, of `all`, or those whose path
// starts with TOPIC. The handler refers to `table`, which must neither move nor die before it.
void add_help(Table& table);
// Adds `show schema COMMAND`, under the same terms.
void add_schema(Table& table);
// Adds `watch SECONDS COMMAND`. Consoles with a terminal run it themselves (cli/watch.hpp).
void add_watch(Table& table);

}  // namespace chaincast::ops
