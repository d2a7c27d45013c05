// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/ops.hpp"

// How a line becomes words and words become arguments: shared by matching and completion, so that
// what completes is what parses. Pure; any thread.
namespace chaincast::ops {

struct Token {
  std::string text;   // without quotes
  size_t offset = 0;  // of its first character in the line
};

// Words separated by blanks; "double quotes" keep blanks together, with \" and \\ inside. A
// missing closing quote is an error (and, for completion, ends at the end of the line).
Result<std::vector<Token>> split_words(std::string_view line);

// "1..65535 packets", "at most 10 ms", "any number".
std::string range_text(const Argument& argument);
// "add peer NAME ADDRESS [rate RATE]".
std::string usage(const Operation& operation);
std::vector<std::string> path_words(const Operation& operation);

// Assigns tokens to an operation's arguments, one at a time. Positional arguments are taken in
// order; keyword arguments anywhere, except that a required positional declared before the keyword
// goes first (so that a peer may be called "rate").
class Binder {
 public:
  explicit Binder(const Operation& operation)
      : operation_(operation), bound_(operation.arguments.size(), false) {}

  // `position` counts words from 1. `rest` is the line from this token on, for text arguments.
  Status feed(const Token& token, size_t position, std::string_view rest);
  // A text argument swallowed the rest of the line.
  bool complete() const { return complete_; }
  // Fails with the usage line if a required argument is missing.
  Status finish() const;

  // Arguments that the next token may belong to: one after a keyword, else the next positional and
  // every keyword still open. A keyword argument listed here stands for its keyword unless
  // `value_expected`.
  std::vector<const Argument*> expected() const;
  bool value_expected() const { return awaiting_.has_value(); }
  const Arguments& arguments() const { return arguments_; }

 private:
  std::optional<size_t> next_positional() const;
  std::optional<size_t> open_keyword(std::string_view word) const;
  Status store(size_t index, const Token& token, size_t position, std::string_view rest);

  const Operation& operation_;
  std::vector<bool> bound_;
  std::optional<size_t> awaiting_;  // keyword seen, value not yet
  bool complete_ = false;
  Arguments arguments_;
};

}  // namespace chaincast::ops
