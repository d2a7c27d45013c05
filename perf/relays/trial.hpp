// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "rig/relay.hpp"
#include "rig/sentinel.hpp"

// One repetition of one cell, from fresh state to a checked result.
namespace chaincast::bench {

struct TrialOptions {
  size_t set_bytes = size_t{64} << 20;    // memory that the arrivals of a cold trial take
  size_t warm_bytes = size_t{256} << 10;  // and those of one round of a warm one
  uint64_t time_max_ns = 60'000'000;
};

struct Result {
  std::string fault;  // empty, or why there is no result
  uint64_t cycles = 0;
  uint64_t units = 0;
  uint64_t copies = 0;
  uint64_t datagrams = 0;  // that arrived
  uint64_t sent = 0;       // and that were sent
  size_t set_bytes = 0;    // memory that the arrivals took
  unsigned samples = 0;    // copies that the reference has judged
  uint64_t preemptions = 0;
  uint64_t steal_ticks = 0;
  std::vector<std::pair<std::string, uint64_t>> stages;  // cycles
  Sentinel::Reading before, after;
};

using MakeRelay = std::function<std::unique_ptr<Relay>()>;

// On EAL's main lcore.
Result run_trial(const Cell& cell, const TrialOptions& options, const MakeRelay& make,
                 Sentinel& sentinel, Random& random);

}  // namespace chaincast::bench
