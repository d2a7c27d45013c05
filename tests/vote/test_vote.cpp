// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "vote/vote.hpp"

namespace chaincast::vote {
namespace {

NodeId node(uint8_t number) {
  NodeId id;
  id.bytes[0] = number;
  return id;
}
Digest digest(uint8_t number) {
  Digest out{};
  out[0] = number;
  return out;
}
std::vector<NodeId> parents(uint8_t count) {
  std::vector<NodeId> out;
  for (uint8_t i = 1; i <= count; ++i) out.push_back(node(i));
  return out;
}

TEST(Vote, TheShareDecidesAndTheBoundOfLiarsIsTheLeast) {
  struct Case {
    unsigned percent, tolerated;
    uint8_t parents;
    size_t needed;
  };
  // max(ceil(P x N), t + 1), computed by hand.
  for (const Case& c : {Case{0, 0, 7, 1}, Case{50, 0, 7, 4}, Case{50, 0, 8, 4}, Case{100, 0, 7, 7},
                        Case{0, 2, 7, 3}, Case{34, 1, 5, 2}, Case{41, 1, 5, 3}}) {
    Votes votes({.rule = {.percent = c.percent, .tolerated = c.tolerated}, .window = 8});
    votes.set_parents(parents(c.parents));
    EXPECT_EQ(votes.needed(), c.needed) << c.percent << " " << c.tolerated;
    for (uint8_t i = 1; i <= c.parents; ++i) {
      const Outcome outcome = votes.on_vote(node(i), 3, digest(1));
      const Outcome expected = i < c.needed    ? Outcome::counted
                               : i == c.needed ? Outcome::accepted
                                               : Outcome::repeated;
      EXPECT_EQ(outcome, expected) << "vote " << int{i};
    }
    EXPECT_EQ(votes.counters().accepted_by_votes, 1u);
  }
}

// By exact fractions, term by term.
TEST(Vote, SoManyVotesThatLiarsDrawnAtRandomHaveThemOnceInAMillion) {
  struct Case {
    size_t parents;
    unsigned malicious;
    size_t votes;
  };
  for (const Case& c :
       {Case{0, 30, 1}, Case{1, 0, 1}, Case{1, 1, 2}, Case{2, 1, 3}, Case{3, 1, 3}, Case{8, 1, 4},
        Case{5, 10, 6}, Case{6, 10, 6}, Case{8, 10, 7}, Case{11, 30, 12}, Case{12, 30, 12},
        Case{14, 30, 14}, Case{24, 30, 19}, Case{64, 30, 39}, Case{64, 1, 8}, Case{19, 50, 20},
        Case{20, 50, 20}, Case{64, 50, 51}}) {
    EXPECT_EQ(votes_against(c.parents, c.malicious), c.votes) << c.parents << " " << c.malicious;
  }
}

TEST(Vote, WhereAllParentsMayBeLiarsTheSignatureAccepts) {
  Votes votes({.rule = {.percent = 50, .tolerated = 0, .malicious = 30}, .window = 8});
  votes.set_parents(parents(11));
  EXPECT_FALSE(votes.is_sufficient());
  EXPECT_EQ(votes.parents_wanted(), 12u);
  for (uint8_t i = 1; i <= 11; ++i) {
    EXPECT_EQ(votes.on_vote(node(i), 0, digest(1)), Outcome::counted);
  }
  EXPECT_EQ(votes.on_signed(0, digest(1)), Outcome::accepted);
  votes.set_parents(parents(14));
  EXPECT_TRUE(votes.is_sufficient());
  for (uint8_t i = 1; i <= votes.needed(); ++i) {
    EXPECT_EQ(votes.on_vote(node(i), 1, digest(1)),
              i < votes.needed() ? Outcome::counted : Outcome::accepted);
  }
  EXPECT_EQ(votes.set_rule({.percent = 50, .tolerated = 0, .malicious = 0}), std::vector<Seq>{})
      << "nothing is open";
}

TEST(Vote, OneKeyHasOneVoteHoweverOftenItSpeaks) {
  Votes votes({.rule = {.percent = 50, .tolerated = 0}, .window = 8});
  votes.set_parents(parents(4));
  EXPECT_EQ(votes.on_vote(node(1), 0, digest(1)), Outcome::counted);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(votes.on_vote(node(1), 0, digest(1)), Outcome::repeated);
  EXPECT_EQ(votes.on_vote(node(1), 0, digest(2)), Outcome::double_vote);
  EXPECT_EQ(votes.on_vote(node(9), 0, digest(1)), Outcome::not_parent);
  EXPECT_FALSE(votes.accepted(0));
  const auto liars = votes.take_liars();
  ASSERT_EQ(liars.size(), 1u);
  EXPECT_EQ(liars[0].voter, node(1));
  EXPECT_EQ(votes.on_vote(node(2), 0, digest(1)), Outcome::accepted) << "the first vote stands";
}

TEST(Vote, TLiarsAcceptNothingAndTooFewParentsWaitForTheSignature) {
  for (unsigned t = 1; t <= 3; ++t) {
    Votes votes({.rule = {.percent = 0, .tolerated = t}, .window = 8});
    votes.set_parents(parents(static_cast<uint8_t>(2 * t + 1)));
    for (uint8_t i = 1; i <= t; ++i) {
      EXPECT_EQ(votes.on_vote(node(i), 0, digest(66)), Outcome::counted);
    }
    EXPECT_FALSE(votes.accepted(0));
    for (uint8_t i = static_cast<uint8_t>(t + 1); i <= 2 * t + 1; ++i) {
      votes.on_vote(node(i), 0, digest(1));
    }
    EXPECT_EQ(votes.accepted(0), digest(1));

    votes.set_parents(parents(static_cast<uint8_t>(2 * t)));
    EXPECT_FALSE(votes.is_sufficient());
    for (uint8_t i = 1; i <= 2 * t; ++i) {
      EXPECT_EQ(votes.on_vote(node(i), 1, digest(1)), Outcome::counted);
    }
    EXPECT_EQ(votes.on_signed(1, digest(1)), Outcome::accepted);
  }
}

TEST(Vote, ASignatureOutranksVotesAndNamesThoseWhoVouchedForAnother) {
  Votes votes({.rule = {.percent = 100, .tolerated = 0}, .window = 8});
  votes.set_parents(parents(2));
  votes.on_vote(node(1), 5, digest(66));
  EXPECT_EQ(votes.on_vote(node(2), 5, digest(66)), Outcome::accepted);
  EXPECT_EQ(votes.on_signed(5, digest(1)), Outcome::accepted);
  EXPECT_EQ(votes.accepted(5), digest(1));
  EXPECT_EQ(votes.counters().overruled, 1u);
  EXPECT_EQ(votes.take_liars().size(), 2u);
  EXPECT_EQ(votes.on_signed(5, digest(1)), Outcome::repeated);
}

TEST(Vote, TheOriginsOwnLinkNeedsNoVotes) {
  Votes votes({.rule = {.percent = 100, .tolerated = 0}, .window = 8});
  votes.set_parents(parents(5));
  EXPECT_EQ(votes.on_origin_link(2, digest(1)), Outcome::accepted);
  EXPECT_EQ(votes.on_vote(node(1), 2, digest(1)), Outcome::repeated);
}

TEST(Vote, WhenParentsDieThoseLeftAreEnough) {
  Votes votes({.rule = {.percent = 100, .tolerated = 0}, .window = 8});
  votes.set_parents(parents(3));
  votes.on_vote(node(1), 0, digest(1));
  votes.on_vote(node(2), 0, digest(1));
  votes.on_vote(node(1), 1, digest(1));
  EXPECT_EQ(votes.set_parents(parents(2)), std::vector<Seq>{0});
  EXPECT_EQ(votes.set_parents(parents(2)), std::vector<Seq>{}) << "accepted once";
}

TEST(Vote, TheWindowBoundsWhatIsOpen) {
  Votes votes({.rule = {.percent = 0, .tolerated = 0}, .window = 4});
  votes.set_parents(parents(1));
  EXPECT_EQ(votes.on_vote(node(1), 4, digest(1)), Outcome::ahead);
  votes.advance(3);
  EXPECT_EQ(votes.on_vote(node(1), 2, digest(1)), Outcome::late);
  EXPECT_EQ(votes.on_vote(node(1), 4, digest(1)), Outcome::accepted);
  votes.advance(1000);
  EXPECT_FALSE(votes.accepted(4));
  EXPECT_EQ(votes.on_vote(node(1), 1000, digest(1)), Outcome::accepted);
}

}  // namespace
}  // namespace chaincast::vote
