// SPDX-License-Identifier: BSD-3-Clause
#include "support/session_rules.hpp"

#include <algorithm>

#include "base/random.hpp"

namespace chaincast::test {

using session::SessionStatus;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void SessionRules::connect(SessionEnd& from, SessionEnd& to) {
  ASSERT_TRUE(rig.send(from, to, text("hello")));
  ASSERT_TRUE(rig.until([&] { return !to.heard.messages.empty(); }));
  rig.settle();
  ASSERT_THAT(from.heard.now_open, Contains(to.id));
  to.heard.messages.clear();
}

std::pair<SessionEnd*, SessionEnd*> SessionRules::pair() {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  return a.id < b.id ? std::pair(&a, &b) : std::pair(&b, &a);
}

TEST_P(SessionRules, TheFirstMessageOpensASessionThatCarriesBothWays) {
  SessionEnd& a = rig.add(1);
  session::Config config = rig.config();
  config.card = text("card of b");
  SessionEnd& b = rig.add(2, config);
  ASSERT_TRUE(rig.send(a, b, text("there")));
  ASSERT_TRUE(rig.until([&] { return b.heard.messages.size() == 1; }));
  rig.settle();
  ASSERT_TRUE(rig.send(b, a, text("and back")));
  ASSERT_TRUE(rig.until([&] { return a.heard.messages.size() == 1; }));

  EXPECT_EQ(b.heard.messages[0], text("there"));
  EXPECT_EQ(a.heard.messages[0], text("and back"));
  EXPECT_THAT(a.heard.events, ElementsAre("open " + b.id.hex()));
  EXPECT_THAT(b.heard.events, ElementsAre("open " + a.id.hex()));
  const session::Remote& at_a = a.heard.remotes[0];
  EXPECT_EQ(at_a.key, b.signer->public_key());
  EXPECT_EQ(at_a.address, b.address());
  EXPECT_EQ(at_a.seen, b.address());
  EXPECT_EQ(at_a.card, text("card of b"));
  const session::Remote& at_b = b.heard.remotes[0];
  EXPECT_EQ(at_b.address, a.address()) << "where it takes sessions";
  EXPECT_NE(at_b.seen.port, a.address().port);
  EXPECT_EQ(at_b.card, text("card"));
  EXPECT_EQ(a.counters().dialled, 1u);
  EXPECT_EQ(a.counters().opened, 1u);
  EXPECT_EQ(b.counters().accepted, 1u);
  EXPECT_EQ(b.counters().dialled, 0u) << "the session that is open is used";
  EXPECT_EQ(b.counters().messages_received, 1u);
  EXPECT_EQ(b.counters().messages_sent, 1u);
  EXPECT_EQ(b.counters().bytes_sent, text("and back").size());
  const std::vector<SessionStatus> all = a.sessions->sessions();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].was_dialled);
  EXPECT_EQ(all[0].queued_bytes, 0u);
  EXPECT_FALSE(b.sessions->sessions()[0].was_dialled);
}

TEST_P(SessionRules, MessagesOfAllSizesArriveWholeAndInOrder) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  const std::vector<size_t> sizes = {1,      2,      16'379, 16'380,           16'384, 16'385,
                                     65'536, 70'001, 1,      20 * 1024 * 1024, 3,      1'000'000};
  std::vector<Bytes> there, back;
  for (const size_t size : sizes) {
    there.push_back(pattern(size, size + there.size()));
    back.push_back(pattern(size, 2 * size + back.size()));
    ASSERT_TRUE(rig.send(a, b, there.back()));
  }
  ASSERT_TRUE(rig.until([&] { return !b.heard.messages.empty(); }));
  for (const Bytes& message : back) ASSERT_TRUE(rig.send(b, a, message));
  ASSERT_TRUE(rig.until([&] {
    return b.heard.messages.size() == sizes.size() && a.heard.messages.size() == sizes.size();
  }));
  EXPECT_TRUE(b.heard.messages == there);
  EXPECT_TRUE(a.heard.messages == back);
  EXPECT_EQ(a.counters().dialled + b.counters().dialled, 1u);
}

