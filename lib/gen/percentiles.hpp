// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "stats/histogram.hpp"

// A histogram of nanoseconds as a file that other programs read. Pure; any thread.
namespace chaincast::gen {

// The percentile distribution that HdrHistogram prints and its plotter reads: value (in
// microseconds), percentile (0 to 1), total count, 1/(1-percentile); a line for each bucket that
// holds something, and the summary lines that begin with '#'. Values are upper edges of buckets, at
// most 6.25 % above the true ones; the last is the exact maximum.
std::string percentile_text(const stats::Histogram& times);
// The same buckets as CSV, each behind the name of the clock.
inline constexpr std::string_view percentile_csv_header =
    "clock,upper_ns,count,cumulative,percentile\n";
std::string percentile_csv(std::string_view clock, const stats::Histogram& times);

}  // namespace chaincast::gen
