// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/random.hpp"
#include "gen/percentiles.hpp"

namespace chaincast::gen {
namespace {

// Against the samples themselves, sorted.
TEST(Percentiles, EveryLineHoldsForTheSamples) {
  stats::Histogram times;
  std::vector<uint64_t> samples;
  Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    samples.push_back(random.below(uint64_t{1} << (1 + random.below(30))));
    times.record(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  std::istringstream lines(percentile_csv("monotonic", times));
  uint64_t cumulative_before = 0;
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    std::string clock;
    uint64_t upper = 0, held = 0, cumulative = 0;
    double percentile = 0;
    ASSERT_TRUE(fields >> clock >> upper >> held >> cumulative >> percentile) << line;
    EXPECT_EQ(clock, "monotonic");
    EXPECT_EQ(cumulative, cumulative_before + held);
    const auto above = std::upper_bound(samples.begin(), samples.end(), upper);
    EXPECT_EQ(cumulative, static_cast<uint64_t>(above - samples.begin()));
    EXPECT_NEAR(percentile, static_cast<double>(cumulative) / 10'000, 1e-9);
    cumulative_before = cumulative;
  }
  EXPECT_EQ(cumulative_before, samples.size());
  EXPECT_GT(count, 50u);
}

// The lines that HdrHistogram's plotter takes: value, percentile, count, and the last without the
// fourth column.
TEST(Percentiles, TheTextIsThatOfHdrHistogram) {
  stats::Histogram times;
  times.record(1'000);
  times.record(1'000);
  times.record(3'000'000);
  std::istringstream lines(percentile_text(times));
  std::vector<std::vector<double>> rows;
  std::vector<std::string> comments;
  std::string line;
  std::getline(lines, line);
  EXPECT_NE(line.find("Value"), std::string::npos);
  while (std::getline(lines, line)) {
    if (line.starts_with("#")) comments.push_back(line);
    std::istringstream fields(line);
    std::vector<double> row;
    for (double value; fields >> value;) row.push_back(value);
    if (!row.empty()) rows.push_back(row);
  }
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0].size(), 4u);
  EXPECT_NEAR(rows[0][0], 1.0, 0.0625);
  EXPECT_NEAR(rows[0][1], 2.0 / 3, 1e-9);
  EXPECT_EQ(rows[0][2], 2);
  EXPECT_NEAR(rows[0][3], 3.0, 0.01);
  ASSERT_EQ(rows[1].size(), 3u);
  EXPECT_EQ(rows[1][0], 3'000.0);
  EXPECT_EQ(rows[1][1], 1.0);
  EXPECT_EQ(comments.size(), 3u);
}

TEST(Percentiles, NothingMakesNoLines) {
  EXPECT_EQ(percentile_csv("realtime", {}), "");
  EXPECT_NE(percentile_text({}).find("Total count    =            0"), std::string::npos);
}

}  // namespace
}  // namespace chaincast::gen
