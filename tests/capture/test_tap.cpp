// SPDX-License-Identifier: BSD-3-Clause
// What a tap takes down of a whole line, beside what neighbours sent and what the node counts.
#include <gtest/gtest.h>

#include "capture/tap_rig.hpp"

namespace chaincast::capture {
namespace {

using stage::Drop;

std::vector<Bytes> datagrams_of(const std::vector<Taken>& list) {
  std::vector<Bytes> out;
  for (const Taken& taken : list) out.push_back(taken.datagram);
  return out;
}

TEST(Tap, BothDirectionsAreByteIdentical) {
  TapRig t;
  std::vector<Bytes> sent;
  for (const size_t bytes : {0u, 1u, 7u, 500u, 1100u}) sent.push_back(t.put({t.next_frame(bytes)}));
  t.rig.turn();
  const std::vector<Taken> taken = t.taken();
  std::vector<Bytes> in, out;
  for (const Taken& one : taken) {
    (one.record.is_outgoing ? out : in).push_back(one.datagram);
    EXPECT_EQ(one.record.port_id, TapRig::port_id);
    EXPECT_EQ(one.record.time_ns, t.clock.now_ns());
    EXPECT_EQ(one.record.drop, Drop::count_);
  }
  EXPECT_EQ(in, sent);
  std::vector<Bytes> left;
  for (const auto& [port, datagram] : t.rig.port.sent) left.push_back(datagram);
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(out, left);
  EXPECT_EQ(taken[0].record.remote, t.rig.source_of(0, 1));
  EXPECT_EQ(taken.back().record.remote.port, t.rig.port.sent.back().first);
}

// Frames of several rounds: fanout has stamped headers over received datagrams by then.
TEST(Tap, ContentsAreThoseThatArrivedWhateverFanoutDoes) {
  TapRig t;
  std::vector<Bytes> sent;
  std::vector<Bytes> before;
  for (unsigned d = 0; d < 60; ++d) {
    std::vector<Bytes> frames;
    for (unsigned f = 0; f < 15; ++f) frames.push_back(t.next_frame(10));
    if (d % 3 == 1 && !before.empty()) frames[0] = before[d % before.size()];
    before.push_back(frames[1]);
    sent.push_back(t.put(frames));
  }
  t.rig.turn();
  ASSERT_GT(t.rig.lines[0]->counters().frames.read(), stage::frames_max);
  const std::vector<Taken> in = t.taken(false);
  EXPECT_EQ(datagrams_of(in), sent);
  EXPECT_EQ(count_reason(in, Drop::duplicate), t.rig.dropped(Drop::duplicate));
  EXPECT_EQ(t.rig.dropped(Drop::duplicate), 20u);
}

TEST(Tap, EveryDropIsNotedWhereItBelongs) {
  TapRig t;
  const Bytes first = t.next_frame(), second = t.next_frame(), third = t.next_frame();
  Bytes forged = third;
  forged.back() ^= 1;
  const Bytes passed = t.put({first});
  t.rig.turn();
  t.rig.put(0, 1, passed);                             // replayed
  const Bytes mixed = t.put({first, second, forged});  // duplicate, good, tag
  t.put({third});
  Bytes cut = t.rig.stamp(0, 1, {t.next_frame()});
  cut.pop_back();
  t.rig.put(0, 1, cut);  // truncated
  t.rig.turn();
  const std::vector<Taken> in = t.taken(false);
  ASSERT_EQ(in.size(), 5u);
  EXPECT_EQ(in[0].record.drop, Drop::count_);
  EXPECT_TRUE(in[0].losses.empty());
  EXPECT_EQ(in[1].record.drop, Drop::replayed);
  EXPECT_EQ(in[2].datagram, mixed);
  EXPECT_EQ(in[2].record.drop, Drop::count_);
  ASSERT_EQ(in[2].losses.size(), 2u);
  EXPECT_EQ(in[2].losses[0].reason, Drop::duplicate);
  EXPECT_EQ(in[2].losses[0].offset, wire::hop_header_bytes);
  EXPECT_EQ(in[2].losses[1].reason, Drop::tag);
  EXPECT_EQ(in[2].losses[1].offset, wire::hop_header_bytes + 2 * first.size());
  EXPECT_EQ(in[4].record.drop, Drop::truncated);
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<Drop>(i);
    EXPECT_EQ(count_reason(in, reason), t.rig.dropped(reason)) << stage::drop_text(reason).name;
  }
}

// Random traffic of good, forged, repeated and replayed frames; only one reason is asked for.
class TapReason : public testing::TestWithParam<Drop> {};

TEST_P(TapReason, TakesDownExactlyTheCountedDrops) {
  Filter filter;
  filter.dropped = GetParam();
  TapRig t(filter);
  std::vector<Bytes> known, datagrams;
  for (unsigned round = 0; round < 40; ++round) {
    for (uint64_t d = t.random.below(20); d > 0; --d) {
      std::vector<Bytes> frames;
      for (uint64_t f = 1 + t.random.below(4); f > 0; --f) {
        if (!known.empty() && t.random.below(3) == 0) {
          frames.push_back(known[t.random.below(known.size())]);
        } else {
          frames.push_back(t.next_frame());
          known.push_back(frames.back());
        }
        if (t.random.below(6) == 0) frames.back().back() ^= 1;
      }
      datagrams.push_back(t.put(frames));
      if (t.random.below(8) == 0) t.rig.put(0, 1, datagrams[t.random.below(datagrams.size())]);
    }
    t.rig.turn();
  }
  const std::vector<Taken> taken = t.taken();
  EXPECT_GT(t.rig.dropped(GetParam()), 10u);
  EXPECT_EQ(count_reason(taken, GetParam()), t.rig.dropped(GetParam()));
  for (const Taken& one : taken) {
    EXPECT_EQ(count_reason({one}, GetParam()) > 0, true) << "not asked for";
    EXPECT_FALSE(one.record.is_outgoing);
    EXPECT_NE(std::find(datagrams.begin(), datagrams.end(), one.datagram), datagrams.end());
  }
}

INSTANTIATE_TEST_SUITE_P(Reasons, TapReason,
                         testing::Values(Drop::tag, Drop::duplicate, Drop::replayed));

TEST(Tap, WhatThePortGivesBackHasNotLeft) {
  TapRig t;
  t.rig.port.room = 3;
  for (unsigned i = 0; i < 5; ++i) t.put({t.next_frame(1100)});
  t.rig.turn();
  EXPECT_EQ(t.rig.port.sent.size(), 3u);
  EXPECT_EQ(t.taken(true).size(), 3u);
  t.rig.port.room = ~0u;
  t.rig.turn();
  const std::vector<Taken> later = t.taken(true);
  ASSERT_EQ(later.size(), 2u);
  EXPECT_EQ(later[1].datagram, t.rig.port.sent[4].second);
}

TEST(Tap, WhatFindsNoRoomIsCounted) {
  constexpr unsigned count = 50;
  TapRig t({}, {}, 4096);
  for (unsigned i = 0; i < count; ++i) t.put({t.next_frame(1000)});
  t.rig.turn();
  EXPECT_EQ(t.rig.port.sent.size(), count) << "traffic does not suffer";
  const size_t taken = t.taken().size();
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(taken + t.taps[0]->missed(TapRig::port_id), 2 * count);
}

TEST(Tap, WithAReasonOnlySuchDropsAreMissed) {
  Filter filter;
  filter.dropped = Drop::duplicate;
  TapRig t(filter, {}, 4096);
  const Bytes frame = t.next_frame(1000);
  for (unsigned i = 0; i < 10; ++i) t.put({frame});
  for (unsigned i = 0; i < 10; ++i) t.put({t.next_frame(1000)});
  t.rig.turn();
  EXPECT_EQ(t.rig.dropped(Drop::duplicate), 9u);
  const std::vector<Taken> taken = t.taken();
  EXPECT_EQ(count_reason(taken, Drop::duplicate) + t.taps[0]->missed(TapRig::port_id), 9u);
  EXPECT_LT(taken.size(), 9u);
}

TEST(Tap, FiltersByStreamAndPort) {
  Filter filter;
  filter.stream = "other";
  TapRig t(filter);
  test::RigStream& other = t.rig.add_stream("other", wire::Suite::sha256_gmac);
  t.put({t.next_frame()});
  const Bytes wanted = t.put({other.next_frame(*t.rig.engine, Bytes(30, 1))});
  t.rig.turn();
  std::vector<Taken> taken = t.taken();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].datagram, wanted);
  EXPECT_TRUE(taken[1].record.is_outgoing);

  filter.stream = other.descriptor.id.hex();
  TapRig by_id(filter);
  by_id.put({by_id.next_frame()});
  by_id.rig.turn();
  EXPECT_TRUE(by_id.taken().empty());

  filter = {};
  filter.port_id = 7;
  TapRig elsewhere(filter);
  elsewhere.put({elsewhere.next_frame()});
  elsewhere.rig.turn();
  EXPECT_TRUE(elsewhere.taken().empty());
  EXPECT_EQ(elsewhere.taps[0]->missed(TapRig::port_id), 0u);
}

