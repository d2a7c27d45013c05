// SPDX-License-Identifier: BSD-3-Clause
// Delivery at `accepted`: what a judge accepts is handed out at once, the rest waits for the
// origin's signature, which outranks the judge.
#include <gtest/gtest.h>

#include <set>

#include "stage/burst.hpp"
#include "stream/origin_marks.hpp"
#include "stream/published.hpp"
#include "stream/stage.hpp"
#include "support/stream_rig.hpp"

namespace chaincast::stream {
namespace {

using test::Emitted;
using test::forge;
using test::Published;
using test::TestNode;

// Accepts the digests it was told, and keeps what it was asked and told.
struct ToldJudge final : Judge {
  bool on_frame(Seq seq, const Digest& digest, uint64_t tag48) override {
    asked.emplace_back(seq, digest);
    tags.push_back(tag48);
    return accepts_all || accepted.contains({seq, digest});
  }
  void on_final(Seq seq, const Digest& digest) override { final.emplace_back(seq, digest); }
  bool accepts_all = false;
  std::set<std::pair<Seq, Digest>> accepted;
  std::vector<std::pair<Seq, Digest>> asked, final;
  std::vector<uint64_t> tags;
};

class AcceptedTest : public test::PublishedTest {
 protected:
  // Statements late, so that acceptance and the origin's word are told apart.
  static wire::Descriptor descriptor(uint16_t statement_frames = 200) {
    wire::Descriptor d = test::small_descriptor();
    d.delivery = wire::Delivery::accepted;
    d.statement_frames_max = statement_frames;
    d.statement_interval_ms = 10'000;
    return d;
  }
  test::NodeConfig config() {
    test::NodeConfig out;
    out.window_log2 = 10;
    out.receiver.judge = &judge_;
    return out;
  }
  // Objects of one frame each, at once: the first statement comes behind the last one.
  Published publish_each(unsigned objects) {
    Published p;
    p.origin = crypto_.origin(descriptor());
    for (unsigned i = 0; i < objects; ++i) {
      p.objects.push_back(Bytes(400, static_cast<uint8_t>(i)));
      EXPECT_TRUE(p.origin->publish(p.objects.back()).value());
    }
    for (Emitted& f : test::poll_all(*p.origin, 0)) p.frames.push_back(std::move(f));
    for (Emitted& f : test::poll_all(*p.origin, 20 * ns_per_s)) p.frames.push_back(std::move(f));
    EXPECT_EQ(p.frames[objects].kind(), wire::Kind::statement);
    return p;
  }

