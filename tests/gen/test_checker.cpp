// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/random.hpp"
#include "gen/checker.hpp"

namespace chaincast::gen {
namespace {

Bytes object_of(uint64_t index, uint32_t generator = 1, uint64_t time_ns = 0) {
  Bytes object(64, static_cast<uint8_t>(index));
  write_stamp({StampClock::monotonic, generator, index, time_ns}, object);
  return object;
}

class CheckerTest : public testing::Test {
 protected:
  void take(std::initializer_list<uint64_t> indices) {
    for (const uint64_t index : indices) checker_.take(object_of(index), {1'000, 0});
  }
  void expect(uint64_t lost, uint64_t duplicated, uint64_t reordered, uint64_t corrupt) {
    const auto counts = checker_.counts();
    EXPECT_EQ(counts.lost, lost);
    EXPECT_EQ(counts.duplicated, duplicated);
    EXPECT_EQ(counts.reordered, reordered);
    EXPECT_EQ(counts.corrupt, corrupt);
    EXPECT_EQ(checker_.clean(), lost + duplicated + reordered + corrupt == 0);
  }
  Checker checker_;
};

TEST_F(CheckerTest, NothingAndAWholeRunAreClean) {
  expect(0, 0, 0, 0);
  for (uint64_t index = 0; index < 1'000; ++index) take({index});
  expect(0, 0, 0, 0);
  EXPECT_EQ(checker_.counts().stamped, 1'000u);
}

TEST_F(CheckerTest, LossIsCountedByObject) {
  take({0, 1, 5, 6, 8});
  expect(4, 0, 0, 0);
}

TEST_F(CheckerTest, TheBeginningIsMissedToo) {
  take({3, 4});
  expect(3, 0, 0, 0);
}

TEST_F(CheckerTest, ALateJoinerMissesOnlyWhatComesAfter) {
  Checker late({.joins_late = true});
  for (const uint64_t index : {100u, 101u, 103u}) late.take(object_of(index), {});
  EXPECT_EQ(late.counts().lost, 1u);
}

TEST_F(CheckerTest, DuplicationIsCounted) {
  take({0, 1, 1, 2, 0, 1});
  expect(0, 3, 0, 0);
}

TEST_F(CheckerTest, OrderIsCountedAndFillsTheGap) {
  take({0, 2, 1, 3, 6, 5, 4});
  expect(0, 0, 3, 0);
  take({4});
  expect(0, 1, 3, 0);
}

TEST_F(CheckerTest, AnAlteredObjectIsCorruptOnce) {
  take({0});
  Bytes altered = object_of(1);
  altered[50] ^= 1;
  checker_.take(altered, {});
  take({2});
  expect(0, 0, 0, 1);
}

TEST_F(CheckerTest, WhereTheIndexIsAlteredTheObjectIsMissedAsWell) {
  take({0});
  Bytes altered = object_of(1);
  altered[8] ^= 0x80;
  checker_.take(altered, {});
  take({2});
  expect(1, 0, 0, 1);
}

TEST_F(CheckerTest, AnObjectWithoutAStampAmongOthersIsNotClean) {
  checker_.take(Bytes(64, 1), {});
  EXPECT_TRUE(checker_.clean());
  take({0});
  EXPECT_FALSE(checker_.clean());
  EXPECT_EQ(checker_.counts().unstamped, 1u);
}

TEST_F(CheckerTest, GeneratorsAreApartAndBounded) {
  Checker checker({.generators_max = 2});
  for (const uint32_t generator : {1u, 2u, 3u}) {
    for (const uint64_t index : {0u, 1u}) checker.take(object_of(index, generator), {});
  }
  EXPECT_EQ(checker.counts().generators, 2u);
  EXPECT_EQ(checker.counts().stamped, 4u);
  EXPECT_EQ(checker.counts().unstamped, 2u);
  EXPECT_EQ(checker.counts().lost, 0u);
}

TEST_F(CheckerTest, GapsAreBoundedAndStayCounted) {
  Checker checker({.gaps_max = 3});
  for (uint64_t index = 0; index < 20; index += 2) checker.take(object_of(index), {});
  EXPECT_EQ(checker.counts().lost, 9u);
  checker.take(object_of(1), {});
  EXPECT_EQ(checker.counts().duplicated, 1u);
  checker.take(object_of(17), {});
  EXPECT_EQ(checker.counts().reordered, 1u);
  EXPECT_EQ(checker.counts().lost, 8u);
}

TEST_F(CheckerTest, ImpossibleIndicesAreCorrupt) {
  take({0});
  for (const uint64_t index : {~uint64_t{0}, uint64_t{1} << 56}) take({index});
  take({1});
  expect(0, 0, 0, 2);
}

TEST_F(CheckerTest, LatencyIsFromStampToArrivalOfTheFirstCopy) {
  for (uint64_t index = 0; index < 100; ++index) {
    checker_.take(object_of(index, 1, 1'000), {1'000 + 10 * (index + 1), 0});
  }
  checker_.take(object_of(0, 1, 1'000), {9'000'000, 0});
  const auto& times = checker_.latency(StampClock::monotonic);
  EXPECT_EQ(times.count(), 100u);
  EXPECT_EQ(checker_.latency_min_ns(StampClock::monotonic), 10u);
  EXPECT_EQ(times.max(), 1'000u);
  EXPECT_NEAR(static_cast<double>(times.quantile(0.5)), 500, 500 * 0.0625);
  EXPECT_EQ(checker_.latency(StampClock::realtime).count(), 0u);
}

TEST_F(CheckerTest, EachStampIsMeasuredByItsOwnClock) {
  Bytes object(64);
  write_stamp({StampClock::realtime, 1, 0, 5'000}, object);
  checker_.take(object, {1'000'000, 5'007});
  EXPECT_EQ(checker_.latency(StampClock::realtime).max(), 7u);
  checker_.take(object_of(1, 1, 100), {99, 0});
  EXPECT_EQ(checker_.counts().clock_behind, 1u);
  EXPECT_EQ(checker_.latency(StampClock::monotonic).count(), 0u);
}

// Against a plain account of which indices came, over random losses, copies and orders.
TEST_F(CheckerTest, AgreesWithAPlainAccount) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    std::vector<uint64_t> arrivals;
    for (uint64_t index = 0; index < 60; ++index) {
      if (random.chance(0.1)) continue;
      arrivals.push_back(index);
      if (random.chance(0.1)) arrivals.push_back(index);
    }
    for (int i = 0; i < 15; ++i) {
      std::swap(arrivals[random.below(arrivals.size())], arrivals[random.below(arrivals.size())]);
    }
    Checker checker;
    std::vector<bool> seen(60);
    uint64_t highest = 0;
    Checker::Counts wanted;
    for (size_t i = 0; i < arrivals.size(); ++i) {
      const uint64_t index = arrivals[i];
      checker.take(object_of(index), {});
      if (seen[index]) ++wanted.duplicated;
      if (!seen[index] && i > 0 && index < highest) ++wanted.reordered;
      seen[index] = true;
      highest = std::max(highest, index);
    }
    wanted.lost = static_cast<uint64_t>(
        std::count(seen.begin(), seen.begin() + static_cast<ptrdiff_t>(highest), false));
    const auto counts = checker.counts();
    ASSERT_EQ(counts.lost, wanted.lost) << seed;
    ASSERT_EQ(counts.duplicated, wanted.duplicated) << seed;
    ASSERT_EQ(counts.reordered, wanted.reordered) << seed;
  }
}

}  // namespace
}  // namespace chaincast::gen
