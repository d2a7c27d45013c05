// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "gen/schedule.hpp"

namespace chaincast::gen {
namespace {

TEST(Schedule, ObjectsAreDueAtFixedTimes) {
  ManualClock clock;
  const TimeNs start = clock.now_ns();
  Schedule schedule({.objects_per_s = 3}, start);
  for (uint64_t i = 0; i < 3'000; ++i) {
    EXPECT_NEAR(static_cast<double>(schedule.due_ns() - start), static_cast<double>(i) * 1e9 / 3,
                2);
    clock.set(schedule.due_ns());
    schedule.sent(100, clock.now_ns());
  }
  // No drift: the thousandth second is the thousandth second.
  EXPECT_EQ(schedule.due_ns() - start, 1'000 * ns_per_s);
  EXPECT_EQ(schedule.late_objects(), 0u);
}

TEST(Schedule, CatchesUpAfterAStallAndSaysHowLateItWas) {
  ManualClock clock;
  const TimeNs start = clock.now_ns();
  Schedule schedule({.objects_per_s = 1'000}, start);
  clock.advance(50 * ns_per_ms);
  unsigned at_once = 0;
  for (; schedule.due_ns() <= clock.now_ns(); ++at_once) schedule.sent(1, clock.now_ns());
  EXPECT_EQ(at_once, 51u);
  EXPECT_EQ(schedule.due_ns(), start + 51 * ns_per_ms);
  EXPECT_EQ(schedule.lateness_max_ns(), 50 * ns_per_ms);
  EXPECT_EQ(schedule.late_objects(), 49u);  // those more than 1 ms late
}

TEST(Schedule, ABitrateCountsBytesAndTheSlowerRateDecides) {
  const TimeNs start = 5;
  Schedule bits({.bits_per_s = 8e6}, start);
  bits.sent(1'000, start);
  EXPECT_EQ(bits.due_ns(), start + ns_per_ms);
  bits.sent(500, start);
  EXPECT_EQ(bits.due_ns(), start + ns_per_ms + 500 * ns_per_us);
  Schedule both({.objects_per_s = 100, .bits_per_s = 8e6}, start);
  both.sent(1'000, start);
  EXPECT_EQ(both.due_ns(), start + 10 * ns_per_ms);
}

TEST(Schedule, FlatOutIsAlwaysDueAndNeverLate) {
  Schedule schedule({}, 7);
  schedule.sent(1'000'000, 900 * ns_per_s);
  EXPECT_EQ(schedule.due_ns(), 7u);
  EXPECT_EQ(schedule.late_objects(), 0u);
  EXPECT_EQ(schedule.lateness_max_ns(), 0u);
}

}  // namespace
}  // namespace chaincast::gen
