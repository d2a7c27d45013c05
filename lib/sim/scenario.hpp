// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sim/health.hpp"

// Scenarios: what happens to a simulated network, as text (docs/membership.md, "Scenarios").
// Pure but for the functions handed in; one thread.
namespace chaincast::sim {

struct Step {
  TimeNs at_ns = 0;  // from the start of the scenario
  std::string verb;
  std::vector<std::string> words;
  size_t line = 0;
};

struct Scenario {
  uint64_t seed = 1;
  unsigned trackers = 3;  // supernodes that run from the start; newcomers know them alone
  unsigned subnetworks = 1;
  bool check_messages = false;
  std::string latency_kind = "generated";  // generated, matrix, graphml
  std::string latency_source = "64";       // count of places, or a file
  std::vector<Step> steps;                 // by time
};

// Errors name the line and what was expected.
Result<Scenario> parse_scenario(std::string_view text);

// `read_file` gives the content of a file that the scenario names; `print` gets one line of result
// at a time. An error if a file cannot be used; else whether all that was expected came true.
struct Surroundings {
  std::function<Result<std::string>(const std::string&)> read_file;
  std::function<void(const std::string&)> print;
};
Result<bool> run_scenario(const Scenario& scenario, const Surroundings& surroundings);

}  // namespace chaincast::sim