TEST_P(SessionRules, WhatIsExportedIsTheSameAtBothEndsAndOfNoOtherSession) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  SessionEnd& c = rig.add(3);
  EXPECT_FALSE(a.sessions->exported(b.id, "link"));
  connect(a, b);
  connect(c, b);
  const auto at_a = a.sessions->exported(b.id, "link");
  ASSERT_TRUE(at_a);
  EXPECT_EQ(at_a, b.sessions->exported(a.id, "link"));
  EXPECT_EQ(c.sessions->exported(b.id, "link"), b.sessions->exported(c.id, "link"));
  EXPECT_NE(at_a, a.sessions->exported(b.id, "other"));
  EXPECT_NE(at_a, b.sessions->exported(c.id, "link"));
  a.sessions->close(b.id, "enough", rig.now_ns);
  EXPECT_FALSE(a.sessions->exported(b.id, "link"));
  rig.settle();
  connect(a, b);
  EXPECT_NE(at_a, a.sessions->exported(b.id, "link")) << "another session";
  EXPECT_EQ(a.sessions->exported(b.id, "link"), b.sessions->exported(a.id, "link"));
}

TEST_P(SessionRules, WhoeverAnswersIsTakenWithoutAnId) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  ASSERT_TRUE(a.sessions->send({}, b.address(), text("who"), rig.now_ns));
  ASSERT_TRUE(a.sessions->send({}, b.address(), text("are you"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return b.heard.messages.size() == 2; }));
  rig.settle();
  ASSERT_TRUE(rig.send(a, b, text("b")));
  ASSERT_TRUE(a.sessions->send({}, b.address(), text("again"), rig.now_ns));
  ASSERT_TRUE(b.sessions->send({}, a.address(), text("a"), rig.now_ns));
  ASSERT_TRUE(
      rig.until([&] { return b.heard.messages.size() == 4 && a.heard.messages.size() == 1; }));
  EXPECT_EQ(a.counters().dialled, 1u);
  EXPECT_EQ(b.counters().dialled, 0u);
}

TEST_P(SessionRules, AnotherNodeThanExpectedGetsNothing) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  SessionEnd& c = rig.add(3);
  ASSERT_TRUE(a.sessions->send(c.id, b.address(), text("for c alone"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == 1; }));
  rig.settle();
  EXPECT_EQ(a.counters().refused, 1u);
  EXPECT_THAT(a.heard.whys[0], HasSubstr(b.id.hex()));
  EXPECT_THAT(a.heard.whys[0], HasSubstr(c.id.hex()));
  EXPECT_THAT(b.heard.events, IsEmpty());
  EXPECT_THAT(b.heard.messages, IsEmpty());
}

TEST_P(SessionRules, WhoIsNotAdmittedIsRefusedByEitherEnd) {
  SessionEnd& a = rig.add(1);
  session::Config config = rig.config();
  config.admits = [&a](const PublicKey& key) { return key == a.signer->public_key(); };
  SessionEnd& closed = rig.add(2, config);
  SessionEnd& stranger = rig.add(3);
  ASSERT_TRUE(rig.send(stranger, closed, text("let me in")));
  ASSERT_TRUE(rig.until([&] { return stranger.heard.count("failed") == 1; }));
  EXPECT_EQ(closed.counters().refused, 1u);
  EXPECT_THAT(stranger.heard.whys[0], HasSubstr("refused"));
  ASSERT_TRUE(rig.send(closed, stranger, text("come in")));
  ASSERT_TRUE(rig.until([&] { return closed.heard.count("failed") == 1; }));
  EXPECT_EQ(closed.counters().refused, 2u);
  EXPECT_THAT(closed.heard.whys[0], HasSubstr("admit"));
  rig.settle();
  for (const SessionEnd* end : {&closed, &stranger}) {
    EXPECT_EQ(end->counters().opened, 0u);
    EXPECT_THAT(end->heard.messages, IsEmpty());
    EXPECT_THAT(end->sessions->sessions(), IsEmpty());
  }
  connect(a, closed);
}

TEST_P(SessionRules, AnotherNetworkIsRefusedByBothEnds) {
  SessionEnd& a = rig.add(1);
  session::Config config = rig.config();
  config.network.fill(8);
  SessionEnd& b = rig.add(2, config);
  ASSERT_TRUE(rig.send(a, b, text("hello")));
  ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == 1; }));
  rig.settle();
  EXPECT_THAT(a.heard.whys[0], HasSubstr("another network"));
  EXPECT_THAT(a.heard.whys[0], HasSubstr(to_hex(config.network)));
  EXPECT_EQ(a.counters().refused, 1u);
  EXPECT_EQ(b.counters().refused, 1u);
  EXPECT_EQ(a.counters().opened + b.counters().opened, 0u);
  EXPECT_THAT(b.heard.messages, IsEmpty());
}

