// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "ops/nearest.hpp"
#include "ops/ops.hpp"
#include "ops/parse.hpp"

namespace chaincast::ops {

namespace {

// How many leading words of `tokens` equal the path's.
size_t shared_words(const std::vector<std::string>& path, const std::vector<Token>& tokens) {
  size_t count = 0;
  while (count < path.size() && count < tokens.size() && path[count] == tokens[count].text) ++count;
  return count;
}

void sort_unique(std::vector<std::string>& words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
}

// Why no path matches: the first word that continues none, and what could have stood there.
Error unmatched(const std::vector<Operation>& operations, const std::vector<Token>& tokens) {
  size_t depth = 0;
  for (const Operation& operation : operations) {
    depth = std::max(depth, shared_words(path_words(operation), tokens));
  }
  std::vector<std::string> next;
  for (const Operation& operation : operations) {
    const auto path = path_words(operation);
    if (shared_words(path, tokens) == depth && path.size() > depth) next.push_back(path[depth]);
  }
  sort_unique(next);
  std::string before;
  for (size_t i = 0; i < depth; ++i) before += (i > 0 ? " " : "") + tokens[i].text;
  if (depth == tokens.size()) {
    return error(ErrorCode::invalid, fmt::format("'{}' is incomplete at word {}{}", before,
                                                 depth + 1, suggestion({}, next)));
  }
  const std::string after = before.empty() ? "" : fmt::format(" (after '{}')", before);
  return error(ErrorCode::invalid,
               fmt::format("unknown word '{}' at word {}{}{}", tokens[depth].text, depth + 1, after,
                           suggestion(tokens[depth].text, next)));
}

const Operation* longest_match(const std::vector<Operation>& operations,
                               const std::vector<Token>& tokens, size_t& words) {
  const Operation* best = nullptr;
  words = 0;
  for (const Operation& operation : operations) {
    const auto path = path_words(operation);
    if (shared_words(path, tokens) != path.size() || path.size() <= words) continue;
    best = &operation;
    words = path.size();
  }
  return best;
}

void add_candidates(const Binder& binder, const Table::Values& values, std::string_view prefix,
                    std::vector<std::string>& out) {
  for (const Argument* argument : binder.expected()) {
    if (!argument->keyword.empty() && !binder.value_expected()) {
      out.push_back(argument->keyword);
      continue;
    }
    if (argument->allows_all) out.emplace_back("all");
    if (argument->type == ArgumentType::choice) {
      out.insert(out.end(), argument->choices.begin(), argument->choices.end());
    } else if (values) {
      const auto live = values(argument->type, prefix);
      out.insert(out.end(), live.begin(), live.end());
    }
  }
}

bool expects_command(const Binder& binder) {
  const auto expected = binder.expected();
  return expected.size() == 1 && expected.front()->type == ArgumentType::command;
}

}  // namespace

std::string Arguments::text(const std::string& name, std::string fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::move(fallback) : found->second;
}

uint64_t Arguments::number(const std::string& name, uint64_t fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  uint64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto [stop, code] = std::from_chars(found->second.data(), end, value);
  return code == std::errc() && stop == end ? value : fallback;
}

void Table::add(Operation operation) {
  CC_ASSERT(!operation.path.empty());
  for (const Operation& known : operations_) CC_ASSERT(known.path != operation.path);
  operations_.push_back(std::move(operation));
}

void Table::add(std::vector<Operation> operations) {
  for (Operation& operation : operations) add(std::move(operation));
}

Result<Table::Match> Table::match(std::string_view line) const {
  const auto tokens = split_words(line);
  if (!tokens) return tokens.error();
  if (tokens->empty()) return error(ErrorCode::invalid, "empty command; 'help' lists commands");
  size_t words = 0;
  const Operation* operation = longest_match(operations_, *tokens, words);
  if (operation == nullptr) return unmatched(operations_, *tokens);
  // A word that continues no path and fits no argument is a mistyped path word.
  if (operation->arguments.empty() && tokens->size() > words) {
    for (const Operation& other : operations_) {
      const auto path = path_words(other);
      if (path.size() > words && shared_words(path, *tokens) == words) {
        return unmatched(operations_, *tokens);
      }
    }
  }
  Binder binder(*operation);
  for (size_t i = words; i < tokens->size() && !binder.complete(); ++i) {
    const Token& token = (*tokens)[i];
    const Status fed = binder.feed(token, i + 1, line.substr(token.offset));
    if (!fed) return fed.error();
  }
  const Status finished = binder.finish();
  if (!finished) return finished.error();
  return Match{operation, binder.arguments()};
}

Reply Table::run(std::string_view line) const {
  const auto found = match(line);
  if (!found) return found.error();
  CC_ASSERT(found->operation->handler != nullptr);
  return found->operation->handler(found->arguments);
}

std::vector<std::string> Table::complete(std::string_view line, const Values& values) const {
  auto tokens = split_words(line);
  if (!tokens) return {};
  std::string prefix;
  const bool open = !line.empty() && line.back() != ' ' && line.back() != '\t';
  if (open && !tokens->empty()) {
    prefix = tokens->back().text;
    tokens->pop_back();
  }
  std::vector<std::string> out;
  for (const Operation& operation : operations_) {
    const auto path = path_words(operation);
    const bool continues = path.size() > tokens->size();
    if (continues && shared_words(path, *tokens) == tokens->size()) {
      out.push_back(path[tokens->size()]);
    }
  }
  size_t words = 0;
  if (const Operation* operation = longest_match(operations_, *tokens, words)) {
    Binder binder(*operation);
    bool fits = true;
    for (size_t i = words; i < tokens->size() && fits && !binder.complete(); ++i) {
      if (expects_command(binder)) return complete(line.substr((*tokens)[i].offset), values);
      fits = binder.feed((*tokens)[i], i + 1, line.substr((*tokens)[i].offset)).ok();
    }
    if (fits && expects_command(binder)) {
      // The first word of a command within a command.
      for (const Operation& one : operations_) {
        out.push_back(path_words(one).front());
        if (operation->path == "help") out.push_back(one.section);
      }
      if (operation->path == "help") out.emplace_back("all");
    } else if (fits) {
      add_candidates(binder, values, prefix, out);
    }
  }
  std::erase_if(out, [&](const std::string& word) { return !word.starts_with(prefix); });
  sort_unique(out);
  return out;
}

}  // namespace chaincast::ops
