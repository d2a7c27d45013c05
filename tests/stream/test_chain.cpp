// SPDX-License-Identifier: BSD-3-Clause
#include "stream/chain.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "dedup/frames.hpp"

// Chains of made-up digests: which frame is linked to which is known, nothing is hashed.
namespace chaincast::stream {
namespace {

using test::made_digest;

constexpr size_t link_bytes = sizeof(Link16);

// Variant `name` of `seq`, behind variant `previous` of seq - 1.
ChainVariant variant(Seq seq, unsigned name, unsigned previous) {
  ChainVariant made;
  made.digest = made_digest(seq, name);
  const Digest before = made_digest(seq - 1, previous);
  std::copy_n(before.begin(), made.link.size(), made.link.begin());
  return made;
}

ChainVariant with_flip(ChainVariant made, size_t link_byte) {
  made.link[link_byte] ^= 1;
  return made;
}

// Two histories of one stream: names tell them apart.
constexpr unsigned truth = 0;
constexpr unsigned forgery = 1;

class ChainTest : public testing::Test {
 protected:
  // Starts at `at` behind the truth.
  Chain started(Seq at, ChainRules rules = {}) {
    Chain chain(64, rules, counters_);
    chain.start(at, made_digest(at - 1, truth));
    return chain;
  }
  ReceiverCounters counters_;
};

TEST_F(ChainTest, TheFirstFrameMustNameTheAnchorByteForByte) {
  for (size_t byte = 0; byte < link_bytes; ++byte) {
    Chain chain = started(100);
    chain.add(100, 0, with_flip(variant(100, forgery, truth), byte));
    ASSERT_TRUE(chain.settle(0));
    EXPECT_EQ(chain.linked_next(), 100u) << "byte " << byte;
    EXPECT_TRUE(chain.is_blocked());
    chain.add(100, 1, variant(100, truth, truth));
    ASSERT_TRUE(chain.settle(0));
    EXPECT_EQ(chain.linked_next(), 101u);
    EXPECT_EQ(chain.find(100)->best(), 1u);
  }
}

TEST_F(ChainTest, EveryByteOfALinkCounts) {
  for (size_t byte = 0; byte < link_bytes; ++byte) {
    Chain chain = started(0);
    chain.add(0, 0, variant(0, truth, truth));
    chain.add(1, 0, with_flip(variant(1, forgery, truth), byte));
    chain.add(2, 0, variant(2, truth, truth));
    ASSERT_TRUE(chain.settle(0));
    EXPECT_EQ(chain.linked_next(), 1u) << "byte " << byte;
    chain.add(1, 1, variant(1, truth, truth));
    ASSERT_TRUE(chain.settle(0));
    EXPECT_EQ(chain.linked_next(), 3u);
    EXPECT_EQ(chain.find(1)->best(), 1u);
  }
  EXPECT_EQ(counters_.contradictions, link_bytes);
}

// Both variants continue what is linked, and only what comes next tells which one is meant.
TEST_F(ChainTest, TheChoiceChangesToTheVariantThatIsContinued) {
  Chain chain = started(0);
  chain.add(0, 0, variant(0, truth, truth));
  chain.add(1, 0, variant(1, forgery, truth));
  chain.add(1, 1, variant(1, truth, truth));
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.linked_next(), 2u);
  EXPECT_EQ(chain.find(1)->best(), 0u) << "the first";
  chain.add(2, 0, with_flip(variant(2, forgery, truth), 15));
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.linked_next(), 2u);
  chain.add(2, 1, variant(2, truth, truth));
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.linked_next(), 3u);
  EXPECT_EQ(chain.find(1)->best(), 1u);
  EXPECT_EQ(chain.find(2)->best(), 1u);
}

TEST_F(ChainTest, TheChoiceStaysWhereTheOtherVariantContinuesNothing) {
  Chain chain = started(0);
  chain.add(0, 0, variant(0, truth, truth));
  chain.add(1, 0, variant(1, truth, truth));
  chain.add(1, 1, with_flip(variant(1, forgery, truth), 7));
  chain.add(2, 0, variant(2, forgery, forgery));
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.linked_next(), 2u);
  EXPECT_EQ(chain.find(1)->best(), 0u);
}

// The origin's word goes down the links of the variants that it names, not of those that came
// first.
TEST_F(ChainTest, AWordMakesItsWholeHistoryFinal) {
  Chain chain = started(0, {.needs_final = true});
  constexpr Seq end = 10;
  for (Seq seq = 0; seq < end; ++seq) {
    chain.add(seq, 0, variant(seq, forgery, seq == 0 ? truth : forgery));
    chain.add(seq, 1, variant(seq, truth, truth));
  }
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.linked_next(), end);
  EXPECT_EQ(chain.final_next(), 0u);
  EXPECT_TRUE(chain.add_word(end - 1, made_digest(end - 1, truth)));
  ASSERT_TRUE(chain.settle(0));
  EXPECT_EQ(chain.final_next(), end);
  for (Seq seq = 0; seq < end; ++seq) EXPECT_EQ(chain.find(seq)->best(), 1u) << seq;
  EXPECT_EQ(counters_.replaced, end);
  EXPECT_TRUE(chain.add_word(end - 1, made_digest(end - 1, truth)));
  EXPECT_FALSE(chain.add_word(end - 1, made_digest(end - 1, forgery))) << "two histories";
}

}  // namespace
}  // namespace chaincast::stream
