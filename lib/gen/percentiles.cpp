// SPDX-License-Identifier: BSD-3-Clause
#include "gen/percentiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace chaincast::gen {

namespace {

double part(uint64_t seen, uint64_t total) {
  return static_cast<double>(seen) / static_cast<double>(total);
}

double us(uint64_t ns) {
  return static_cast<double>(ns) / 1'000;
}

}  // namespace

std::string percentile_text(const stats::Histogram& times) {
  std::string out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                "TotalCount", "1/(1-Percentile)");
  const uint64_t total = times.count();
  uint64_t seen = 0;
  uint64_t buckets = 0;
  double sum = 0;
  double squares = 0;
  times.visit([&](uint64_t edge, uint64_t count) {
    const double value = us(std::min(edge, times.max()));
    seen += count;
    ++buckets;
    sum += value * static_cast<double>(count);
    squares += value * value * static_cast<double>(count);
    out += fmt::format("{:12.3f} {:2.12f} {:10}", value, part(seen, total), seen);
    if (seen < total) out += fmt::format(" {:14.2f}", 1 / (1 - part(seen, total)));
    out += '\n';
  });
  const double mean = total > 0 ? sum / static_cast<double>(total) : 0;
  const double variance = total > 0 ? squares / static_cast<double>(total) - mean * mean : 0;
  out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", mean,
                     std::sqrt(std::max(0.0, variance)));
  out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12}]\n", us(times.max()), total);
  out += fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n", buckets, 16);
  return out;
}

std::string percentile_csv(std::string_view clock, const stats::Histogram& times) {
  std::string out;
  uint64_t seen = 0;
  times.visit([&](uint64_t edge, uint64_t count) {
    seen += count;
    out += fmt::format("{},{},{},{},{:.9f}\n", clock, std::min(edge, times.max()), count, seen,
                       part(seen, times.count()));
  });
  return out;
}

}  // namespace chaincast::gen
