// SPDX-License-Identifier: BSD-3-Clause
#include "stream/receiver.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "stream/published.hpp"
#include "wire/object.hpp"

namespace chaincast::stream {
namespace {

using test::Emitted;
using test::Published;
using test::small_descriptor;
using test::TestNode;

using ReceiverTest = test::PublishedTest;

constexpr wire::Suite all_suites[] = {wire::Suite::sha256_gmac, wire::Suite::sha256_gcm,
                                      wire::Suite::sha256_gmac_ct, wire::Suite::sha256_gcm_ct,
                                      wire::Suite::gmac};

TEST_F(ReceiverTest, EverySuiteDeliversInOrderAndByteIdentical) {
  for (const wire::Suite suite : all_suites) {
    for (const bool is_final : {false, true}) {
      if (is_final && suite == wire::Suite::gmac) continue;
      const Published p =
          publish(is_final ? final_descriptor(suite) : small_descriptor(suite), 300);
      TestNode node(crypto_, *p.origin);
      node.receiver->start_at_descriptor(0);
      for (const Emitted& f : p.frames) {
        ASSERT_TRUE(node.offer(f.frame));
        ASSERT_FALSE(node.offer(f.frame));
        node.poll(ns_per_ms);
      }
      node.sink.expect_objects(p.objects);
      EXPECT_TRUE(node.sink.lost.empty());
      const ReceiverStatus& s = node.receiver->status();
      EXPECT_EQ(s.linked_next, p.frames.size());
      EXPECT_EQ(s.final_next, p.frames.size() - 1) << "all but the last statement";
      EXPECT_EQ(node.receiver->counters().contradictions, 0u);
      EXPECT_EQ(node.window->next(), p.frames.size());
      node.expect_accounts_add_up();
    }
  }
}

TEST_F(ReceiverTest, ReorderedFramesAreDeliveredInOrder) {
  const Published p = publish(small_descriptor(), 200);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  std::vector<const Emitted*> order;
  for (const Emitted& f : p.frames) order.push_back(&f);
  size_t reversed = 0;
  for (size_t i = 0; i + 8 < order.size(); i += 8, ++reversed)
    std::reverse(order.begin() + static_cast<ptrdiff_t>(i),
                 order.begin() + static_cast<ptrdiff_t>(i + 8));
  for (const Emitted* f : order) {
    node.offer(f->frame);
    node.poll(ns_per_ms);
  }
  node.sink.expect_objects(p.objects);
  // Of eight, the first to come is the highest; the other seven were missing until then.
  EXPECT_EQ(node.reordered, reversed * 7);
  EXPECT_EQ(node.receiver->counters().gap_frames, reversed * 7);
  EXPECT_EQ(node.receiver->counters().contradictions, 0u);
}

TEST_F(ReceiverTest, ALiveStreamGivesUpAGapAfterTheDeadline) {
  for (const bool is_final : {false, true}) {
    const Published p = publish(is_final ? final_descriptor() : small_descriptor(), 100, 400);
    TestNode node(crypto_, *p.origin);
    node.receiver->start_at_descriptor(0);
    for (size_t i = 0; i < p.frames.size(); ++i) {
      if (i < 30 || i > 33) node.offer(p.frames[i].frame);
      node.poll(10 * ns_per_ms);
    }
    node.poll(2 * ns_per_s);
    EXPECT_TRUE(node.sink.lost.empty()) << "not before the deadline";
    EXPECT_EQ(node.receiver->status().delivered_next <= 30, true);
    node.poll(2 * ns_per_s + 10 * ns_per_ms);
    ASSERT_EQ(node.sink.lost.size(), 1u);
    EXPECT_EQ(node.sink.lost[0].second, 33u);
    EXPECT_LE(node.sink.lost[0].first, 30u) << "a gap keeps what is below from being proven";
    EXPECT_TRUE(is_final || node.sink.lost[0].first == 30u);
    EXPECT_EQ(node.receiver->status().linked_next, p.frames.size());
    EXPECT_EQ(node.receiver->status().final_next, p.frames.size() - 1);
    EXPECT_EQ(node.window->next(), p.frames.size());
    node.expect_accounts_add_up();
    EXPECT_LT(node.sink.objects.size(), p.objects.size());
  }
}

TEST_F(ReceiverTest, ALossIsToldBehindWhatCameBeforeIt) {
  const Published p = publish(small_descriptor(), 100, 400);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  node.sink.room = 0;
  for (size_t i = 0; i < p.frames.size(); ++i)
    if (i != 30) node.offer(p.frames[i].frame);
  node.poll(0);
  node.poll(3 * ns_per_s);
  EXPECT_EQ(node.receiver->status().linked_next, p.frames.size()) << "given up";
  EXPECT_TRUE(node.sink.lost.empty()) << "its turn has not come";
  node.sink.room = ~size_t{0};
  node.poll(3 * ns_per_s);
  EXPECT_EQ(node.sink.lost, (std::vector<std::pair<Seq, Seq>>{{30, 30}}));
  const uint64_t gone = p.frames[30].kind() == wire::Kind::data ? 1 : 0;
  EXPECT_EQ(node.sink.objects.size() + gone, p.objects.size());
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, AnObjectWithAHoleIsDroppedWhole) {
  wire::Descriptor d = small_descriptor();
  Published p;
  p.origin = crypto_.origin(d);
  for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(p.origin->publish(Bytes(2000, uint8_t(i))).value());
  p.frames = test::poll_all(*p.origin, 0);
  for (Emitted& f : test::poll_all(*p.origin, 20 * ns_per_ms)) p.frames.push_back(std::move(f));
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (size_t i = 0; i < p.frames.size(); ++i)
    if (i != 9) node.offer(p.frames[i].frame);  // second frame of the third object
  node.poll(0);
  node.poll(3 * ns_per_s);
  EXPECT_EQ(node.sink.objects.size(), 9u);
  EXPECT_EQ(node.receiver->counters().lost_objects, 1u);
  EXPECT_EQ(node.receiver->counters().lost_frames, 1u);
  EXPECT_EQ(node.receiver->counters().dropped_frames, 3u);
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, AKeptStreamNeverGivesUp) {
  wire::Descriptor d = small_descriptor();
  d.keeping = wire::Keeping::kept;
  const Published p = publish(d, 100);
  TestNode node(crypto_, *p.origin, {.window_log2 = 10});
  node.receiver->start_at_descriptor(0);
  for (size_t i = 0; i < p.frames.size(); ++i)
    if (i != 30) node.offer(p.frames[i].frame);
  node.poll(0);
  node.poll(1000 * ns_per_s);
  EXPECT_TRUE(node.sink.lost.empty());
  EXPECT_LE(node.receiver->status().delivered_next, 30u);
  node.offer(p.frames[30].frame);
  node.poll(1001 * ns_per_s);
  node.sink.expect_objects(p.objects);
}

TEST_F(ReceiverTest, FramesMadeUpFarAheadCostTheOriginNothing) {
  const Published p = publish(small_descriptor(), 100);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  Emitted far = p.frames[3];
  store_be64(far.frame.data() + wire::frame_offset_seq, 250);
  crypto_.engine->seal(*key, far.frame.data(), static_cast<uint16_t>(far.frame.size()));
  ASSERT_TRUE(node.offer(far.frame));
  for (unsigned s = 0; s < 10; ++s) node.poll(s * ns_per_s);
  EXPECT_TRUE(node.sink.lost.empty());
  for (const Emitted& f : p.frames) {
    node.offer(f.frame);
    node.poll(10 * ns_per_s);
  }
  node.sink.expect_objects(p.objects);
}

// A chain of a member's own, run ahead of the origin, moves next but nothing else.
TEST_F(ReceiverTest, AForgedChainNeverMakesTheTruthStale) {
  Published p = publish(final_descriptor(), 60, 400);
  const auto key = crypto_.key(*p.origin);
  TestNode node(crypto_, *p.origin, {.window_log2 = 7, .variants_max = 128});
  node.receiver->start_at_descriptor(0);
  Digest previous = p.frames[9].digest;
  for (size_t i = 0; i < 10; ++i) node.offer(p.frames[i].frame);
  for (Seq seq = 10; seq < 200; ++seq) {
    Emitted own = p.frames[3];
    store_be64(own.frame.data() + wire::frame_offset_seq, seq);
    std::copy_n(previous.begin(), 16, own.frame.begin() + wire::frame_offset_link);
    previous =
        crypto_.engine->seal(*key, own.frame.data(), static_cast<uint16_t>(own.frame.size()));
    node.offer(own.frame);
    node.poll(ns_per_ms);
  }
  EXPECT_LT(node.window->floor(), 10u);
  EXPECT_GT(node.window->next(), 100u);
  for (size_t i = 10; i < p.frames.size(); ++i) {
    EXPECT_TRUE(node.offer(p.frames[i].frame)) << i;
    node.poll(ns_per_ms);
  }
  node.sink.expect_objects(p.objects);
}

TEST_F(ReceiverTest, ALateStarterBeginsWithTheFirstWholeObject) {
  Published p;
  p.origin = crypto_.origin(small_descriptor());
  publish_more(p, 50, 1500, 0);
  const Bytes statement = p.origin->newest_statement();
  const size_t from = p.frames.size();
  const size_t objects_before = p.objects.size();
  publish_more(p, 50, 1500, ns_per_s);
  TestNode node(crypto_, *p.origin);
  node.poll(0);
  EXPECT_FALSE(node.receiver->status().anchored);
  Bytes bad = statement;
  bad.back() ^= 1;
  EXPECT_FALSE(node.receiver->learn_statement(bad, 0));
  EXPECT_FALSE(node.receiver->status().anchored);
  EXPECT_TRUE(node.receiver->learn_statement(statement, 0));
  EXPECT_FALSE(node.receiver->learn_statement(statement, 0));
  EXPECT_TRUE(node.receiver->status().anchored);
  EXPECT_FALSE(node.receiver->status().anchor_is_descriptor);
  for (size_t i = from - 1; i < p.frames.size(); ++i) node.offer(p.frames[i].frame);
  node.poll(ns_per_ms);
  node.sink.expect_objects(p.objects, objects_before);
  EXPECT_EQ(node.receiver->counters().malformed_objects, 0u);
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, AStatementBeyondTheWindowMovesALiveStream) {
  Published p = publish(small_descriptor(), 400, 600);
  TestNode node(crypto_, *p.origin, {.window_log2 = 6});
  node.receiver->start_at_descriptor(0);
  for (size_t i = 0; i < 20; ++i) node.offer(p.frames[i].frame);
  node.poll(0);
  EXPECT_TRUE(node.receiver->learn_statement(p.origin->newest_statement(), ns_per_s));
  const size_t from = p.frames.size();
  publish_more(p, 20, 600, 2 * ns_per_s);
  for (size_t i = from - 1; i < p.frames.size(); ++i) {
    EXPECT_TRUE(node.offer(p.frames[i].frame));
    node.poll(3 * ns_per_s);
  }
  ASSERT_EQ(node.sink.lost.size(), 1u);
  EXPECT_EQ(node.sink.lost[0], (std::pair<Seq, Seq>{20, from - 2}));
  EXPECT_EQ(node.sink.objects.back().bytes, p.objects.back());
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, AFullSinkLosesNothingInsideTheWindow) {
  const Published p = publish(small_descriptor(), 60, 300);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  node.sink.room = 5;
  for (const Emitted& f : p.frames) {
    node.offer(f.frame);
    node.poll(ns_per_ms);
  }
  EXPECT_EQ(node.sink.objects.size(), 5u);
  while (node.sink.objects.size() < p.objects.size()) {
    const size_t before = node.sink.objects.size();
    node.sink.room = 1;
    node.poll(2 * ns_per_ms);
    ASSERT_EQ(node.sink.objects.size(), before + 1);
  }
  node.sink.expect_objects(p.objects);
}

TEST_F(ReceiverTest, ASinkThatStaysFullIsOverrunAndToldSo) {
  const Published p = publish(small_descriptor(), 300, 300);
  TestNode node(crypto_, *p.origin, {.window_log2 = 6});
  node.receiver->start_at_descriptor(0);
  node.sink.room = 5;
  for (const Emitted& f : p.frames) {
    ASSERT_TRUE(node.offer(f.frame));
    node.poll(ns_per_ms);
  }
  node.sink.room = ~size_t{0};
  node.poll(2 * ns_per_ms);
  ASSERT_EQ(node.sink.lost.size(), 1u);
  EXPECT_EQ(node.sink.objects.back().bytes, p.objects.back());
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, RouteObjectsAreMarked) {
  wire::Descriptor d = small_descriptor();
  d.carries_routes = true;
  const Published p = publish(d, 20);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) node.offer(f.frame);
  node.poll(0);
  ASSERT_EQ(node.sink.objects.size(), 20u);
  for (const auto& object : node.sink.objects) EXPECT_TRUE(object.is_route);
}

TEST_F(ReceiverTest, AHolderOfTheAuthenticationKeyOnlyReadsNothing) {
  const Published p = publish(small_descriptor(wire::Suite::sha256_gcm), 30);
  TestNode node(crypto_, *p.origin, {.holds_key = false});
  node.receiver->start_at_descriptor(0);
  for (const Emitted& f : p.frames) ASSERT_TRUE(node.offer(f.frame));
  node.poll(0);
  EXPECT_TRUE(node.sink.objects.empty());
  EXPECT_GE(node.receiver->counters().unopened_frames, p.frames.size());
  EXPECT_TRUE(node.receiver->learn_statement(p.origin->newest_statement(), 0));
  node.poll(0);
  EXPECT_EQ(node.receiver->status().final_next, p.frames.size() - 1) << "tips bring statements";
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, ASinkThatComesLaterStartsWithAWholeObject) {
  const Published p = publish(small_descriptor(), 60);
  TestNode node(crypto_, *p.origin);
  node.receiver->start_at_descriptor(0);
  for (size_t i = 0; i < p.frames.size(); ++i) {
    node.offer(p.frames[i].frame);
    node.receiver->poll(0, 64, i < p.frames.size() / 2 ? nullptr : &node.sink);
  }
  node.poll(0);
  ASSERT_FALSE(node.sink.objects.empty());
  ASSERT_LT(node.sink.objects.size(), p.objects.size());
  for (size_t i = 1; i <= node.sink.objects.size(); ++i)
    EXPECT_EQ(node.sink.objects[node.sink.objects.size() - i].bytes,
              p.objects[p.objects.size() - i]);
  EXPECT_EQ(node.receiver->counters().malformed_objects, 0u);
  node.expect_accounts_add_up();
}

// An origin of our own making, which breaks the rules of objects.
TEST_F(ReceiverTest, MalformedObjectsAndUnknownKindsAreCountedAndSkipped) {
  wire::Descriptor d = small_descriptor();
  const auto origin = crypto_.origin(d);
  const auto key = crypto_.key(*origin);
  TestNode node(crypto_, *origin);
  node.receiver->start_at_descriptor(0);
  Digest previous = origin->descriptor_digest();
  Seq seq = 0;
  const auto send = [&](uint8_t kind, const Bytes& payload) {
    wire::FrameHeader h;
    h.payload_bytes = static_cast<uint16_t>(payload.size());
    h.kind = kind;
    h.suite = static_cast<uint8_t>(d.suite);
    h.stream = origin->id();
    h.seq = seq++;
    std::copy_n(previous.begin(), 16, h.link.begin());
    Bytes frame(wire::frame_header_bytes);
    wire::store_frame_header(frame.data(), h);
    frame.insert(frame.end(), payload.begin(), payload.end());
    previous = crypto_.engine->seal(*key, frame.data(), static_cast<uint16_t>(frame.size()));
    EXPECT_TRUE(node.offer(frame));
    node.poll(0);
  };
  send(0x07, Bytes(3));         // unknown kind
  send(0xc0, {1});              // whole
  send(0xe0, {0, 9, 1});        // packed, length past the end
  send(0x20, {0, 1, 1});        // packed without first and last
  send(0x80, {2});              // first ...
  send(0x0f, Bytes(1));         // unknown kind in between: skipped
  send(0x00, {3});              // ... middle
  send(0xc0, {4});              // whole instead of last
  send(0x00, {5});              // middle of nothing
  send(0x40, {6});              // last of nothing: same hole
  send(0x80, {7});              // first of data
  send(0x41, {8});              // last of route
  send(0xe0, {0, 1, 9, 0, 0});  // packed: {9}, {}
  node.sink.expect_objects({{1}, {4}, {9}, {}});
  EXPECT_EQ(node.receiver->counters().unknown_kinds, 2u);
  EXPECT_EQ(node.receiver->counters().malformed_objects, 5u);
  node.expect_accounts_add_up();
}

TEST_F(ReceiverTest, AnObjectAboveTheLimitIsDropped) {
  wire::Descriptor d = small_descriptor();
  d.object_bytes_max = 2u << 20;
  const auto origin = crypto_.origin(d);
  ASSERT_TRUE(origin->publish(Bytes((1u << 20) + 1)).value());
  ASSERT_TRUE(origin->publish(Bytes(1u << 20)).value());
  TestNode node(crypto_, *origin, {.window_log2 = 10, .object_bytes_max = 1u << 20});
  node.receiver->start_at_descriptor(0);
  for (TimeNs now = 0; now < ns_per_s; now += ns_per_ms) {
    for (const Emitted& f : test::poll_all(*origin, now, 100)) node.offer(f.frame);
    node.poll(now);
  }
  ASSERT_EQ(node.sink.objects.size(), 1u);
  EXPECT_EQ(node.sink.objects[0].bytes.size(), size_t{1} << 20);
  EXPECT_EQ(node.receiver->counters().malformed_objects, 1u);
  node.expect_accounts_add_up();
}

}  // namespace
}  // namespace chaincast::stream