  ToldJudge judge_;
};

TEST_F(AcceptedTest, WhatIsAcceptedIsDeliveredInOrderAndTheRestAtFinal) {
  const Published p = publish_each(20);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  for (Seq seq = 0; seq < 10; ++seq) judge_.accepted.insert({seq, p.frames[seq].digest});
  for (Seq seq = 0; seq < 20; ++seq) node.offer(p.frames[seq].frame);
  node.poll(ns_per_ms);
  EXPECT_EQ(node.receiver->status().linked_next, 20u);
  EXPECT_EQ(node.sink.objects.size(), 10u) << "linked, but nobody vouches for more";
  // Behind one that is not accepted nothing is handed out.
  EXPECT_TRUE(node.receiver->accept(11, p.frames[11].digest));
  node.poll(2 * ns_per_ms);
  EXPECT_EQ(node.sink.objects.size(), 10u);
  EXPECT_TRUE(node.receiver->accept(10, p.frames[10].digest));
  node.poll(3 * ns_per_ms);
  EXPECT_EQ(node.sink.objects.size(), 12u);
  EXPECT_EQ(node.receiver->status().accepted_next, 12u);
  EXPECT_EQ(node.receiver->status().final_next, 0u);
  for (size_t i = 20; i < p.frames.size(); ++i) node.offer(p.frames[i].frame);
  node.poll(4 * ns_per_ms);
  node.sink.expect_objects(p.objects);
  node.expect_accounts_add_up();
}

TEST_F(AcceptedTest, TheJudgeIsAskedOfEachVariantAndToldEachFinalFrameOnce) {
  const Published p = publish_each(10);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  const Emitted forged = forge(crypto_, *key, p.frames[4]);
  node.offer(forged.frame);
  for (const Emitted& frame : p.frames) node.offer(frame.frame);
  for (TimeNs now = 1; now < 5; ++now) node.poll(now * ns_per_ms);
  std::vector<std::pair<Seq, Digest>> true_frames;
  for (Seq seq = 0; seq + 1 < p.frames.size(); ++seq) {
    true_frames.emplace_back(seq, p.frames[seq].digest);
  }
  ASSERT_LE(true_frames.size(), judge_.final.size());
  judge_.final.resize(true_frames.size());
  EXPECT_EQ(judge_.final, true_frames) << "ascending, the true variant of seq 4";
  EXPECT_EQ(judge_.asked.size(), p.frames.size() + 1);
  EXPECT_EQ(std::count(judge_.asked.begin(), judge_.asked.end(), std::pair(Seq{4}, forged.digest)),
            1);
  const wire::FrameHeader header = p.frames[0].header();
  ASSERT_EQ(judge_.asked[0].first, 0u);
  EXPECT_EQ(judge_.tags[0], wire::tag48(header.tag.data()));
}

TEST_F(AcceptedTest, AForgeryThatCameFirstIsNeverHandedOutForWhatIsAccepted) {
  const Published p = publish_each(10);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  for (Seq seq = 0; seq < 10; ++seq) judge_.accepted.insert({seq, p.frames[seq].digest});
  for (Seq seq = 0; seq < 10; ++seq) {
    node.offer(forge(crypto_, *key, p.frames[seq]).frame);
    node.poll(ns_per_ms);
    EXPECT_EQ(node.sink.objects.size(), seq) << "the forgery is linked, and waits";
    node.offer(p.frames[seq].frame);
    node.poll(ns_per_ms);
  }
  node.sink.expect_objects(p.objects);
}

TEST_F(AcceptedTest, WhatIsNotHereCannotBeAccepted) {
  const Published p = publish_each(3);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  node.offer(p.frames[0].frame);
  node.poll(ns_per_ms);
  EXPECT_FALSE(node.receiver->accept(1, p.frames[1].digest)) << "not here";
  EXPECT_FALSE(node.receiver->accept(0, p.frames[1].digest)) << "another digest";
  EXPECT_TRUE(node.receiver->accept(0, p.frames[0].digest));
  node.poll(ns_per_ms);
  EXPECT_EQ(node.sink.objects.size(), 1u);
}

TEST_F(AcceptedTest, TheSignatureTakesBackWhatTheVotesErredAboutUnlessItIsOut) {
  const Published p = publish_each(10);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  node.sink.room = 3;  // the fourth waits for room
  for (Seq seq = 0; seq < 10; ++seq) {
    const Emitted bad = seq == 5 ? forge(crypto_, *key, p.frames[seq]) : p.frames[seq];
    node.offer(bad.frame);
    judge_.accepted.insert({seq, bad.digest});
  }
  node.poll(ns_per_ms);
  ASSERT_EQ(node.sink.objects.size(), 3u);
  EXPECT_EQ(node.receiver->status().accepted_next, 10u) << "more lied than t";
  for (size_t i = 10; i < p.frames.size(); ++i) node.offer(p.frames[i].frame);
  node.sink.room = 100;
  node.poll(2 * ns_per_ms);
  EXPECT_EQ(node.sink.objects.size(), 5u) << "not what the origin has disowned";
  std::vector<Receiver::Missing> missing;
  node.receiver->missing(missing, 10);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].seq, 5u);
  node.offer(p.frames[5].frame);
  node.poll(3 * ns_per_ms);
  node.sink.expect_objects(p.objects);
}

