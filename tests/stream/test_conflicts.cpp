// SPDX-License-Identifier: BSD-3-Clause
// Members who forge frames of another origin: what receivers make of several variants of one seq.
#include <gtest/gtest.h>

#include <algorithm>

#include "stream/published.hpp"
#include "stream/receiver.hpp"

namespace chaincast::stream {
namespace {

using test::Emitted;
using test::forge;
using test::Published;
using test::small_descriptor;
using test::TestNode;

using ConflictTest = test::PublishedTest;

TEST_F(ConflictTest, AnInsiderWhoWinsEveryRaceChangesNothingAtFinal) {
  for (const wire::Suite suite : {wire::Suite::sha256_gmac, wire::Suite::sha256_gmac_ct}) {
    const Published p = publish(final_descriptor(suite), 300);
    const auto key = crypto_.key(*p.origin);
    TestNode node(crypto_, *p.origin);
    node.receiver->start_at_descriptor(0);
    uint64_t forged = 0;
    for (size_t i = 0; i < p.frames.size(); ++i) {
      const bool is_attacked = i % 10 == 3 && !p.frames[i].payload().empty();
      if (is_attacked) {
        ASSERT_TRUE(node.offer(forge(crypto_, *key, p.frames[i]).frame));
        node.poll(ns_per_ms);
        ++forged;
      }
      ASSERT_TRUE(node.offer(p.frames[i].frame)) << "the truth is spread too";
      node.poll(ns_per_ms);
    }
    node.sink.expect_objects(p.objects);
    EXPECT_TRUE(node.sink.lost.empty());
    const ReceiverCounters& c = node.receiver->counters();
    EXPECT_EQ(node.window->seconds(), forged);
    EXPECT_GE(c.replaced + 2, forged) << "the last ones may not be stated yet";
    EXPECT_LE(c.replaced, forged);
    EXPECT_GT(c.statements_bad, 0u) << "forged statements among them";
    EXPECT_EQ(c.frames, p.frames.size() + forged);
  }
}

TEST_F(ConflictTest, WithoutTheTruthAFinalStreamWaitsAndNamesTheDigest) {
  const Published p = publish(final_descriptor(), 100);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, {.window_log2 = 10});
  node.receiver->start_at_descriptor(0);
  const size_t attacked = 20;
  for (size_t i = 0; i < p.frames.size(); ++i) {
    node.offer(i == attacked ? forge(crypto_, *key, p.frames[i]).frame : p.frames[i].frame);
    node.poll(ns_per_ms);
  }
  EXPECT_LE(node.receiver->status().final_next, attacked);
  EXPECT_GE(node.receiver->counters().contradictions, 1u);
  std::vector<Receiver::Missing> missing;
  node.receiver->missing(missing, 100);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].seq, attacked);
  ASSERT_TRUE(missing[0].digest8);
  EXPECT_TRUE(std::equal(missing[0].digest8->begin(), missing[0].digest8->end(),
                         p.frames[attacked].digest.begin()));
  node.offer(p.frames[attacked].frame);
  node.poll(2 * ns_per_ms);
  node.sink.expect_objects(p.objects);
  EXPECT_EQ(node.receiver->variant_of(attacked, &*missing[0].digest8), 0u) << "the only one left";
}

// Offers what is asked for until nothing is, as neighbours that hold the truth would.
void repair_all(TestNode& node, const Published& p) {
  std::vector<Receiver::Missing> missing;
  for (unsigned round = 0; round < 1000; ++round) {
    node.poll(2 * ns_per_ms);
    node.receiver->missing(missing, 100);
    if (missing.empty()) return;
    for (const Receiver::Missing& m : missing) node.offer(p.frames[m.seq].frame);
  }
  ADD_FAILURE() << "still missing: " << missing.front().seq;
}

TEST_F(ConflictTest, AnyNumberOfForgeriesOfAFrameOnlyDelaysIt) {
  for (const wire::Suite suite : {wire::Suite::sha256_gmac, wire::Suite::sha256_gmac_ct}) {
    const Published p = publish(final_descriptor(suite), 100);
    const auto key = crypto_.key(*p.origin);
    TestNode node(crypto_, *p.origin, {.window_log2 = 10});
    node.receiver->start_at_descriptor(0);
    const auto offer_forgeries = [&](size_t i, uint8_t from, uint8_t to) {
      for (uint8_t salt = from; salt < to; ++salt)
        node.offer(forge(crypto_, *key, p.frames[i], salt).frame);
    };
    for (size_t i = 0; i < p.frames.size(); ++i) {
      if (i % 10 == 3 && !p.frames[i].payload().empty()) offer_forgeries(i, 1, 4);
      node.offer(p.frames[i].frame);
      node.poll(ns_per_ms);
    }
    EXPECT_LT(node.sink.objects.size(), p.objects.size());
    for (size_t i = 3; i < p.frames.size(); i += 10)
      if (!p.frames[i].payload().empty()) offer_forgeries(i, 4, 8);
    repair_all(node, p);
    node.sink.expect_objects(p.objects);
    EXPECT_TRUE(node.sink.lost.empty());
  }
}

TEST_F(ConflictTest, AForgeryOfEveryFrameOnlyDelaysThem) {
  const Published p = publish(final_descriptor(), 300);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, {.window_log2 = 10, .variants_max = 16});
  node.receiver->start_at_descriptor(0);
  for (const Emitted& frame : p.frames) {
    if (!frame.payload().empty()) node.offer(forge(crypto_, *key, frame).frame);
    node.offer(frame.frame);
    node.poll(ns_per_ms);
  }
  EXPECT_LT(node.window->seconds(), p.frames.size()) << "the side table was full at times";
  // Forged statements among them: the true ones come with tips.
  node.receiver->learn_statement(p.origin->newest_statement(), 2 * ns_per_ms);
  repair_all(node, p);
  node.sink.expect_objects(p.objects);
  EXPECT_TRUE(node.sink.lost.empty());
}

TEST_F(ConflictTest, ALinkedStreamDeliversTheFirstVariantAndGoesOn) {
  const Published p = publish(small_descriptor(), 200, 400);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (size_t i = 0; i < p.frames.size(); ++i) {
    if (i == 50) node.offer(forge(crypto_, *key, p.frames[i]).frame);
    node.poll(ns_per_ms);
    node.offer(p.frames[i].frame);
    node.poll(ns_per_ms);
  }
  EXPECT_EQ(node.sink.objects.size(), p.objects.size());
  EXPECT_EQ(node.receiver->status().linked_next, p.frames.size());
  EXPECT_EQ(node.receiver->counters().replaced, 1u);
  EXPECT_GE(node.receiver->counters().contradictions, 1u);
}

}  // namespace
}  // namespace chaincast::stream
