// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_cycles.h>

#include <array>

#include "stage/observer.hpp"

namespace chaincast::bench {

// Cycles that one worker spends in each stage, by the line's own calls to observers. What fanout
// tells observers of each copy costs more than the clock does, so the time of `fanout` is for the
// caller to take from a run without one: whole line less the other stages.
class StageClock final : public stage::Observer {
 public:
  void arrived(const stage::Burst&) noexcept override { add(stage::Point::rx); }
  void passed(const stage::Burst&, stage::Point point) noexcept override { add(point); }
  void turned() noexcept override { last_ = rte_rdtsc(); }

  // What passes until the next turn ends is nobody's.
  void restart() { last_ = 0; }
  uint64_t cycles(stage::Point point) const { return cycles_[static_cast<size_t>(point)]; }

 private:
  void add(stage::Point point) noexcept {
    const uint64_t now = rte_rdtsc();
    if (last_ != 0) cycles_[static_cast<size_t>(point)] += now - last_;
    last_ = now;
  }

  uint64_t last_ = 0;
  std::array<uint64_t, stage::point_count> cycles_{};
};

}  // namespace chaincast::bench
