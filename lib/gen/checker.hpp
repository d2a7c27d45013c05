// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "gen/stamp.hpp"
#include "stats/histogram.hpp"

// What a receiver can say of stamped objects. Pure; one owner; an object costs its CRC and a look
// into a small map. Memory: at most generators_max generators of gaps_max gaps each (about 64
// bytes a gap).
namespace chaincast::gen {

struct CheckerOptions {
  // The first object seen of a generator may have any index: what it sent before is not missed,
  // and counts as `duplicated` should it come after all.
  bool joins_late = false;
  // Generators beyond that are counted as `unstamped`.
  size_t generators_max = 64;
  // Gaps kept open per generator. The oldest is given up beyond that: lost for good, and a late
  // arrival from it is called a duplicate.
  size_t gaps_max = 65'536;
};

class Checker {
 public:
  struct Counts {
    uint64_t stamped = 0;     // good ones, duplicates included
    uint64_t unstamped = 0;   // anything else
    uint64_t corrupt = 0;     // a stamp whose length or CRC disagrees, or an index of 2^56 and up
    uint64_t lost = 0;        // indices below the highest seen that have not come so far
    uint64_t duplicated = 0;  // came again
    uint64_t reordered = 0;   // came after a higher index, the first time
    uint64_t generators = 0;
    uint64_t clock_behind = 0;  // stamped later than received: these clocks do not agree
  };
  // Both clocks at the moment an object arrived, for either kind of stamp.
  struct Now {
    TimeNs monotonic_ns = 0;
    TimeNs realtime_ns = 0;
  };

  explicit Checker(CheckerOptions options = {}) : options_(options) {}

  void take(ByteSpan object, Now now);

  Counts counts() const;
  // Of good objects' first arrivals, by the clock they were stamped with.
  const stats::Histogram& latency(StampClock clock) const {
    return latency_[static_cast<size_t>(clock)];
  }
  // The smallest of them, exact; 0 if there is none.
  uint64_t latency_min_ns(StampClock clock) const {
    return latency_min_ns_[static_cast<size_t>(clock)];
  }
  // Nothing lost, duplicated, reordered or corrupt, and stamped objects are not mixed with others.
  bool clean() const;

 private:
  struct Generator {
    uint64_t next = 0;                  // the highest index seen, and one
    std::map<uint64_t, uint64_t> gaps;  // first -> last index, missing
    uint64_t missing = 0;               // indices in gaps and in given-up gaps
  };
  // No generator gets there; below it, no sum over generators overflows.
  static constexpr uint64_t index_limit = uint64_t{1} << 56;

  enum class Place : uint8_t { in_order, after_gap, filled_gap, seen_before };

  Generator* find(const Stamp& stamp);
  void take_corrupt(const Stamp& stamp);
  Place place(Generator& generator, uint64_t index) const;
  static bool fill(Generator& generator, uint64_t index);
  void measure(const Stamp& stamp, Now now);

  const CheckerOptions options_;
  std::map<uint32_t, Generator> generators_;
  Counts counts_;
  stats::Histogram latency_[2];
  uint64_t latency_min_ns_[2] = {};
};

}  // namespace chaincast::gen
