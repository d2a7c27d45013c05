// SPDX-License-Identifier: BSD-3-Clause
#include "punch/carriage.hpp"

#include <gtest/gtest.h>

#include "names.hpp"

namespace chaincast::punch {
namespace {

const NodeId a = node(1), b = node(2), c = node(3);

Carry say(Carry::Kind kind, const NodeId& to, uint32_t channel = 7, size_t bytes = 0) {
  return {kind, false, to, channel, 0, Bytes(bytes, 0x55)};
}

struct Lab : testing::Test {
  Lab() {
    carriage.enrol(b);
    take(a, say(Carry::Kind::open, b));
    EXPECT_EQ(sends.size(), 1u);
  }
  void take(const NodeId& from, const Carry& carry) {
    sends.clear();
    carriage.take(from, carry, sends);
  }
  Carriage carriage;
  Carriage::Sends sends;
};

TEST_F(Lab, BytesReachTheOtherEndUnchangedUnderTheSendersName) {
  take(a, say(Carry::Kind::data, b, 7, 10));
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].first, b);
  EXPECT_EQ(sends[0].second, (Carry{Carry::Kind::data, true, a, 7, 0, Bytes(10, 0x55)}));
  take(b, say(Carry::Kind::data, a, 7, 3));
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].first, a);
  EXPECT_EQ(sends[0].second.peer, b);
  EXPECT_EQ(carriage.counters().bytes, 13u);
}

TEST_F(Lab, NobodyIsReachedWhoHasNotRegistered) {
  take(a, say(Carry::Kind::open, c, 8));
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].first, a);
  EXPECT_EQ(sends[0].second.kind, Carry::Kind::close);
  EXPECT_EQ(carriage.counters().refused, 1u);
  take(a, say(Carry::Kind::open, b));
  EXPECT_EQ(sends[0].second.kind, Carry::Kind::close) << "a channel twice";
}

TEST_F(Lab, AThirdNodeCannotSpeakOnAChannel) {
  take(c, say(Carry::Kind::data, b, 7, 10));
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].first, c);
  EXPECT_EQ(sends[0].second.kind, Carry::Kind::close);
  take(c, say(Carry::Kind::close, b));
  EXPECT_TRUE(sends.empty());
  take(a, say(Carry::Kind::data, b, 7, 1));
  EXPECT_EQ(sends[0].first, b) << "the channel is still there";
}

TEST_F(Lab, MoreThanAWindowOnTheWayEndsTheChannelAtBothEnds) {
  for (uint32_t sent = 0; sent < carried_window_bytes; sent += carried_bytes_max) {
    take(a, say(Carry::Kind::data, b, 7, carried_bytes_max));
    ASSERT_EQ(sends[0].second.kind, Carry::Kind::data);
  }
  Carry credit = say(Carry::Kind::credit, a);
  credit.credit = 100;
  take(b, credit);
  take(a, say(Carry::Kind::data, b, 7, 100));
  ASSERT_EQ(sends[0].second.kind, Carry::Kind::data);
  take(a, say(Carry::Kind::data, b, 7, 1));
  ASSERT_EQ(sends.size(), 2u);
  for (const auto& [to, carry] : sends) EXPECT_EQ(carry.kind, Carry::Kind::close);
  EXPECT_EQ(carriage.channels(), 0u);
  EXPECT_EQ(carriage.counters().over_window, 1u);
}

TEST_F(Lab, WhoIsLostTakesItsChannelsAlong) {
  sends.clear();
  carriage.lost(b, sends);
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].first, a);
  EXPECT_EQ(sends[0].second, (Carry{Carry::Kind::close, true, b, 7, 0, {}}));
  EXPECT_FALSE(carriage.is_enrolled(b));
  take(a, say(Carry::Kind::open, b, 9));
  EXPECT_EQ(sends[0].second.kind, Carry::Kind::close);
}

TEST_F(Lab, ChannelsOfOneNodeAreBounded) {
  uint32_t channel = 100;
  for (; carriage.channels() < Carriage::channels_of_one_max; ++channel) {
    take(a, say(Carry::Kind::open, b, channel));
    ASSERT_EQ(sends[0].second.kind, Carry::Kind::open);
  }
  take(a, say(Carry::Kind::open, b, channel));
  EXPECT_EQ(sends[0].second.kind, Carry::Kind::close);
  EXPECT_EQ(carriage.channels(), Carriage::channels_of_one_max);
}

}  // namespace
}  // namespace chaincast::punch
