// SPDX-License-Identifier: BSD-3-Clause
#include "repair/repair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "stream/node.hpp"

namespace chaincast::repair {
namespace {

using test::Crypto;
using test::Emitted;
using test::small_descriptor;
using test::TestNode;

template <typename Message>
std::vector<std::pair<uint32_t, Message>> sent(const RepairOutput& out) {
  std::vector<std::pair<uint32_t, Message>> found;
  for (const auto& send : out.sends)
    if (const auto* m = std::get_if<Message>(&send.message)) found.emplace_back(send.peer, *m);
  return found;
}

class RepairTest : public testing::Test {
 protected:
  void SetUp() override { begin(small_descriptor()); }
  void begin(const wire::Descriptor& descriptor) {
    origin_ = crypto_.origin(descriptor);
    frames_.clear();
    for (unsigned i = 0; i < 300; ++i) ASSERT_TRUE(origin_->publish(Bytes(400)).value());
    for (TimeNs now = 0; now < 40 * ns_per_ms; now += ns_per_ms)
      for (Emitted& f : test::poll_all(*origin_, now)) frames_.push_back(std::move(f));
    node_ = std::make_unique<TestNode>(crypto_, *origin_, test::NodeConfig{.window_log2 = 10});
  }
  std::unique_ptr<Repair> repair(RepairConfig config = {},
                                 std::vector<Neighbour> neighbours = {{1, 5 * ns_per_ms},
                                                                      {2, 9 * ns_per_ms}}) {
    auto made = Repair::create(config, origin_->id(), origin_->descriptor(), *node_->receiver,
                               *node_->window, false, 1);
    made->set_neighbours(neighbours, 0);
    return made;
  }
  void offer(Seq from, Seq to) {
    for (Seq seq = from; seq < to; ++seq) node_->offer(frames_[seq].frame);
  }
  wire::Tip tip(Seq linked, Seq retained = 0, Bytes statement = {}) {
    wire::Tip t;
    t.stream = origin_->id();
    t.empty = false;
    t.linked_seq = linked;
    t.retained_from = retained;
    t.statement = std::move(statement);
    return t;
  }
  RepairOutput tick(Repair& machine, TimeNs now_ns) {
    node_->poll(now_ns);
    RepairOutput out;
    machine.tick(now_ns, out);
    return out;
  }

  Crypto crypto_;
  std::unique_ptr<stream::Origin> origin_;
  std::vector<Emitted> frames_;
  std::unique_ptr<TestNode> node_;
  RepairOutput unused_;
};

TEST_F(RepairTest, AsksForAGapAfterTheReorderingAllowance) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  offer(0, 10);
  offer(13, 20);
  offer(60, 80);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, ns_per_ms)).empty());
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, 2 * ns_per_ms)).empty());
  const auto nacks = sent<wire::Nack>(tick(*machine, 3 * ns_per_ms));
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_EQ(nacks[0].first, 1u) << "the nearest";
  EXPECT_EQ(nacks[0].second.first_seq, 10u);
  // 10 to 12, and 20 to 59.
  EXPECT_EQ(nacks[0].second.map, 7u | (((uint64_t{1} << 40) - 1) << 10));
  EXPECT_EQ(machine->counters().frames_asked, 43u);
  offer(10, 13);
  offer(20, 60);
  tick(*machine, 4 * ns_per_ms);
  EXPECT_EQ(machine->counters().frames_repaired, 43u);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, ns_per_s)).empty());
}

// However seldom tips go: what is missing is looked for when it is known to be.
TEST_F(RepairTest, AGapDoesNotWaitForTheNextTip) {
  node_->receiver->start_at_descriptor(0);
  RepairConfig config;
  config.tip_interval_ns = config.tip_idle_ns = 10 * ns_per_s;
  const auto machine = repair(config);
  offer(0, 10);
  tick(*machine, ns_per_ms);
  EXPECT_GT(machine->next_timer_ns(), ns_per_s);
  offer(11, 20);
  node_->poll(2 * ns_per_ms);
  EXPECT_LE(machine->next_timer_ns(), 2 * ns_per_ms) << "a gap";
  tick(*machine, 2 * ns_per_ms);
  EXPECT_EQ(machine->next_timer_ns(), 2 * ns_per_ms + config.first_wait_ns);
  ASSERT_EQ(sent<wire::Nack>(tick(*machine, machine->next_timer_ns())).size(), 1u);
  offer(10, 11);
  tick(*machine, 10 * ns_per_ms);
  EXPECT_GT(machine->next_timer_ns(), ns_per_s);

  machine->on_tip(2, tip(24), 20 * ns_per_ms, unused_);
  EXPECT_LE(machine->next_timer_ns(), 20 * ns_per_ms) << "a tail";
  tick(*machine, 20 * ns_per_ms);
  EXPECT_EQ(machine->next_timer_ns(), 20 * ns_per_ms + config.first_wait_ns);
  const auto nacks = sent<wire::Nack>(tick(*machine, machine->next_timer_ns()));
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_EQ(nacks[0].first, 2u);
}

