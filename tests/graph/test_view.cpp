// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <functional>

#include "base/random.hpp"
#include "graph/facts.hpp"
#include "graph/seen_window.hpp"

namespace chaincast::graph {
namespace {

// Applies facts in an order given by a seed, some of them more than once.
View shuffled(test::Facts& facts, const std::vector<RecordRef>& records,
              const std::vector<AccusationRef>& accusations, uint64_t seed) {
  Random random(seed);
  std::vector<std::function<void(View&)>> acts;
  for (const RecordRef& r : records) acts.push_back([&r](View& v) { v.merge(r); });
  for (size_t i = acts.size(); i > 1; --i) std::swap(acts[i - 1], acts[random.below(i)]);
  View view(facts.store);
  for (const auto& act : acts) act(view);
  for (unsigned i = 0; i < 5; ++i) acts[random.below(acts.size())](view);
  // An accusation counts only beside the record that it is about.
  std::vector<AccusationRef> said = accusations;
  for (size_t i = said.size(); i > 1; --i) std::swap(said[i - 1], said[random.below(i)]);
  for (const AccusationRef& a : said) view.merge(a);
  for (const AccusationRef& a : said) view.merge(a);
  return view;
}

TEST(View, AnyOrderGivesOneObject) {
  test::Facts facts;
  std::vector<RecordRef> records;
  for (uint8_t node = 1; node <= 60; ++node) {
    const auto next = static_cast<uint8_t>(node % 60 + 1);
    records.push_back(facts.record(node, 1));
    records.push_back(facts.record(node, 2 + node % 3, {next}));
  }
  records.push_back(facts.record(7, 100, {}, true));
  std::vector<AccusationRef> accusations{facts.accusation(10, 9, 2), facts.accusation(10, 9, 2, 1),
                                         facts.accusation(31, 30, 2)};
  const View first = shuffled(facts, records, accusations, 1);
  EXPECT_EQ(first.total(), 60u);
  for (uint64_t seed = 2; seed < 30; ++seed) {
    const View other = shuffled(facts, records, accusations, seed);
    EXPECT_EQ(other.digest(), first.digest()) << "seed " << seed;
    EXPECT_TRUE(other.root() == first.root()) << "equal views share everything, seed " << seed;
  }
}

TEST(View, ManyRecordsInOnePassGiveTheSameObjectAsOneByOne) {
  test::Facts facts;
  Random random(5);
  std::vector<std::vector<RecordRef>> batches;
  for (unsigned k = 0; k < 20; ++k) {
    std::map<NodeId, RecordRef> batch;
    for (unsigned i = 0; i < 40; ++i) {
      const auto node = static_cast<uint8_t>(1 + random.below(120));
      const auto link = static_cast<uint8_t>(1 + node % 120);
      batch[facts.id(node)] = facts.record(node, 1 + random.below(6), {link}, random.chance(0.1));
    }
    batches.emplace_back();
    for (const auto& [id, record] : batch) batches.back().push_back(record);
  }
  View together(facts.store), apart(facts.store);
  for (const std::vector<RecordRef>& batch : batches) {
    std::vector<View::Merge> outcomes;
    std::vector<std::pair<RecordRef, RecordRef>> lies;
    together.merge(batch, outcomes, lies);
    ASSERT_EQ(outcomes.size(), batch.size());
    for (size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(outcomes[i], apart.merge(batch[i]));
    EXPECT_TRUE(together.root() == apart.root());
  }
  EXPECT_EQ(together.total(), 120u);
}

TEST(View, TwoRecordsUnderOneCounterAreHandedOutWhicheverStands) {
  test::Facts facts;
  const RecordRef one = facts.record(1, 5), other = facts.record(1, 5, {2});
  for (const bool is_first : {true, false}) {
    View view(facts.store);
    view.merge(is_first ? one : other);
    std::vector<View::Merge> outcomes;
    std::vector<std::pair<RecordRef, RecordRef>> lies;
    const std::vector<RecordRef> batch{is_first ? other : one};
    view.merge(batch, outcomes, lies);
    ASSERT_EQ(lies.size(), 1u);
    EXPECT_NE(lies[0].first->digest, lies[0].second->digest);
    lies.clear();
    const std::vector<RecordRef> newer{facts.record(1, 6)};
    view.merge(newer, outcomes, lies);
    EXPECT_TRUE(lies.empty()) << "a newer record is no lie";
  }
}

TEST(SeenWindow, RemembersTheNewestAndForgetsTheRest) {
  SeenWindow seen;
  std::set<uint64_t> known;
  Random random(3);
  uint64_t newest = 0;
  for (unsigned i = 0; i < 20'000; ++i) {
    const uint64_t serial = 1 + newest - std::min(newest, random.below(3000)) + random.below(8);
    newest = std::max(newest, serial);
    EXPECT_EQ(seen.insert(serial), known.insert(serial).second) << serial;
  }
  EXPECT_TRUE(seen.insert(newest + 10 * SeenWindow::window));
  EXPECT_TRUE(seen.insert(newest)) << "too old to know";
  EXPECT_FALSE(seen.insert(newest + 10 * SeenWindow::window));
  seen.clear();
  EXPECT_TRUE(seen.insert(newest + 10 * SeenWindow::window));
}

TEST(View, TheHigherCounterStandsAndAnEqualOneIsDecidedAlike) {
  test::Facts facts;
  View view(facts.store);
  EXPECT_EQ(view.merge(facts.record(1, 5)), View::Merge::changed);
  EXPECT_EQ(view.merge(facts.record(1, 5)), View::Merge::known);
  EXPECT_EQ(view.merge(facts.record(1, 4, {2})), View::Merge::stale);
  View other(facts.store);
  other.merge(facts.record(1, 5, {2}));
  view.merge(facts.record(1, 5, {2}));
  other.merge(facts.record(1, 5));
  EXPECT_EQ(view.digest(), other.digest());
}

TEST(View, AccusationsCountFromPartnersUnderTheCounterAndARecordRefutesThem) {
  test::Facts facts;
  View view(facts.store);
  EXPECT_EQ(view.merge(facts.accusation(2, 1, 5)), View::Merge::unknown_subject);
  view.merge(facts.record(1, 5, {2}));
  const Digest alive = view.digest();
  EXPECT_EQ(view.merge(facts.accusation(3, 1, 5)), View::Merge::unknown_subject) << "no partner";
  EXPECT_EQ(view.merge(facts.accusation(2, 1, 4)), View::Merge::stale);
  EXPECT_EQ(view.digest(), alive);
  EXPECT_EQ(view.merge(facts.accusation(2, 1, 5)), View::Merge::changed);
  EXPECT_EQ(view.find(facts.id(1))->standing, Standing::dead);
  EXPECT_EQ(view.live(), 0u);
  view.merge(facts.record(1, 6, {2}));
  EXPECT_EQ(view.find(facts.id(1))->standing, Standing::alive);
  EXPECT_EQ(view.live(), 1u);
}

TEST(View, TheDeadAreInNoDigestWhetherRememberedOrForgotten) {
  test::Facts facts;
  View with(facts.store), without(facts.store);
  for (uint8_t node = 1; node <= 17; ++node) {
    with.merge(facts.record(node, 1));
    without.merge(facts.record(node, 1));
  }
  with.merge(facts.record(99, 1, {}, true));  // the 18th, so that the shapes differ
  EXPECT_EQ(with.digest(), without.digest());
  EXPECT_EQ(with.live(), 17u);
  EXPECT_EQ(with.total(), 18u);
  with.forget(facts.id(1));
  EXPECT_EQ(with.live(), 17u) << "the living are not forgotten";
  with.forget(facts.id(99));
  EXPECT_TRUE(with.root() == without.root());
}

TEST(View, MergingRootsIsMergingTheirFacts) {
  test::Facts facts;
  View a(facts.store), b(facts.store), both(facts.store);
  for (uint8_t node = 1; node <= 80; ++node) {
    const RecordRef record = facts.record(node, node % 5 + 1u);
    if (node < 60) a.merge(record);
    if (node > 30) b.merge(node % 7 == 0 ? facts.record(node, 9) : record);
    both.merge(record);
    if (node > 30 && node % 7 == 0) both.merge(facts.record(node, 9));
  }
  std::vector<NodeId> conflicts;
  View merged(facts.store);
  merged.merge(a.root(), conflicts);
  merged.merge(b.root(), conflicts);
  EXPECT_TRUE(merged.root() == both.root());
  EXPECT_TRUE(conflicts.empty());
  View liar(facts.store);
  liar.merge(facts.record(1, 2, {5}));  // node 1 signed two records under counter 2
  merged.merge(liar.root(), conflicts);
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_EQ(conflicts[0], facts.id(1));
}

TEST(View, PositionsRunOverTheLivingInOrder) {
  test::Facts facts;
  View view(facts.store);
  for (uint8_t node = 1; node <= 50; ++node) {
    view.merge(facts.record(node, 1, {}, node % 4 == 0));
  }
  std::set<NodeId> seen;
  for (size_t i = 0; i < view.live(); ++i) seen.insert(view.live_at(i)->id());
  EXPECT_EQ(seen.size(), 38u);
  EXPECT_FALSE(seen.contains(facts.id(4)));
}

TEST(View, AStoreKeepsNothingThatNobodyHolds) {
  test::Facts facts;
  {
    View view(facts.store);
    for (uint8_t node = 1; node <= 50; ++node) view.merge(facts.record(node, 1));
    EXPECT_GT(facts.store.parts(), 4u);
    EXPECT_EQ(facts.store.entries(), 50u);
  }
  EXPECT_EQ(facts.store.parts(), 0u);
  EXPECT_EQ(facts.store.entries(), 0u);
}

}  // namespace
}  // namespace chaincast::graph
