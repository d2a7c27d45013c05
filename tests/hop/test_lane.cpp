// SPDX-License-Identifier: BSD-3-Clause
#include "hop/lane.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "base/random.hpp"

namespace chaincast::hop {
namespace {

using Verdict = ReplayWindow::Verdict;

constexpr uint64_t window = ReplayWindow::window_bits;

TEST(ReplayWindow, CountersStartAtOne) {
  ReplayWindow replay;
  EXPECT_EQ(replay.judge(0), Verdict::too_old);
  EXPECT_EQ(replay.judge(1), Verdict::fresh);
  replay.accept(1);
  EXPECT_EQ(replay.judge(1), Verdict::replayed);
  EXPECT_EQ(replay.judge(2), Verdict::fresh);
}

TEST(ReplayWindow, JudgeChangesNothing) {
  ReplayWindow replay;
  replay.accept(10);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(replay.judge(1'000'000), Verdict::fresh);
  EXPECT_EQ(replay.highest(), 10u);
  EXPECT_EQ(replay.judge(9), Verdict::fresh);
}

TEST(ReplayWindow, IsExactlyWindowBitsWide) {
  ReplayWindow replay;
  replay.accept(window * 3);
  EXPECT_EQ(replay.judge(window * 2), Verdict::too_old);
  EXPECT_EQ(replay.judge(window * 2 + 1), Verdict::fresh);
}

// Against a set of everything accepted, with jumps of every size.
TEST(ReplayWindow, AgreesWithASet) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    ReplayWindow replay;
    std::set<uint64_t> accepted;
    uint64_t highest = 0;
    for (int i = 0; i < 4000; ++i) {
      uint64_t counter = highest + random.below(3);
      if (random.chance(0.3)) counter = highest - std::min(highest, random.below(window + 100));
      if (random.chance(0.02)) counter = highest + random.below(2 * window);
      const Verdict expected = counter == 0 || counter + window <= highest ? Verdict::too_old
                               : accepted.count(counter) != 0              ? Verdict::replayed
                                                                           : Verdict::fresh;
      ASSERT_EQ(replay.judge(counter), expected) << counter << " highest " << highest;
      if (expected != Verdict::fresh) continue;
      replay.accept(counter);
      accepted.insert(counter);
      highest = std::max(highest, counter);
      ASSERT_EQ(replay.highest(), highest);
    }
  }
}

TEST(ReplayWindow, ExtendsTheLowHalfToTheNearestCounter) {
  constexpr uint64_t span = uint64_t{1} << 32;
  for (const uint64_t highest :
       {uint64_t{0}, uint64_t{5}, span - 1, span, span + 7, 5 * span - 3, 9 * span + span / 2}) {
    ReplayWindow replay;
    if (highest > 0) replay.accept(highest);
    for (const int64_t step :
         {-2'000'000'000ll, -4096ll, -1ll, 0ll, 1ll, 4096ll, 2'000'000'000ll}) {
      if (step < 0 && static_cast<uint64_t>(-step) > highest) continue;
      const uint64_t counter = highest + static_cast<uint64_t>(step);
      EXPECT_EQ(replay.extend(static_cast<uint32_t>(counter)), counter) << highest << " " << step;
    }
  }
}

TEST(CheckBlock, BindsTheHighHalfOfTheCounter) {
  const wire::HopHeader hop{1, 0, 2, 3, 0xabcdef01, 7, 0};
  const auto early = check_block(hop, 7, 0x11223344);
  EXPECT_EQ(to_hex(early), "01000203abcdef010000000711223344");
  EXPECT_NE(check_block(hop, (uint64_t{1} << 32) + 7, 0x11223344), early);
}

class Lanes : public testing::Test {
 protected:
  RxLane* make(uint32_t id) {
    lanes_.push_back(std::make_unique<RxLane>());
    lanes_.back()->link_id = id;
    return lanes_.back().get();
  }
  std::unique_ptr<LaneTable> table_ = std::make_unique<LaneTable>();
  std::vector<std::unique_ptr<RxLane>> lanes_;
};

TEST_F(Lanes, FindsTheExactIdOnly) {
  const uint32_t id = table_->allocate(0xdeadbeef);
  EXPECT_EQ(id >> 12, 0xdeadbeefu >> 12);
  EXPECT_EQ(table_->find(id), nullptr);
  RxLane* lane = make(id);
  table_->install(lane);
  EXPECT_EQ(table_->find(id), lane);
  EXPECT_EQ(table_->find(id ^ 0x1000), nullptr);
  EXPECT_EQ(table_->find(0), nullptr);
  table_->remove(id ^ 0x1000);
  EXPECT_EQ(table_->find(id), lane);
  table_->remove(id);
  EXPECT_EQ(table_->find(id), nullptr);
}

TEST_F(Lanes, GivesOutEverySlotButZeroOnce) {
  std::set<uint32_t> given;
  for (unsigned i = 1; i < LaneTable::slots; ++i) {
    const uint32_t id = table_->allocate(0);
    ASSERT_NE(id, 0u);
    ASSERT_NE(id % LaneTable::slots, 0u);
    ASSERT_TRUE(given.insert(id).second);
  }
  EXPECT_EQ(table_->allocate(0), 0u);
  table_->remove(77);  // never installed
  EXPECT_EQ(table_->allocate(0x5000), 0x5000u + 77);
}

}  // namespace
}  // namespace chaincast::hop