TEST_F(RepairTest, SilenceOrPendingMovesOnToAnotherNeighbour) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  offer(0, 10);
  offer(11, 20);
  tick(*machine, 0);
  ASSERT_EQ(sent<wire::Nack>(tick(*machine, 2 * ns_per_ms)).at(0).first, 1u);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, 20 * ns_per_ms)).empty());
  EXPECT_EQ(sent<wire::Nack>(tick(*machine, 30 * ns_per_ms)).at(0).first, 2u);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, 60 * ns_per_ms)).empty()) << "twice as long";
  ASSERT_EQ(sent<wire::Nack>(tick(*machine, 100 * ns_per_ms)).at(0).first, 1u);

  offer(21, 30);
  tick(*machine, 200 * ns_per_ms);
  const auto nacks = sent<wire::Nack>(tick(*machine, 202 * ns_per_ms));
  ASSERT_FALSE(nacks.empty());
  ASSERT_EQ(nacks[0].second.first_seq + (nacks[0].second.map == 1 ? 0 : 10), 20u);
  machine->on_pending(1, {.stream = origin_->id(), .first_seq = 20, .map = 1}, 203 * ns_per_ms);
  EXPECT_EQ(sent<wire::Nack>(tick(*machine, 203 * ns_per_ms)).at(0).first, 2u);
  machine->on_pending(2, {.stream = origin_->id(), .first_seq = 20, .map = 1}, 204 * ns_per_ms);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, 204 * ns_per_ms)).empty()) << "all were asked";
}

TEST_F(RepairTest, PrefersANeighbourWhoseTipSaysThatItHasIt) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  offer(0, 10);
  offer(11, 20);
  machine->on_tip(1, tip(5), 0, unused_);
  machine->on_tip(2, tip(19), 0, unused_);
  tick(*machine, 0);
  EXPECT_EQ(sent<wire::Nack>(tick(*machine, 2 * ns_per_ms)).at(0).first, 2u);
}

TEST_F(RepairTest, ATipShowsTailLoss) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  offer(0, 10);
  machine->on_tip(2, tip(14), 0, unused_);
  tick(*machine, 0);
  const auto nacks = sent<wire::Nack>(tick(*machine, 2 * ns_per_ms));
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_EQ(nacks[0].first, 2u);
  EXPECT_EQ(nacks[0].second.first_seq, 10u);
  EXPECT_EQ(nacks[0].second.map, 0x1fu);
}

TEST_F(RepairTest, AWholeLostStartIsTailLossToo) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  machine->on_tip(2, tip(0), 0, unused_);
  tick(*machine, 0);
  const auto nacks = sent<wire::Nack>(tick(*machine, 2 * ns_per_ms));
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_EQ(nacks[0].second.first_seq, 0u);
  EXPECT_EQ(nacks[0].second.map, 1u);
}

TEST_F(RepairTest, AnEmptyStreamHasNothingToAskFor) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  for (const uint32_t peer : {1u, 2u}) {
    wire::Tip empty;
    empty.stream = origin_->id();
    machine->on_tip(peer, empty, 0, unused_);
  }
  for (TimeNs now = 0; now < ns_per_s; now += 10 * ns_per_ms) {
    EXPECT_TRUE(sent<wire::Nack>(tick(*machine, now)).empty());
  }
}

TEST_F(RepairTest, ATipClaimsWhatIsStillReadableBelowTheFloor) {
  node_ = std::make_unique<TestNode>(crypto_, *origin_, test::NodeConfig{.window_log2 = 6});
  node_->receiver->start_at_descriptor(0);
  Seq most_behind = 0;
  for (Seq seq = 0; seq < 200; ++seq) {
    node_->offer(frames_[seq].frame);
    node_->poll(0);
    const wire::Tip claim = [&] {
      const auto fresh = repair();
      return sent<wire::Tip>(tick(*fresh, 0)).at(0).second;
    }();
    Bytes frame(2048);
    ASSERT_TRUE(node_->window->read(claim.retained_from, 0, frame.data())) << seq;
    if (claim.retained_from == 0) continue;
    ASSERT_FALSE(node_->window->read(claim.retained_from - 1, 0, frame.data())) << seq;
    most_behind = std::max(most_behind, claim.linked_seq - claim.retained_from);
  }
  EXPECT_GT(most_behind, 32u) << "below the floor too";
}

