// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "stream/descriptor.hpp"
#include "stream/published.hpp"
#include "wire/control.hpp"

// What a receiver makes of the origin's statements, and of those that are not the origin's.
namespace chaincast::stream {
namespace {

using test::Emitted;
using test::Published;
using test::small_descriptor;
using test::TestNode;

using StatementsTest = test::PublishedTest;

TEST_F(StatementsTest, TwoHistoriesHoldTheStream) {
  Published p;
  p.origin = crypto_.origin(small_descriptor());
  publish_more(p, 40, 400, 0);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(0);
  const size_t delivered = node.sink.objects.size();
  wire::Statement other = wire::parse_statement(p.origin->newest_statement()).value();
  other.last_digest[0] ^= 1;
  sign_statement(other, p.origin->descriptor().network, *crypto_.signer);
  EXPECT_TRUE(node.receiver->status().final_next > 0);
  node.receiver->learn_statement(wire::encode(other), ns_per_ms);
  EXPECT_TRUE(node.receiver->status().is_held);
  ASSERT_EQ(node.receiver->evidence().size(), 2u);
  std::vector<wire::Statement> proof;
  for (const Bytes& payload : node.receiver->evidence()) {
    proof.push_back(wire::parse_statement(payload).value());
    EXPECT_TRUE(check_statement(proof.back(), p.origin->descriptor(), *crypto_.toolbox));
  }
  EXPECT_EQ(proof[0].index, proof[1].index);
  EXPECT_NE(proof[0].last_digest, proof[1].last_digest);
  publish_more(p, 10, 400, ns_per_s);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(2 * ns_per_s);
  EXPECT_EQ(node.sink.objects.size(), delivered);
}

// Another history under a later index: the chain of frames itself does not fit.
TEST_F(StatementsTest, AStatementAgainstFinalFramesHoldsTheStream) {
  const Published p = publish(small_descriptor(), 40, 400);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(0);
  wire::Statement other = wire::parse_statement(p.origin->newest_statement()).value();
  other.index += 1;
  other.previous = crypto_.toolbox->sha256(p.origin->newest_statement());
  other.first_seq = other.last_seq = other.last_seq - 3;
  sign_statement(other, p.origin->descriptor().network, *crypto_.signer);
  node.receiver->learn_statement(wire::encode(other), ns_per_ms);
  EXPECT_TRUE(node.receiver->status().is_held);
  EXPECT_EQ(node.receiver->evidence().size(), 2u);
}

// And through frames: a signed branch that leaves the history below what is final already.
TEST_F(StatementsTest, ASignedBranchBelowFinalFramesHoldsTheStream) {
  const Published p = publish(small_descriptor(), 40, 400);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(0);
  const Seq final_next = node.receiver->status().final_next;
  // Takes the place after the last frame and links to a frame that never was.
  Emitted branch = test::forge(crypto_, *key, p.frames.back());
  ASSERT_EQ(branch.header().seq, final_next);
  branch.frame[wire::frame_offset_link] ^= 1;
  branch.digest =
      crypto_.engine->seal(*key, branch.frame.data(), static_cast<uint16_t>(branch.frame.size()));
  node.offer(branch.frame);
  wire::Statement other = wire::parse_statement(p.origin->newest_statement()).value();
  other.index += 1;
  other.previous = crypto_.toolbox->sha256(p.origin->newest_statement());
  other.first_seq = other.last_seq = final_next;
  other.last_digest = branch.digest;
  sign_statement(other, p.origin->descriptor().network, *crypto_.signer);
  node.receiver->learn_statement(wire::encode(other), ns_per_ms);
  node.poll(2 * ns_per_ms);
  EXPECT_TRUE(node.receiver->status().is_held);
  EXPECT_EQ(node.receiver->evidence().size(), 2u);
}

TEST_F(StatementsTest, ForgedStatementsNeverHoldOrMoveAnything) {
  const Published p = publish(small_descriptor(), 40, 400);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(0);
  const auto stranger = crypto_.toolbox->signer(Secret{9});
  wire::Statement s = wire::parse_statement(p.origin->newest_statement()).value();
  s.last_seq = 1'000'000;
  s.index = 900;
  sign_statement(s, p.origin->descriptor().network, *stranger);
  const uint64_t bad = node.receiver->counters().statements_bad;
  EXPECT_FALSE(node.receiver->learn_statement(wire::encode(s), ns_per_ms));
  EXPECT_FALSE(node.receiver->learn_statement(Bytes(17), ns_per_ms));
  s.descriptor_digest[3] ^= 1;
  sign_statement(s, p.origin->descriptor().network, *crypto_.signer);
  EXPECT_FALSE(node.receiver->learn_statement(wire::encode(s), ns_per_ms));
  EXPECT_EQ(node.receiver->counters().statements_bad, bad + 3);
  EXPECT_FALSE(node.receiver->status().is_held);
  EXPECT_EQ(node.receiver->status().final_next, p.frames.size() - 1);
}

TEST_F(StatementsTest, ChecksAtMostTheQuotaPerPoll) {
  const Published p = publish(small_descriptor(), 40, 400);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  const auto stranger = crypto_.toolbox->signer(Secret{9});
  wire::Statement s = wire::parse_statement(p.origin->newest_statement()).value();
  for (uint64_t i = 0; i < 20; ++i) {
    s.index = 100 + i;
    sign_statement(s, p.origin->descriptor().network, *stranger);
    node.receiver->learn_statement(wire::encode(s), 0);
  }
  EXPECT_EQ(node.receiver->counters().statements_checked, 4u);
  EXPECT_TRUE(node.receiver->poll(0, 64, &node.sink));
  EXPECT_EQ(node.receiver->counters().statements_checked, 8u);
}

TEST_F(StatementsTest, StaleAndEndedShow) {
  Published p = publish(small_descriptor(), 10, 400);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(ns_per_s);
  EXPECT_EQ(node.receiver->next_timer_ns() > ns_per_s, true);
  node.poll(30 * ns_per_s);
  EXPECT_FALSE(node.receiver->status().is_stale);
  node.poll(31 * ns_per_s);
  EXPECT_TRUE(node.receiver->status().is_stale);
  p.origin->end(32 * ns_per_s, [&](ByteSpan frame, const Digest&) { node.offer(frame); });
  EXPECT_FALSE(node.receiver->status().is_ended);
  node.poll(32 * ns_per_s);
  EXPECT_FALSE(node.receiver->status().is_stale);
  EXPECT_TRUE(node.receiver->status().is_ended);
}

}  // namespace
}  // namespace chaincast::stream
