// SPDX-License-Identifier: BSD-3-Clause
#include "cli/watch.hpp"

#include <charconv>

#include "ops/parse.hpp"

namespace chaincast::cli {

std::optional<Watch> parse_watch(std::string_view line) {
  const auto words = ops::split_words(line);
  if (!words || words->size() < 3 || words->front().text != "watch") return std::nullopt;
  const std::string& seconds = (*words)[1].text;
  Watch out;
  const char* end = seconds.data() + seconds.size();
  const auto [stop, code] = std::from_chars(seconds.data(), end, out.seconds);
  if (code != std::errc() || stop != end || out.seconds < 1 || out.seconds > 3600) {
    return std::nullopt;
  }
  out.command = line.substr((*words)[2].offset);
  return out;
}

}  // namespace chaincast::cli