TEST_F(RepairTest, AnswersWithTheFrameOncePerRoundTrip) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  offer(0, 20);
  offer(21, 30);
  node_->poll(0);
  RepairOutput out;
  const wire::Nack nack{.stream = origin_->id(), .first_seq = 18, .map = 0x7};
  machine->on_nack(2, nack, 0, out);
  ASSERT_EQ(out.resends.size(), 2u);
  EXPECT_EQ(out.resends[0].frame, frames_[18].frame);
  EXPECT_EQ(out.resends[1].frame, frames_[19].frame);
  const auto pending = sent<wire::Pending>(out);
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].second.map, 4u) << "20 is missing here too";
  EXPECT_FALSE(pending[0].second.gone);
  machine->on_nack(2, nack, 8 * ns_per_ms, out);
  EXPECT_EQ(out.resends.size(), 2u);
  EXPECT_EQ(machine->counters().suppressed, 3u);
  machine->on_nack(1, nack, 8 * ns_per_ms, out);
  EXPECT_EQ(out.resends.size(), 4u);
  machine->on_nack(2, nack, 9 * ns_per_ms, out);
  EXPECT_EQ(out.resends.size(), 6u);
}

TEST_F(RepairTest, WhatTheWindowHasForgottenIsGone) {
  node_ = std::make_unique<TestNode>(crypto_, *origin_, test::NodeConfig{.window_log2 = 6});
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  for (Seq seq = 0; seq < 200; ++seq) {
    node_->offer(frames_[seq].frame);
    node_->poll(0);
  }
  RepairOutput out;
  machine->on_nack(1, {.stream = origin_->id(), .first_seq = 3, .map = 1}, 0, out);
  EXPECT_TRUE(out.resends.empty());
  ASSERT_EQ(sent<wire::Pending>(out).size(), 1u);
  EXPECT_TRUE(sent<wire::Pending>(out)[0].second.gone);
  machine->on_nack(1, {.stream = origin_->id(), .first_seq = ~Seq{0}, .map = ~uint64_t{0}}, 0, out);
  EXPECT_TRUE(out.resends.empty());
}

TEST_F(RepairTest, FetchesByDigestWhatTheOriginMeant) {
  for (const wire::Suite suite : {wire::Suite::sha256_gmac, wire::Suite::sha256_gmac_ct}) {
    wire::Descriptor d = small_descriptor(suite);
    d.delivery = wire::Delivery::final;
    begin(d);
    const auto key = crypto_.key(*origin_);
    TestNode other(crypto_, *origin_, {.window_log2 = 10});
    node_->receiver->start_at_descriptor(0);
    other.receiver->start_at_descriptor(0);
    const Emitted forged = test::forge(crypto_, *key, frames_[5]);
    other.offer(forged.frame);
    for (size_t i = 0; i < 100; ++i) {
      node_->offer(i == 5 ? forged.frame : frames_[i].frame);
      other.offer(frames_[i].frame);
    }
    other.poll(0);
    const auto machine = repair();
    const auto answering =
        Repair::create({}, origin_->id(), d, *other.receiver, *other.window, false, 2);
    answering->set_neighbours({{7, 0}}, 0);
    tick(*machine, 0);
    const auto nacks = sent<wire::Nack>(tick(*machine, 2 * ns_per_ms));
    ASSERT_EQ(nacks.size(), 1u);
    EXPECT_TRUE(nacks[0].second.by_digest);
    EXPECT_EQ(nacks[0].second.first_seq, 5u);
    RepairOutput out;
    answering->on_nack(7, nacks[0].second, 0, out);
    ASSERT_EQ(out.resends.size(), 1u);
    EXPECT_EQ(out.resends[0].frame, frames_[5].frame);
    node_->offer(out.resends[0].frame);
    tick(*machine, 3 * ns_per_ms);
    EXPECT_EQ(node_->receiver->status().final_next, 16u);
  }
}

