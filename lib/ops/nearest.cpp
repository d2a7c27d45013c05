// SPDX-License-Identifier: BSD-3-Clause
#include "ops/nearest.hpp"

#include <algorithm>
#include <array>

namespace chaincast::ops {

namespace {

constexpr size_t word_max = 64;
constexpr size_t listed_max = 24;

// Optimal string alignment distance, three rolling rows.
size_t edits(std::string_view a, std::string_view b) {
  using Row = std::array<size_t, word_max + 1>;
  Row before{};
  Row last{};
  Row row{};
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > word_max) return {};
  const size_t allowed = std::max<size_t>(1, word.size() / 3);
  size_t best = allowed + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > word_max) continue;
    const size_t distance = edits(word, candidate);
    // An edit of the whole word is no resemblance.
    if (distance >= best || distance >= candidate.size()) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return {};
  const std::string near = nearest_word(word, candidates);
  if (!near.empty()) return "; did you mean '" + near + "'?";
  std::string out = "; expected one of: ";
  for (size_t i = 0; i < candidates.size() && i < listed_max; ++i) {
    if (i > 0) out += ", ";
    out += candidates[i];
  }
  if (candidates.size() > listed_max) out += ", ...";
  return out;
}

}  // namespace chaincast::ops
