// SPDX-License-Identifier: BSD-3-Clause
#include "ops/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ops/nearest.hpp"

namespace chaincast::ops {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool takes_rest(const Argument& argument) {
  return argument.type == ArgumentType::text || argument.type == ArgumentType::command;
}

std::string heading(const Argument& argument) {
  std::string out = argument.name;
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

// More choices than fit a line are listed below the usage only.
constexpr size_t shape_choices_max = 60;

std::string shape(const Argument& argument) {
  std::string value = heading(argument);
  const std::string choices = fmt::format("{}", fmt::join(argument.choices, "|"));
  if (!choices.empty() && choices.size() <= shape_choices_max) value = choices;
  if (argument.allows_all) value += "|all";
  if (takes_rest(argument)) value += "...";
  if (!argument.keyword.empty()) value = argument.keyword + " " + value;
  return argument.optional ? "[" + value + "]" : value;
}

Status check_number(const Argument& argument, const Token& token, size_t position) {
  uint64_t value = 0;
  const char* end = token.text.data() + token.text.size();
  const auto [stop, code] = std::from_chars(token.text.data(), end, value);
  const bool parsed = code == std::errc() && stop == end && !token.text.empty();
  if (parsed && value >= argument.min && value <= argument.max) return {};
  return error(ErrorCode::invalid, fmt::format("'{}' at word {}: {} must be {}", token.text,
                                               position, argument.name, range_text(argument)));
}

Status check_choice(const Argument& argument, const Token& token, size_t position) {
  const auto& choices = argument.choices;
  if (std::find(choices.begin(), choices.end(), token.text) != choices.end()) return {};
  const std::string near = nearest_word(token.text, choices);
  return error(
      ErrorCode::invalid,
      fmt::format("'{}' at word {}: {} must be one of {}{}", token.text, position, argument.name,
                  fmt::join(choices, "|"), near.empty() ? "" : "; did you mean '" + near + "'?"));
}

Status check_value(const Argument& argument, const Token& token, size_t position) {
  if (argument.allows_all && token.text == "all") return {};
  if (token.text.empty()) {
    return error(ErrorCode::invalid,
                 fmt::format("word {}: {} must not be empty", position, argument.name));
  }
  if (argument.type == ArgumentType::number) return check_number(argument, token, position);
  if (argument.type == ArgumentType::choice) return check_choice(argument, token, position);
  const bool named = argument.type == ArgumentType::port || argument.type == ArgumentType::peer ||
                     argument.type == ArgumentType::stream;
  if (named && token.text == "all") {
    return error(ErrorCode::invalid, fmt::format("'all' at word {}: this command takes one {} only",
                                                 position, argument.name));
  }
  return {};
}

}  // namespace

Result<std::vector<Token>> split_words(std::string_view line) {
  std::vector<Token> out;
  size_t i = 0;
  while (i < line.size()) {
    if (is_blank(line[i])) {
      ++i;
      continue;
    }
    Token token{{}, i};
    bool quoted = false;
    for (; i < line.size() && (quoted || !is_blank(line[i])); ++i) {
      const bool escapes = quoted && line[i] == '\\' && i + 1 < line.size() &&
                           (line[i + 1] == '"' || line[i + 1] == '\\');
      if (escapes) {
        token.text += line[++i];
      } else if (line[i] == '"') {
        quoted = !quoted;
      } else {
        token.text += line[i];
      }
    }
    if (quoted) {
      return error(ErrorCode::invalid,
                   fmt::format("word {}: no closing quote; add \" at its end", out.size() + 1));
    }
    out.push_back(std::move(token));
  }
  return out;
}

std::string range_text(const Argument& argument) {
  const std::string unit = argument.unit.empty() ? "" : " " + argument.unit;
  if (argument.max != ~uint64_t{0}) {
    return fmt::format("{}..{}{}", argument.min, argument.max, unit);
  }
  if (argument.min > 0) return fmt::format("at least {}{}", argument.min, unit);
  return argument.unit.empty() ? "a whole number" : "a whole number of " + argument.unit;
}

std::string usage(const Operation& operation) {
  std::string out = operation.path;
  for (const Argument& argument : operation.arguments) out += " " + shape(argument);
  return out;
}

std::vector<std::string> path_words(const Operation& operation) {
  std::vector<std::string> out;
  size_t start = 0;
  while (start < operation.path.size()) {
    const size_t end = std::min(operation.path.find(' ', start), operation.path.size());
    out.push_back(operation.path.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

std::optional<size_t> Binder::next_positional() const {
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (!bound_[i] && operation_.arguments[i].keyword.empty()) return i;
  }
  return std::nullopt;
}

std::optional<size_t> Binder::open_keyword(std::string_view word) const {
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Argument& argument = operation_.arguments[i];
    if (!bound_[i] && !argument.keyword.empty() && argument.keyword == word) return i;
  }
  return std::nullopt;
}

Status Binder::store(size_t index, const Token& token, size_t position, std::string_view rest) {
  const Argument& argument = operation_.arguments[index];
  bound_[index] = true;
  if (takes_rest(argument)) {
    while (!rest.empty() && is_blank(rest.back())) rest.remove_suffix(1);
    arguments_.set(argument.name, std::string(rest));
    complete_ = true;
    return {};
  }
  arguments_.set(argument.name, token.text);
  return check_value(argument, token, position);
}

Status Binder::feed(const Token& token, size_t position, std::string_view rest) {
  if (awaiting_) {
    const size_t index = *awaiting_;
    awaiting_.reset();
    return store(index, token, position, rest);
  }
  const auto positional = next_positional();
  const auto keyword = open_keyword(token.text);
  const bool positional_first =
      positional &&
      (!keyword || (!operation_.arguments[*positional].optional && *positional < *keyword));
  if (positional_first) return store(*positional, token, position, rest);
  if (keyword) {
    awaiting_ = keyword;
    return {};
  }
  std::vector<std::string> keywords;
  for (const Argument* argument : expected()) keywords.push_back(argument->keyword);
  return error(ErrorCode::invalid,
               fmt::format("unexpected '{}' at word {}{}\nusage: {}", token.text, position,
                           suggestion(token.text, keywords), usage(operation_)));
}

Status Binder::finish() const {
  if (awaiting_) {
    const Argument& argument = operation_.arguments[*awaiting_];
    return error(ErrorCode::invalid,
                 fmt::format("'{}' needs a value ({})\nusage: {}", argument.keyword, argument.name,
                             usage(operation_)));
  }
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Argument& argument = operation_.arguments[i];
    if (bound_[i] || argument.optional) continue;
    return error(ErrorCode::invalid, fmt::format("{}: {} is missing\nusage: {}", operation_.path,
                                                 argument.name, usage(operation_)));
  }
  return {};
}

std::vector<const Argument*> Binder::expected() const {
  if (complete_) return {};
  if (awaiting_) return {&operation_.arguments[*awaiting_]};
  std::vector<const Argument*> out;
  const auto positional = next_positional();
  if (positional) out.push_back(&operation_.arguments[*positional]);
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Argument& argument = operation_.arguments[i];
    if (bound_[i] || argument.keyword.empty()) continue;
    const bool waits = positional && !operation_.arguments[*positional].optional && *positional < i;
    if (!waits) out.push_back(&argument);
  }
  return out;
}

}  // namespace chaincast::ops
