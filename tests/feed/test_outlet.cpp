// SPDX-License-Identifier: BSD-3-Clause
#include "feed/outlet.hpp"

#include <gtest/gtest.h>

#include "rig.hpp"

namespace chaincast::feed {
namespace {

using test::local;

class FeedOutlet : public testing::Test {
 protected:
  bool deliver(const std::string& object) {
    return outlet.on_object({StreamId{1}, 0, 0, as_bytes(object)});
  }
  void ask(const Request& request, const Endpoint& from = local(1)) {
    outlet.receive(from, encode(request), now_ns);
  }
  void turn() { outlet.turn(now_ns); }
  // What the reader got since: its objects, and "." for the end of an answer.
  std::vector<std::string> got() {
    std::vector<std::string> out;
    for (const auto& [to, datagram] : socket.take()) {
      EXPECT_EQ(to, reader);
      out.push_back(datagram.empty() ? "." : std::string(datagram.begin(), datagram.end()));
    }
    return out;
  }
  using Got = std::vector<std::string>;

  static constexpr uint32_t much = 1 << 20;
  TimeNs now_ns = ns_per_s;
  Endpoint reader = local(1);
  test::FakeSocket socket;
  Outlet outlet{socket};
};

TEST_F(FeedOutlet, NothingIsSentUnasked) {
  EXPECT_TRUE(deliver("a"));
  turn();
  EXPECT_EQ(got(), Got());
  EXPECT_EQ(outlet.wake_at_ns(), time_never);
  ask({7, 1, much, 0, 100});
  EXPECT_TRUE(deliver("b"));
  turn();
  EXPECT_EQ(got(), Got({"a", "b", "."}));
  EXPECT_TRUE(deliver("c"));
  turn();
  EXPECT_EQ(got(), Got()) << "that request has been answered";
}

TEST_F(FeedOutlet, NoMoreThanTheRoom) {
  for (const char* object : {"a", "b", "c", "d"}) EXPECT_TRUE(deliver(object));
  ask({7, 1, static_cast<uint32_t>(2 * weight(1)), 0, 100});
  turn();
  EXPECT_EQ(got(), Got({"a", "b", "."}));
  ask({7, 2, static_cast<uint32_t>(2 * weight(1) - 1), 2, 100});
  turn();
  EXPECT_EQ(got(), Got({"c", "."}));
  ask({7, 3, 1, 3, 100});
  turn();
  EXPECT_EQ(got(), Got({"d", "."})) << "an empty buffer takes any one datagram";
  EXPECT_TRUE(deliver("e"));
  ask({7, 4, 0, 4, 0});
  turn();
  EXPECT_EQ(got(), Got({"."}));
}

TEST_F(FeedOutlet, AnEmptyAnswerComesInTime) {
  ask({7, 1, much, 0, 100});
  turn();
  EXPECT_EQ(outlet.wake_at_ns(), now_ns + 100 * ns_per_ms);
  now_ns += 100 * ns_per_ms - 1;
  turn();
  EXPECT_EQ(got(), Got());
  now_ns += 1;
  turn();
  EXPECT_EQ(got(), Got({"."}));
  EXPECT_EQ(outlet.wake_at_ns(), time_never);
}

// A reader asks again where the end of an answer has not come; what it has must not come twice.
TEST_F(FeedOutlet, ARepeatedRequestGetsTheEndAlone) {
  EXPECT_TRUE(deliver("a"));
  ask({7, 1, much, 0, 100});
  ask({7, 1, much, 0, 100});
  turn();
  EXPECT_EQ(got(), Got({"a", "."}));
  EXPECT_TRUE(deliver("b"));
  ask({7, 1, much, 1, 100});
  turn();
  EXPECT_EQ(got(), Got({"."}));
  ask({7, 2, much, 1, 100});
  ask({7, 1, much, 0, 100});  // late
  turn();
  EXPECT_EQ(got(), Got({"b", "."}));
}

TEST_F(FeedOutlet, ASecondReaderWaitsUntilTheFirstIsForgotten) {
  ask({7, 1, much, 0, 100});
  now_ns += 100 * ns_per_ms;
  turn();
  EXPECT_EQ(got(), Got({"."}));
  now_ns += Outlet::forget_ns - 1;
  EXPECT_TRUE(deliver("a"));
  ask({8, 1, much, 0, 100}, local(2));
  turn();
  EXPECT_EQ(got(), Got());
  EXPECT_EQ(outlet.counters().second_reader.read(), 1u);
  now_ns += 1;
  reader = local(2);
  ask({8, 1, much, 0, 100}, local(2));
  turn();
  EXPECT_EQ(got(), Got({"a", "."}));
}

// The port of one that has gone may be another's next.
TEST_F(FeedOutlet, AnotherReaderAtTheSameAddressBeginsAnew) {
  EXPECT_TRUE(deliver("a"));
  ask({7, 41, much, 0, 100});
  turn();
  EXPECT_TRUE(deliver("b"));
  ask({8, 3, much, 0, 100});
  turn();
  EXPECT_EQ(got(), Got({"a", ".", "b", "."}));
  EXPECT_EQ(outlet.counters().unseen.read(), 0u);
}

TEST_F(FeedOutlet, WhatTheReaderNeverGotIsCountedOnce) {
  for (const char* object : {"a", "b", "c"}) EXPECT_TRUE(deliver(object));
  ask({7, 1, much, 0, 100});
  turn();
  ask({7, 2, much, 1, 0});
  turn();
  ask({7, 3, much, 1, 0});
  turn();
  EXPECT_EQ(outlet.counters().unseen.read(), 2u);
}

TEST_F(FeedOutlet, WaitingObjectsAreBounded) {
  const std::string half(Outlet::waiting_bytes_max / 80, 'x');
  unsigned taken = 0;
  while (deliver(half)) ++taken;
  EXPECT_EQ(taken, 80u);
  EXPECT_EQ(outlet.counters().full.read(), 1u);
  ask({7, 1, 1, 0, 100});
  turn();
  EXPECT_TRUE(deliver(half));
}

TEST_F(FeedOutlet, WhatNoDatagramHoldsIsCounted) {
  ask({7, 1, much, 0, 100});
  EXPECT_TRUE(deliver(std::string(object_bytes_max + 1, 'x')));
  EXPECT_TRUE(deliver(""));
  EXPECT_TRUE(deliver(std::string(object_bytes_max, 'y')));
  turn();
  EXPECT_EQ(got(), Got({std::string(object_bytes_max, 'y'), "."}));
  EXPECT_EQ(outlet.counters().too_long.read(), 1u);
  EXPECT_EQ(outlet.counters().empty.read(), 1u);
}

TEST_F(FeedOutlet, StrangersAndNonsenseAreCounted) {
  ask({7, 1, much, 0, 100}, {{192, 0, 2, 1}, 1, false});
  outlet.receive(local(1), as_bytes("please"), now_ns);
  EXPECT_TRUE(deliver("a"));
  turn();
  EXPECT_EQ(got(), Got());
  EXPECT_EQ(outlet.counters().foreign.read(), 1u);
  EXPECT_EQ(outlet.counters().malformed.read(), 1u);
  EXPECT_FALSE(outlet.has_reader());
}

TEST_F(FeedOutlet, AFullSocketLosesNothing) {
  EXPECT_TRUE(deliver("a"));
  socket.is_full = true;
  ask({7, 1, much, 0, 100});
  turn();
  EXPECT_TRUE(outlet.is_blocked());
  EXPECT_EQ(outlet.wake_at_ns(), time_never);
  socket.is_full = false;
  turn();
  EXPECT_EQ(got(), Got({"a", "."}));
  EXPECT_FALSE(outlet.is_blocked());
}

}  // namespace
}  // namespace chaincast::feed
