// SPDX-License-Identifier: BSD-3-Clause
#include "session/choice.hpp"

#include <gtest/gtest.h>

namespace chaincast::session {
namespace {

constexpr TimeNs crossing_ns = 1000;

NodeId id(uint8_t first) {
  return {.bytes = {first}};
}

// One end's view. `own` is 5; 1 is smaller, 9 is larger.
class ChoiceTest : public testing::Test {
 protected:
  Candidate& connection(uint8_t peer, bool is_dialled) {
    auto candidate = std::make_unique<Candidate>();
    candidate->peer = id(peer);
    candidate->is_dialled = is_dialled;
    candidate->is_greeted = true;
    all_.push_back(std::move(candidate));
    choice_.add(*all_.back());
    return *all_.back();
  }

  std::vector<std::unique_ptr<Candidate>> all_;
  Choice choice_{id(5), crossing_ns};
};

TEST_F(ChoiceTest, TheOnlyOneIsTheSession) {
  Candidate& one = connection(9, true);
  EXPECT_EQ(choice_.session(id(9)), nullptr);
  const auto opened = choice_.open(one, 1);
  EXPECT_TRUE(opened.is_session);
  EXPECT_EQ(opened.replaced, nullptr);
  EXPECT_TRUE(choice_.may_read(one) && choice_.may_write(one));
  EXPECT_EQ(choice_.session(id(8)), nullptr);
  EXPECT_EQ(choice_.remove(one), nullptr);
  EXPECT_EQ(choice_.session(id(9)), nullptr);
}

TEST_F(ChoiceTest, OfTwoThatCrossTheSmallerIdsDialWinsInEitherOrder) {
  for (const uint8_t peer : {uint8_t{1}, uint8_t{9}}) {
    for (const bool own_opens_first : {true, false}) {
      Candidate& own = connection(peer, true);
      Candidate& other = connection(peer, false);
      Candidate& first = own_opens_first ? own : other;
      Candidate& second = own_opens_first ? other : own;
      Candidate& winner = peer == 9 ? own : other;
      choice_.open(first, 100);
      const auto opened = choice_.open(second, 100 + crossing_ns - 1);
      EXPECT_EQ(opened.is_session, &second == &winner);
      EXPECT_EQ(opened.replaced, &second == &winner ? &first : nullptr);
      EXPECT_EQ(choice_.session(id(peer)), &winner);
      Candidate& loser = &winner == &own ? other : own;
      EXPECT_EQ(loser.is_finishing, winner.is_dialled) << "its dialler says goodbye first";
      EXPECT_FALSE(choice_.may_read(winner)) << "nothing overtakes";
      EXPECT_TRUE(choice_.may_read(loser) && choice_.may_write(loser));
      EXPECT_TRUE(choice_.may_write(winner));
      loser.hears_no_more = true;
      EXPECT_TRUE(choice_.may_read(winner));
      EXPECT_EQ(choice_.remove(loser), nullptr);
      choice_.remove(winner);
    }
  }
}

TEST_F(ChoiceTest, WhatOpensLaterThanADialMayTakeIsNewerAndWins) {
  for (const uint8_t peer : {uint8_t{1}, uint8_t{9}}) {
    for (const bool is_dialled : {true, false}) {
      Candidate& old = connection(peer, !is_dialled);
      Candidate& fresh = connection(peer, is_dialled);
      choice_.open(old, 100);
      EXPECT_EQ(choice_.open(fresh, 100 + crossing_ns).replaced, &old);
      // The other end has forgotten the old one: its goodbye may never come.
      EXPECT_EQ(choice_.may_read(fresh), !is_dialled);
      choice_.remove(old);
      choice_.remove(fresh);
    }
  }
}

TEST_F(ChoiceTest, OfTwoOfOneDiallerTheNewerWins) {
  for (const bool is_dialled : {true, false}) {
    Candidate& old = connection(1, is_dialled);
    Candidate& fresh = connection(1, is_dialled);
    choice_.open(old, 100);
    EXPECT_EQ(choice_.open(fresh, 101).replaced, &old);
    EXPECT_EQ(old.is_finishing, is_dialled);
    choice_.remove(old);
    choice_.remove(fresh);
  }
}

// The dialler may have seen them open in the other order; it says which one ends.
TEST_F(ChoiceTest, ALoserWhoseDiallerEndsTheSessionTakesItsPlace) {
  Candidate& kept = connection(1, false);
  Candidate& ended = connection(1, false);
  choice_.open(kept, 100);
  choice_.open(ended, 101);
  EXPECT_EQ(choice_.session(id(1)), &ended);
  EXPECT_EQ(choice_.remove(ended), &kept);
  EXPECT_EQ(choice_.session(id(1)), &kept);
  EXPECT_FALSE(kept.is_loser);
  EXPECT_TRUE(choice_.may_read(kept));
}

TEST_F(ChoiceTest, OneThatIsEndingGivesWayAndIsReadToItsEnd) {
  Candidate& old = connection(9, true);
  choice_.open(old, 100);
  old.is_finishing = true;
  Candidate& fresh = connection(9, false);
  EXPECT_TRUE(choice_.open(fresh, 101).is_session);
  EXPECT_FALSE(choice_.may_read(fresh));
  old.hears_no_more = true;
  EXPECT_TRUE(choice_.may_read(fresh));
  EXPECT_EQ(choice_.remove(fresh), nullptr) << "what ends takes no place";
}

TEST_F(ChoiceTest, ASessionWaitsForAnOwnDialThatMayHaveCarriedMessages) {
  Candidate& session = connection(1, false);
  Candidate& dial = connection(1, true);
  choice_.open(session, 100);
  EXPECT_FALSE(choice_.may_read(session) || choice_.may_write(session));
  choice_.open(dial, 101);
  EXPECT_TRUE(dial.is_loser);
  EXPECT_TRUE(choice_.may_write(session));
  EXPECT_FALSE(choice_.may_read(session));
  dial.hears_no_more = true;
  EXPECT_TRUE(choice_.may_read(session));
}

TEST_F(ChoiceTest, OtherNodesAreOtherMatters) {
  Candidate& one = connection(1, true);
  Candidate& other = connection(9, false);
  choice_.open(one, 100);
  EXPECT_EQ(choice_.open(other, 101).replaced, nullptr);
  EXPECT_TRUE(choice_.may_read(one) && choice_.may_read(other));
  EXPECT_EQ(choice_.all(id(1)).size(), 1u);
}

}  // namespace
}  // namespace chaincast::session