// Worker 0 receives all lanes and hands worker 1 its own: each datagram is taken down once, with
// what the worker that judges it says.
TEST(Tap, AHandedOverDatagramIsTakenDownByWhoJudgesIt) {
  test::RigConfig config;
  config.workers = 2;
  TapRig t({}, config);
  auto plan = std::make_unique<node::ReceivePlan>();
  plan->queues.resize(2);
  plan->ticks.resize(2);
  plan->queues[0].push_back({&t.rig.port, 0, {0, 1}, test::LineRig::base_port});
  t.rig.plane.receive.publish(std::move(plan), t.rig.retirer);
  const Bytes frame = t.next_frame();
  const Bytes own = t.put({frame});
  const Bytes theirs = t.rig.stamp(0, 2, {frame});
  t.rig.port.put(0, {theirs, t.rig.source_of(0, 2), test::LineRig::base_port + 1});
  t.rig.turn();
  std::vector<Taken> first = take_all(t.taps[0]->ring()), second = take_all(t.taps[1]->ring());
  std::erase_if(first, [](const Taken& one) { return one.record.is_outgoing; });
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].datagram, own);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].datagram, theirs);
  EXPECT_EQ(second[0].record.local_port, test::LineRig::base_port + 1);
  EXPECT_EQ(count_reason(second, Drop::duplicate), 1u);
}

TEST(Tap, NothingIsTakenDownOnceItIsClosed) {
  TapRig t;
  t.taps[0]->close();
  t.put({t.next_frame()});
  t.rig.turn();
  EXPECT_EQ(t.rig.port.sent.size(), 1u);
  EXPECT_TRUE(t.taken().empty());
}

}  // namespace
}  // namespace chaincast::capture