TEST_P(SessionRules, ANodeDoesNotTalkToItself) {
  SessionEnd& a = rig.add(1);
  ASSERT_TRUE(a.sessions->send({}, a.address(), text("me"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == 1; }));
  rig.settle();
  EXPECT_THAT(a.heard.whys[0], HasSubstr("itself"));
  EXPECT_THAT(a.heard.events, ElementsAre("failed"));
  EXPECT_THAT(a.heard.messages, IsEmpty());
}

TEST_P(SessionRules, ADeadAddressIsLeftAloneForAWhileThatDoubles) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  const Endpoint dead = b.address();
  b.sessions.reset();
  const TimeNs retry_ns = rig.config().retry_ns;
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(a.sessions->send(b.id, dead, text("anyone"), rig.now_ns));
    ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == i + 1; }));
    EXPECT_THAT(a.heard.whys[i], HasSubstr("refused"));
    const TimeNs wait_ns = retry_ns << i;
    EXPECT_FALSE(a.sessions->send(b.id, dead, text("now"), rig.now_ns + wait_ns / 2));
    EXPECT_EQ(a.counters().backing_off, i + 1);
    rig.advance(wait_ns);
  }
  EXPECT_EQ(a.counters().failed, 3u);
  EXPECT_THAT(a.sessions->sessions(), IsEmpty());

  // It comes back at the same address: once it has answered, nothing is held against it.
  session::Config config = rig.config();
  config.listen = dead;
  SessionEnd& again = rig.add(2, config);
  connect(a, again);
  again.sessions->close(a.id, "bye", rig.now_ns);
  rig.settle();
  again.sessions.reset();
  ASSERT_TRUE(a.sessions->send(b.id, dead, text("anyone"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == 4; }));
  rig.advance(retry_ns);
  EXPECT_TRUE(a.sessions->send(b.id, dead, text("anyone"), rig.now_ns));
}

TEST_P(SessionRules, WhoDoesNotAnswerIsGivenUp) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  ASSERT_TRUE(rig.send(a, b, text("anyone")));
  for (int i = 0; i < 10; ++i) rig.turn(a);
  EXPECT_THAT(a.heard.events, IsEmpty());
  EXPECT_LE(a.sessions->wake_at_ns(), rig.now_ns + rig.config().handshake_ns);
  rig.advance(rig.config().handshake_ns);
  rig.turn(a);
  EXPECT_THAT(a.heard.events, ElementsAre("failed"));
  EXPECT_THAT(a.heard.whys[0], HasSubstr("in time"));
}

TEST_P(SessionRules, AQueueIsBoundedAndWhatWasTakenArrives) {
  session::Config config = rig.config();
  config.queue_bytes_max = 10'000;
  SessionEnd& a = rig.add(1, config);
  SessionEnd& b = rig.add(2);
  size_t taken = 0;
  while (taken < 100 && rig.send(a, b, pattern(1000, taken))) ++taken;
  EXPECT_GE(taken, 8u);
  EXPECT_LE(taken, 10u);
  EXPECT_EQ(a.counters().queue_full, 1u);
  EXPECT_FALSE(rig.send(a, b, {})) << "nothing is no message";
  EXPECT_FALSE(rig.send(a, b, Bytes(session::message_bytes_max + 1)));
  EXPECT_EQ(a.counters().queue_full, 3u);
  ASSERT_TRUE(rig.until([&] { return b.heard.messages.size() == taken; }));
  rig.settle();
  EXPECT_TRUE(rig.send(a, b, pattern(9000, 1)));
}

TEST_P(SessionRules, CloseIsHeardAtBothEnds) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  connect(a, b);
  a.sessions->close(b.id, "it lied", rig.now_ns);
  EXPECT_THAT(a.sessions->sessions(), IsEmpty());
  EXPECT_EQ(a.heard.count("closed"), 0u) << "not within the call";
  rig.settle();
  EXPECT_THAT(a.heard.events, ElementsAre("open " + b.id.hex(), "closed " + b.id.hex()));
  EXPECT_THAT(b.heard.events, ElementsAre("open " + a.id.hex(), "closed " + a.id.hex()));
  EXPECT_THAT(a.heard.whys, ElementsAre("it lied"));
  EXPECT_EQ(a.counters().closed, 1u);
  a.sessions->close(b.id, "nobody there", rig.now_ns);
  rig.settle();
  EXPECT_EQ(a.counters().closed, 1u);
}