TEST_F(AcceptedTest, DisownedAndNeverMendedIsLostAfterTheDeadline) {
  const Published p = publish_each(10);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  judge_.accepts_all = true;
  node.sink.room = 0;
  for (Seq seq = 0; seq < 10; ++seq) {
    node.offer(seq == 5 ? forge(crypto_, *key, p.frames[seq]).frame : p.frames[seq].frame);
  }
  node.poll(ns_per_ms);
  for (size_t i = 10; i < p.frames.size(); ++i) node.offer(p.frames[i].frame);
  node.poll(2 * ns_per_ms);
  node.sink.room = 100;
  node.poll(3 * ns_per_s);
  node.poll(3 * ns_per_s);
  ASSERT_EQ(node.sink.lost.size(), 1u);
  EXPECT_EQ(node.sink.lost[0], std::pair(Seq{5}, Seq{5}));
  EXPECT_EQ(node.sink.objects.size(), 9u);
  node.expect_accounts_add_up();
}

TEST_F(AcceptedTest, AGapIsGivenUpAndTheAcceptedGoesOnBehindIt) {
  const Published p = publish_each(20);
  TestNode node(crypto_, *p.origin, config());
  node.receiver->start_at_descriptor(0);
  // 3 and 4 never come, 7 is vouched for by nobody, and stands below the gap at 9.
  for (Seq seq = 0; seq < 20; ++seq) {
    if (seq == 3 || seq == 4 || seq == 9) continue;
    if (seq != 7) judge_.accepted.insert({seq, p.frames[seq].digest});
    node.offer(p.frames[seq].frame);
  }
  node.poll(ns_per_ms);
  EXPECT_EQ(node.sink.objects.size(), 3u);
  for (size_t i = 20; i < p.frames.size(); ++i) node.offer(p.frames[i].frame);
  node.poll(ns_per_s);
  EXPECT_EQ(node.sink.objects.size(), 3u) << "before the deadline";
  node.poll(3 * ns_per_s);
  node.poll(3 * ns_per_s);
  const std::vector<std::pair<Seq, Seq>> lost = {{3, 4}, {7, 7}, {9, 9}};
  EXPECT_EQ(node.sink.lost, lost);
  EXPECT_EQ(node.sink.objects.size(), 16u);
  node.expect_accounts_add_up();
}

TEST_F(AcceptedTest, ALateStarterIsAskedFromItsAnchorOn) {
  const Published p = publish_each(10);
  TestNode node(crypto_, *p.origin, config());
  judge_.accepts_all = true;
  const Emitted& statement = p.frames.back();
  ASSERT_TRUE(node.receiver->learn_statement(statement.payload(), 0));
  node.poll(ns_per_ms);
  EXPECT_TRUE(judge_.final.empty());
  EXPECT_EQ(node.receiver->status().accepted_next, node.receiver->status().anchor_seq);
}

// ---- marks ----------------------------------------------------------------------------------

TEST(OriginMarks, NameTheFrameAndNoOtherOfItsPlace) {
  OriginMarks marks(16);
  EXPECT_FALSE(marks.has_peer());
  marks.set_peer(3);
  EXPECT_TRUE(marks.is_of(3));
  EXPECT_FALSE(marks.is_of(4));
  marks.mark(5, 0xabcd);
  EXPECT_TRUE(marks.has(5, 0xabcd));
  EXPECT_FALSE(marks.has(5, 0xabce)) << "another variant";
  EXPECT_FALSE(marks.has(21, 0xabcd)) << "a lap later";
  marks.mark(21, 0x1);
  EXPECT_FALSE(marks.has(5, 0xabcd));
  EXPECT_FALSE(marks.has(7, 0)) << "nothing was marked there";
  marks.set_nobody();
  EXPECT_FALSE(marks.is_of(3));
}

