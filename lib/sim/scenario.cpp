// SPDX-License-Identifier: BSD-3-Clause
#include "sim/scenario.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace chaincast::sim {
namespace {

struct Verb {
  std::string_view name;
  size_t words_min, words_max;
  std::string_view form;
};

constexpr std::array verbs = {
    Verb{"join", 3, 3, "join COUNT over SECONDS"},
    Verb{"churn", 1, 1, "churn FILE"},
    Verb{"crash", 1, 1, "crash COUNT or crash PERCENT%"},
    Verb{"leave", 1, 1, "leave COUNT or leave PERCENT%"},
    Verb{"restart", 3, 3, "restart all over SECONDS"},
    Verb{"partition", 1, 1, "partition PERCENT%"},
    Verb{"heal", 0, 0, "heal"},
    Verb{"window", 0, 0, "window"},
    Verb{"healthy", 2, 2, "healthy within SECONDS"},
    Verb{"expect", 3, 3, "expect NAME <|> VALUE"},
    Verb{"votes", 1, 1, "votes COUNT"},
    Verb{"malicious", 2, 2, "malicious PERCENT% KIND"},
    Verb{"report", 0, 0, "report"},
};

Error bad(size_t line, std::string_view what) {
  return error(ErrorCode::invalid, "scenario: line " + std::to_string(line) + ": " +
                                       std::string(what) + "; docs/membership.md has the format");
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out;
  size_t at = 0;
  while ((at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
    if (line[at] == '#') break;
    const size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    out.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return out;
}

std::optional<uint64_t> number(std::string_view word, uint64_t max) {
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (code != std::errc{} || end != word.data() + word.size() || value > max) return std::nullopt;
  return value;
}

std::optional<double> real(std::string_view word) {
  double value = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (code != std::errc{} || end != word.data() + word.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

Status take_setting(Scenario& out, const std::vector<std::string>& words, size_t line) {
  if (words[0] == "latencies" && words.size() == 3 &&
      (words[1] == "generated" || words[1] == "matrix" || words[1] == "graphml")) {
    out.latency_kind = words[1];
    out.latency_source = words[2];
    const auto places = number(words[2], places_max);
    if (words[1] == "generated" && (!places || *places == 0)) {
      return bad(line, "a count of places from 1 to 4096");
    }
    return {};
  }
  const auto value = words.size() == 2 ? number(words[1], uint64_t{1} << 32) : std::nullopt;
  if (!value) {
    return bad(line,
               "neither a setting (seed, trackers, subnetworks, latencies, check-messages) "
               "nor a time");
  }
  if (words[0] == "seed") {
    out.seed = *value;
  } else if (words[0] == "trackers" && *value >= 1 && *value <= 16) {
    out.trackers = static_cast<unsigned>(*value);
  } else if (words[0] == "subnetworks" && *value >= 1 && *value <= 10'000) {
    out.subnetworks = static_cast<unsigned>(*value);
  } else if (words[0] == "check-messages" && *value <= 1) {
    out.check_messages = *value == 1;
  } else {
    return bad(line, "unknown setting, or out of range: " + words[0]);
  }
  return {};
}

// What the words of a step must be.
Status check_words(const Step& step) {
  const auto is_amount = [](std::string_view word) {
    if (word.ends_with('%')) return number(word.substr(0, word.size() - 1), 100).has_value();
    return number(word, 1'000'000).has_value();
  };
  const std::vector<std::string>& w = step.words;
  const bool is_good = [&] {
    if (step.verb == "join") {
      return number(w[0], 1'000'000).has_value() && w[1] == "over" && real(w[2]).has_value();
    }
    if (step.verb == "votes") return number(w[0], 10'000).has_value();
    if (step.verb == "restart") return w[0] == "all" && w[1] == "over" && real(w[2]).has_value();
    if (step.verb == "crash" || step.verb == "leave") return is_amount(w[0]);
    if (step.verb == "malicious") {
      return w[0].ends_with('%') && is_amount(w[0]) && (w[1] == "all" || malice_of(w[1]));
    }
    if (step.verb == "partition") return w[0].ends_with('%') && is_amount(w[0]);
    if (step.verb == "healthy") return w[0] == "within" && real(w[1]).has_value();
    if (step.verb == "expect") {
      const bool is_known =
          Health().values().contains(w[0]) || w[0] == "cut_off_s" || w[0] == "corrupt";
      return is_known && (w[1] == "<" || w[1] == ">") && real(w[2]).has_value();
    }
    return true;
  }();
  if (is_good) return {};
  return bad(step.line, "cannot use what is behind " + step.verb);
}

Status take_step(Scenario& out, std::vector<std::string> words, double at_s, size_t line) {
  if (words.size() < 2) return bad(line, "nothing happens at this time");
  Step step;
  step.at_ns = static_cast<TimeNs>(at_s * 1e9);
  step.verb = words[1];
  step.words.assign(words.begin() + 2, words.end());
  step.line = line;
  const auto verb =
      std::find_if(verbs.begin(), verbs.end(), [&](const Verb& v) { return v.name == step.verb; });
  if (verb == verbs.end()) return bad(line, "unknown: " + step.verb);
  if (step.words.size() < verb->words_min || step.words.size() > verb->words_max) {
    return bad(line, "write it as: " + std::string(verb->form));
  }
  if (Status good = check_words(step); !good) return good;
  if (!out.steps.empty() && step.at_ns < out.steps.back().at_ns) {
    return bad(line, "is earlier than the line before");
  }
  out.steps.push_back(std::move(step));
  return {};
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view text) {
  Scenario out;
  size_t line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::vector<std::string> words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (words.empty()) continue;
    const auto at_s = real(words[0]);
    if (at_s && (*at_s < 0 || *at_s > 1e8)) return bad(line_number, "no time to be at");
    Status status = at_s ? take_step(out, std::move(words), *at_s, line_number)
                         : take_setting(out, words, line_number);
    if (!status) return status.error();
  }
  if (out.steps.empty()) return bad(line_number, "nothing happens");
  return out;
}

}  // namespace chaincast::sim