TEST_P(SessionRules, AnEndThatGoesSaysSo) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  connect(a, b);
  ASSERT_TRUE(rig.send(a, b, text("last words")));
  a.sessions.reset();
  ASSERT_TRUE(rig.until([&] { return b.heard.count("closed") == 1; }));
  EXPECT_THAT(b.sessions->sessions(), IsEmpty());
}

TEST_P(SessionRules, AnIdleSessionIsClosed) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  connect(a, b);
  rig.advance(rig.config().idle_ns - ns_per_s);
  ASSERT_TRUE(rig.send(b, a, text("still here")));
  ASSERT_TRUE(rig.until([&] { return !a.heard.messages.empty(); }));
  rig.advance(rig.config().idle_ns - ns_per_s);
  rig.settle();
  EXPECT_EQ(a.heard.count("closed") + b.heard.count("closed"), 0u);
  EXPECT_LE(a.sessions->wake_at_ns(), rig.now_ns + ns_per_s);
  rig.advance(ns_per_s);
  ASSERT_TRUE(
      rig.until([&] { return a.heard.count("closed") == 1 && b.heard.count("closed") == 1; }));
  EXPECT_EQ(a.counters().stalled + b.counters().stalled, 0u);
  connect(b, a);
}

TEST_P(SessionRules, WhoDoesNotReadIsClosed) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  connect(a, b);
  ASSERT_TRUE(rig.send(a, b, pattern(30 * 1024 * 1024, 1)));
  for (int i = 0; i < 2000; ++i) rig.turn(a);
  EXPECT_EQ(a.heard.count("closed"), 0u);
  rig.advance(rig.config().stall_ns);
  rig.turn(a);
  rig.turn(a);
  EXPECT_EQ(a.heard.count("closed"), 1u);
  EXPECT_EQ(a.counters().stalled, 1u);
  ASSERT_TRUE(rig.until([&] { return b.heard.count("closed") == 1; }));
  EXPECT_THAT(b.heard.messages, IsEmpty());
}

TEST_P(SessionRules, AListenerMayCallBack) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  SessionEnd& c = rig.add(3);
  b.heard.on_each_message = [&] {
    EXPECT_TRUE(b.sessions->exported(a.id, "x"));
    EXPECT_EQ(b.sessions->sessions().size(), 1u);
    EXPECT_TRUE(rig.send(b, c, text("dialled within a call")));
    EXPECT_TRUE(rig.send(b, a, text("answered within a call")));
    if (b.heard.messages.size() == 2) b.sessions->close(a.id, "enough", rig.now_ns);
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(rig.send(a, b, text("message")));
  // Whether a has heard of the session before its end is a matter of what came together.
  ASSERT_TRUE(rig.until([&] { return a.heard.count("closed") + a.heard.count("failed") == 1; }));
  rig.settle();
  EXPECT_EQ(b.heard.messages.size(), 2u) << "none after close()";
  EXPECT_EQ(c.heard.messages.size(), 2u);
  EXPECT_THAT(b.heard.whys, ElementsAre("enough"));
}

// Both dial before either hears of the other, and are driven in either order.
TEST_P(SessionRules, OfTwoThatCrossTheSmallerIdsDialStays) {
  for (const bool smaller_first : {true, false}) {
    for (const bool smaller_is_driven_first : {true, false}) {
      SCOPED_TRACE(testing::Message() << smaller_first << smaller_is_driven_first);
      rig.ends.clear();
      const auto [small, large] = pair();
      SessionEnd& first = smaller_first ? *small : *large;
      SessionEnd& second = smaller_first ? *large : *small;
      ASSERT_TRUE(rig.send(first, second, text("1 from first")));
      ASSERT_TRUE(rig.send(second, first, text("1 from second")));
      SessionEnd& driven = smaller_is_driven_first ? *small : *large;
      for (int i = 0; i < 5; ++i) rig.turn(driven);
      ASSERT_TRUE(rig.send(first, second, text("2 from first")));
      ASSERT_TRUE(rig.send(second, first, text("2 from second")));
      rig.settle();
      ASSERT_TRUE(rig.send(first, second, text("3 from first")));
      ASSERT_TRUE(rig.send(second, first, text("3 from second")));
      rig.settle();
      EXPECT_THAT(second.heard.messages,
                  ElementsAre(text("1 from first"), text("2 from first"), text("3 from first")));
      EXPECT_THAT(first.heard.messages,
                  ElementsAre(text("1 from second"), text("2 from second"), text("3 from second")));
      ASSERT_EQ(small->sessions->sessions().size(), 1u);
      ASSERT_EQ(large->sessions->sessions().size(), 1u);
      EXPECT_TRUE(small->sessions->sessions()[0].was_dialled);
      EXPECT_FALSE(large->sessions->sessions()[0].was_dialled);
      EXPECT_EQ(small->sessions->exported(large->id, "k"),
                large->sessions->exported(small->id, "k"));
    }
  }
}

