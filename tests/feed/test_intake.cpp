// SPDX-License-Identifier: BSD-3-Clause
#include "feed/intake.hpp"

#include <gtest/gtest.h>

#include "rig.hpp"

namespace chaincast::feed {
namespace {

using test::local;

class FeedIntake : public testing::Test {
 protected:
  void feed(const Endpoint& from, const std::string& object) {
    intake.receive(from, as_bytes(object), now_ns);
  }
  // What a feeder is told, if it is told anything.
  std::optional<Answer> told(const Endpoint& to) {
    EXPECT_TRUE(intake.answer());
    std::optional<Answer> out;
    for (const auto& [where, datagram] : socket.take()) {
      if (where == to) out = parse_answer(datagram);
    }
    return out;
  }

  TimeNs now_ns = ns_per_s;
  test::FakeNode node;
  test::FakeSocket socket;
  Intake intake{node, "s", 8, socket};
};

TEST_F(FeedIntake, EachFeederLearnsItsOwnCount) {
  feed(local(1), "a");
  feed(local(1), "b");
  feed(local(2), "c");
  EXPECT_EQ(node.published.size(), 3u);
  EXPECT_TRUE(intake.answer());
  ASSERT_EQ(socket.sent.size(), 2u) << "one for all of a turn";
  EXPECT_EQ(parse_answer(socket.sent[0].second), (Answer{2, 0, Answer::Refusal::none}));
  EXPECT_EQ(parse_answer(socket.sent[1].second), (Answer{1, 0, Answer::Refusal::none}));
  socket.take();
  EXPECT_FALSE(told(local(1)).has_value()) << "nothing new";
}

// Whatever bytes they are: a request's, or an answer's.
TEST_F(FeedIntake, NoObjectIsTakenForAnythingElse) {
  Intake wide(node, "s", 100, socket);
  for (const Bytes& object : {encode(Request{1, 1, 1, 1, 1}), encode(Answer{}), Bytes{0}}) {
    wide.receive(local(1), object, now_ns);
    EXPECT_EQ(node.published.back(), object);
  }
  EXPECT_EQ(wide.counters().objects.read(), 3u);
}

TEST_F(FeedIntake, WithoutRoomTheAnswerIsWithheld) {
  feed(local(1), "a");
  node.state = cli::PublishState::busy;
  feed(local(1), "b");
  EXPECT_TRUE(intake.is_holding());
  EXPECT_EQ(told(local(1))->taken, 1u);
  intake.retry();
  EXPECT_TRUE(intake.is_holding());
  EXPECT_FALSE(told(local(1)).has_value());
  node.state = cli::PublishState::accepted;
  intake.retry();
  EXPECT_FALSE(intake.is_holding());
  EXPECT_EQ(told(local(1))->taken, 2u);
  EXPECT_EQ(node.published.back(), Bytes({'b'}));
  EXPECT_EQ(intake.counters().withheld.read(), 1u);
}

TEST_F(FeedIntake, RefusalsAreCountedAndTold) {
  feed(local(1), "123456789");
  EXPECT_EQ(told(local(1)), (Answer{0, 1, Answer::Refusal::too_long}));
  feed(local(1), "12345678");
  node.state = cli::PublishState::failed;
  feed(local(1), "x");
  EXPECT_EQ(told(local(1)), (Answer{1, 2, Answer::Refusal::stream}));
  EXPECT_EQ(intake.counters().too_long.read(), 1u);
  EXPECT_EQ(intake.counters().failed.read(), 1u);
  feed({{192, 0, 2, 1}, 9, false}, "y");
  EXPECT_EQ(intake.counters().foreign.read(), 1u);
  EXPECT_FALSE(told({{192, 0, 2, 1}, 9, false}).has_value());
}

TEST_F(FeedIntake, AnEmptyDatagramAsks) {
  feed(local(1), "");
  EXPECT_EQ(told(local(1)), Answer());
  EXPECT_TRUE(node.published.empty());
  feed(local(1), "a");
  socket.is_full = true;
  EXPECT_FALSE(intake.answer());
  socket.is_full = false;
  EXPECT_EQ(told(local(1))->taken, 1u) << "owed until it could be sent";
}

TEST_F(FeedIntake, FeedersAreBounded) {
  for (uint16_t port = 1; port <= Intake::feeders_max; ++port) feed(local(port), "a");
  EXPECT_TRUE(intake.answer());
  feed(local(1), "b");
  now_ns += Intake::silent_ns - 1;
  feed(local(1000), "c");
  EXPECT_EQ(intake.counters().unanswered.read(), 1u);
  EXPECT_EQ(node.published.back(), Bytes({'c'})) << "taken, though not answered";
  now_ns += 1;
  feed(local(1001), "d");
  EXPECT_EQ(told(local(1001))->taken, 1u);
  EXPECT_EQ(intake.counters().unanswered.read(), 1u);
}

}  // namespace
}  // namespace chaincast::feed