TEST_F(RepairTest, TipsTellWhatIsLinkedAndTheNewestStatement) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair();
  const auto first = sent<wire::Tip>(tick(*machine, 0));
  ASSERT_EQ(first.size(), 2u) << "new neighbours at once";
  EXPECT_TRUE(first[0].second.empty);
  offer(0, 50);
  EXPECT_TRUE(sent<wire::Tip>(tick(*machine, 50 * ns_per_ms)).empty());
  const auto tips = sent<wire::Tip>(tick(*machine, 100 * ns_per_ms));
  ASSERT_EQ(tips.size(), 2u);
  EXPECT_EQ(tips[0].second.linked_seq, 49u);
  EXPECT_TRUE(std::equal(tips[0].second.digest8.begin(), tips[0].second.digest8.end(),
                         frames_[49].digest.begin()));
  EXPECT_EQ(tips[0].second.statement, node_->receiver->newest_statement());
  EXPECT_FALSE(tips[0].second.statement.empty());
  EXPECT_TRUE(sent<wire::Tip>(tick(*machine, 200 * ns_per_ms)).empty()) << "idle";
  EXPECT_EQ(sent<wire::Tip>(tick(*machine, 350 * ns_per_ms)).size(), 2u);
  RepairOutput out;
  machine->on_tip_request(1, 400 * ns_per_ms, out);
  machine->on_tip_request(1, 401 * ns_per_ms, out);
  machine->on_tip_request(9, 401 * ns_per_ms, out);
  EXPECT_EQ(sent<wire::Tip>(out).size(), 1u);
}

TEST_F(RepairTest, ALateStarterAsksTwoAndTakesTheNewerStatement) {
  const auto machine = repair({}, {{1, 0}, {2, 0}, {3, 0}});
  const auto asked = sent<wire::TipRequest>(tick(*machine, ns_per_s));
  ASSERT_EQ(asked.size(), 2u);
  std::vector<Bytes> statements;
  for (const Emitted& f : frames_)
    if (f.kind() == wire::Kind::statement)
      statements.emplace_back(f.payload().begin(), f.payload().end());
  ASSERT_GE(statements.size(), 2u);
  machine->on_tip(1, tip(300, 100, statements.back()), ns_per_s, unused_);
  EXPECT_FALSE(node_->receiver->status().anchored) << "waits for a second opinion";
  machine->on_tip(2, tip(20, 10, statements.front()), ns_per_s, unused_);
  EXPECT_TRUE(node_->receiver->status().anchored);
  EXPECT_EQ(node_->receiver->status().anchor_seq,
            wire::parse_statement(statements.back())->last_seq + 1);
}

TEST_F(RepairTest, ALateStarterWithOneNeighbourDoesNotWaitForEver) {
  const auto machine = repair();
  machine->on_tip(1, tip(300, 100, origin_->newest_statement()), ns_per_s, unused_);
  tick(*machine, ns_per_s + 100 * ns_per_ms);
  EXPECT_FALSE(node_->receiver->status().anchored);
  tick(*machine, ns_per_s + 200 * ns_per_ms);
  EXPECT_TRUE(node_->receiver->status().anchored);
}

TEST_F(RepairTest, StartsAtTheDescriptorWhereEverythingIsRetained) {
  const auto machine = repair();
  machine->on_tip(1, tip(50, 0, origin_->newest_statement()), ns_per_s, unused_);
  EXPECT_TRUE(node_->receiver->status().anchor_is_descriptor);
}

TEST_F(RepairTest, EverythingIsBounded) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair({.nacks_per_tick_max = 2, .outstanding_max = 150});
  offer(290, 300);
  tick(*machine, 0);
  const auto nacks = sent<wire::Nack>(tick(*machine, 2 * ns_per_ms));
  EXPECT_EQ(nacks.size(), 2u);
  EXPECT_EQ(machine->counters().frames_asked, 128u);
  EXPECT_EQ(sent<wire::Nack>(tick(*machine, 3 * ns_per_ms)).size(), 1u);
  EXPECT_EQ(machine->counters().frames_asked, 150u);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, 4 * ns_per_ms)).empty());
}

TEST_F(RepairTest, OffAsksAndAnswersNothing) {
  node_->receiver->start_at_descriptor(0);
  const auto machine = repair({.enabled = false});
  offer(0, 10);
  offer(13, 20);
  tick(*machine, 0);
  EXPECT_TRUE(sent<wire::Nack>(tick(*machine, ns_per_s)).empty());
  RepairOutput out;
  machine->on_nack(1, {.stream = origin_->id(), .first_seq = 3, .map = 1}, 0, out);
  EXPECT_TRUE(out.resends.empty());
  EXPECT_EQ(machine->counters().tips_sent, 4u);
  machine->configure({.enabled = true});
  tick(*machine, 1100 * ns_per_ms);
  EXPECT_EQ(sent<wire::Nack>(tick(*machine, 1200 * ns_per_ms)).size(), 1u);
}

}  // namespace
}  // namespace chaincast::repair