// One end dials the other twice, by name and by address.
TEST_P(SessionRules, OfTwoThatOneEndDialledTheNewerStays) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  ASSERT_TRUE(rig.send(a, b, text("by name")));
  ASSERT_TRUE(a.sessions->send({}, b.address(), text("by address"), rig.now_ns));
  rig.settle();
  EXPECT_EQ(a.counters().dialled, 2u);
  EXPECT_EQ(b.heard.messages.size(), 2u);
  ASSERT_EQ(a.sessions->sessions().size(), 1u);
  ASSERT_EQ(b.sessions->sessions().size(), 1u);
  EXPECT_EQ(a.sessions->exported(b.id, "k"), b.sessions->exported(a.id, "k"));
  EXPECT_EQ(a.counters().failed + a.counters().stalled + b.counters().stalled, 0u);
}

// An end that came back without the other having noticed that it went.
TEST_P(SessionRules, AnEndThatForgotItsSessionIsTakenAtItsWord) {
  const auto [small, large] = pair();
  for (SessionEnd* end : {large, small}) {
    SCOPED_TRACE(end == small ? "the smaller forgot" : "the larger forgot");
    SessionEnd& other = end == small ? *large : *small;
    connect(other, *end);
    rig.advance(rig.config().handshake_ns);
    session::Config config = rig.config();
    SessionEnd& reborn = rig.add(end == rig.ends[0].get() ? 1 : 2, config);
    ASSERT_EQ(reborn.id, end->id);
    ASSERT_TRUE(rig.send(reborn, other, text("it is me")));
    // The old one is alive still, as a process that hangs is, and says nothing.
    const auto both_know = [&] {
      return !other.heard.messages.empty() && !reborn.heard.now_open.empty();
    };
    for (int i = 0; i < 1000 && !both_know(); ++i) {
      rig.turn(reborn);
      rig.turn(other);
    }
    ASSERT_EQ(other.heard.messages.size(), 1u);
    EXPECT_EQ(reborn.sessions->exported(other.id, "k"), other.sessions->exported(reborn.id, "k"));
    EXPECT_EQ(other.sessions->sessions()[0].was_dialled, false);
    rig.ends.pop_back();
    rig.settle();
    other.heard.messages.clear();
  }
}

// Random turns of two ends that both dial, send and are driven as a seed says: what each hears is
// what the other sent, in order, once; and in the end both have the same one session.
TEST_P(SessionRules, NoMessageIsLostOrOvertakenWhileTheSessionSettles) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    rig.ends.clear();
    SessionEnd& a = rig.add(static_cast<unsigned>(2 * seed));
    SessionEnd& b = rig.add(static_cast<unsigned>(2 * seed + 1));
    Random random(seed);
    std::vector<Bytes> from_a, from_b;
    for (int step = 0; step < 60; ++step) {
      const uint64_t what = random.below(6);
      if (what < 2) rig.turn(what == 0 ? a : b);
      if (what == 2) {
        from_a.push_back(pattern(1 + random.below(40'000), random.next()));
        ASSERT_TRUE(rig.send(a, b, from_a.back()));
      } else if (what == 3) {
        from_b.push_back(pattern(1 + random.below(40'000), random.next()));
        ASSERT_TRUE(rig.send(b, a, from_b.back()));
      }
    }
    rig.settle();
    ASSERT_TRUE(b.heard.messages == from_a);
    ASSERT_TRUE(a.heard.messages == from_b);
    ASSERT_EQ(a.sessions->sessions().size(), 1u);
    ASSERT_EQ(b.sessions->sessions().size(), 1u);
    ASSERT_EQ(a.sessions->exported(b.id, "k"), b.sessions->exported(a.id, "k"));
    ASSERT_NE(a.sessions->sessions()[0].was_dialled, b.sessions->sessions()[0].was_dialled);
    ASSERT_EQ(a.counters().failed + b.counters().failed, 0u);
  }
}

}  // namespace chaincast::test
