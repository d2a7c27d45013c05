// SPDX-License-Identifier: BSD-3-Clause
#include "stats/histogram.hpp"

#include <gtest/gtest.h>

namespace chaincast::stats {
namespace {

TEST(Histogram, AMergedOneHoldsBoth) {
  Histogram a, b, both;
  for (uint64_t value = 1; value <= 1000; ++value) {
    (value % 3 == 0 ? a : b).record(value * 17);
    both.record(value * 17);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), 1000u);
  EXPECT_EQ(a.max(), 17'000u);
  EXPECT_EQ(a.sum(), 17u * 1000 * 1001 / 2);
  for (const double q : {0.01, 0.5, 0.99, 1.0}) EXPECT_EQ(a.quantile(q), both.quantile(q));
}

}  // namespace
}  // namespace chaincast::stats