class MarksOfBursts : public testing::TestWithParam<wire::Suite> {
 protected:
  MarksOfBursts() {
    rig_.stream().origin_marks = std::make_unique<OriginMarks>(rig_.stream().window->size());
    rig_.stream().origin_marks->set_peer(1);
  }
  // One frame of `seq` from a peer.
  void put(stage::Burst& burst, uint32_t peer, Seq seq) {
    bytes_ = rig_.frame(seq, 100);
    burst.datagrams[0].peer = peer;
    burst.datagram_count = 1;
    stage::Frame& frame = burst.frames[0];
    frame = {};
    frame.bytes = bytes_.data();
    frame.length = static_cast<uint16_t>(bytes_.size());
    frame.tag48 = wire::tag48(bytes_.data() + wire::frame_offset_tag);
    frame.seq = seq;
    frame.stream = &rig_.stream();
    frame.digest[0] = 1;
    burst.frame_count = 1;
    tag48_ = frame.tag48;
  }
  bool has(Seq seq) { return rig_.stream().origin_marks->has(seq, tag48_); }
  bool is_strict() const { return links_by_digest(GetParam()); }

  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<crypto::FrameEngine> engine_ = toolbox_->reference_engine();
  test::StreamRig rig_{*toolbox_, *engine_, GetParam()};
  stage::Burst::Drops drops_;
  stage::Burst burst_{drops_};
  Bytes bytes_;
  uint64_t tag48_ = 0;
};

TEST_P(MarksOfBursts, OnlyWhatCameOverTheOriginsLinkIsMarked) {
  put(burst_, 2, 7);
  mark_origin_arrivals(burst_);
  mark_origin_commits(burst_);
  EXPECT_FALSE(has(7));
  // Where the tag does not cover the digest, only what the window took.
  put(burst_, 1, 7);
  mark_origin_arrivals(burst_);
  EXPECT_EQ(has(7), is_strict());
  mark_origin_commits(burst_);
  EXPECT_TRUE(has(7));
}

TEST_P(MarksOfBursts, WhatIsBelowTheWindowMarksNothing) {
  rig_.stream().window->anchor(10'000, Digest{});
  ASSERT_GT(rig_.stream().window->floor(), 7u);
  put(burst_, 1, 7);
  mark_origin_arrivals(burst_);
  mark_origin_commits(burst_);
  EXPECT_FALSE(has(7));
}

// Passed on, a forgery of its own stream would leave the origin over its own links.
TEST_P(MarksOfBursts, AnOriginTakesNoFrameOfItsOwnStreamFromOthers) {
  rig_.stream().is_own = true;
  put(burst_, 1, 7);
  burst_.datagrams[0].frames_kept = 1;
  mark_origin_arrivals(burst_);
  EXPECT_EQ(burst_.frame_count, 0u);
  EXPECT_EQ(drops_.read(stage::Drop::conflict), 1u);
  // Nor one beside its own.
  rig_.stream().window->commit(8, 0x77, Digest{1}, bytes_.data(),
                               static_cast<uint16_t>(bytes_.size()), false);
  put(burst_, 1, 8);
  burst_.datagrams[0].frames_kept = 1;
  mark_origin_arrivals(burst_);
  EXPECT_EQ(burst_.frame_count, 0u);
  EXPECT_EQ(drops_.read(stage::Drop::conflict), 2u);
  // What it has made comes back from everywhere, and is a duplicate as ever.
  put(burst_, 1, 9);
  rig_.stream().window->commit(9, tag48_, Digest{1}, bytes_.data(),
                               static_cast<uint16_t>(bytes_.size()), false);
  mark_origin_arrivals(burst_);
  EXPECT_EQ(burst_.frame_count, 1u);
}

INSTANTIATE_TEST_SUITE_P(Suites, MarksOfBursts,
                         testing::Values(wire::Suite::sha256_gmac, wire::Suite::sha256_gmac_ct));

}  // namespace
}  // namespace chaincast::stream
