// SPDX-License-Identifier: BSD-3-Clause
// Confirmed changes in virtual time.
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "node/confirm.hpp"

namespace chaincast::node {
namespace {

using Act = Confirm::Act;
using End = Confirm::End;

TEST(Confirm, WhatIsCommittedInTimeStays) {
  Confirm confirm;
  EXPECT_EQ(confirm.begin(ns_per_s, 60 * ns_per_s, 7), Act::checkpoint);
  EXPECT_EQ(confirm.deadline_ns(), 61 * ns_per_s);
  EXPECT_EQ(confirm.tick(61 * ns_per_s - 1), Act::nothing);
  EXPECT_TRUE(confirm.commit(61 * ns_per_s - 1).ok());
  EXPECT_EQ(confirm.tick(61 * ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.on_closed(7, 62 * ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.last_end(), End::committed);
  EXPECT_EQ(confirm.deadline_ns(), time_never);
}

TEST(Confirm, WithoutACommitItIsTakenBackOnce) {
  Confirm confirm;
  confirm.begin(0, 60 * ns_per_s, 0);
  EXPECT_EQ(confirm.tick(60 * ns_per_s), Act::restore);
  EXPECT_EQ(confirm.tick(60 * ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.last_end(), End::timed_out);
  EXPECT_EQ(confirm.last_end_ns(), 60 * ns_per_s);
}

TEST(Confirm, ACommitAtTheDeadlineIsTooLate) {
  Confirm confirm;
  confirm.begin(0, 60 * ns_per_s, 0);
  const Status late = confirm.commit(60 * ns_per_s);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::timeout);
  EXPECT_EQ(confirm.tick(60 * ns_per_s), Act::restore);
}

TEST(Confirm, ACutConnectionTakesBackWhatItBegan) {
  Confirm confirm;
  confirm.begin(0, 60 * ns_per_s, 7);
  EXPECT_EQ(confirm.on_closed(8, ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.on_closed(7, 2 * ns_per_s), Act::restore);
  EXPECT_EQ(confirm.last_end(), End::disconnected);
  EXPECT_FALSE(confirm.commit(3 * ns_per_s).ok());
}

TEST(Confirm, WithoutASessionOnlyTimeCounts) {
  Confirm confirm;
  confirm.begin(0, 60 * ns_per_s, 0);
  EXPECT_EQ(confirm.on_closed(0, ns_per_s), Act::nothing);
  EXPECT_TRUE(confirm.is_open());
}

TEST(Confirm, BeginningAgainExtendsAndKeepsTheCheckpoint) {
  Confirm confirm;
  EXPECT_EQ(confirm.begin(0, 60 * ns_per_s, 7), Act::checkpoint);
  EXPECT_EQ(confirm.begin(50 * ns_per_s, 60 * ns_per_s, 8), Act::nothing);
  EXPECT_EQ(confirm.tick(60 * ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.on_closed(7, 60 * ns_per_s), Act::nothing);
  EXPECT_EQ(confirm.tick(110 * ns_per_s), Act::restore);
}

TEST(Confirm, NothingOpenIsNothingToCommitOrTakeBack) {
  Confirm confirm;
  EXPECT_EQ(confirm.commit(0).error().code, ErrorCode::not_found);
  EXPECT_EQ(confirm.rollback(0).error().code, ErrorCode::not_found);
  confirm.begin(0, ns_per_s, 0);
  EXPECT_EQ(*confirm.rollback(1), Act::restore);
  EXPECT_EQ(confirm.last_end(), End::rolled_back);
  EXPECT_FALSE(confirm.rollback(2).ok());
}

// Whatever comes in whatever order: each checkpoint is used up once, restored or committed.
TEST(Confirm, EveryCheckpointEndsOnce) {
  Random random(1);
  Confirm confirm;
  int checkpoints = 0, ends = 0;
  TimeNs now = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += random.below(20 * ns_per_s);
    Act act = Act::nothing;
    switch (random.below(6)) {
      case 0:
        act = confirm.begin(now, (1 + random.below(60)) * ns_per_s, random.below(4));
        break;
      case 1:
        ends += confirm.commit(now).ok();
        break;
      case 2:
        act = confirm.on_closed(random.below(4), now);
        break;
      case 3:
        act = confirm.rollback(now).ok() ? Act::restore : Act::nothing;
        break;
      default:
        act = confirm.tick(now);
        EXPECT_TRUE(confirm.deadline_ns() > now);
    }
    checkpoints += act == Act::checkpoint;
    ends += act == Act::restore;
    ASSERT_EQ(checkpoints - ends, confirm.is_open() ? 1 : 0) << "step " << i;
  }
  EXPECT_GT(checkpoints, 1000);
}

}  // namespace
}  // namespace chaincast::node
