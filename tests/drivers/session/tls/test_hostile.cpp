// SPDX-License-Identifier: BSD-3-Clause
// Ends that mean no good: what they may cost, and for how long.
#include "base/random.hpp"
#include "rig.hpp"

namespace chaincast::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Hostile : public TlsTest {
 protected:
  // Steps of the stranger and turns of `a`, until the connection is gone: soon, though the other
  // end keeps its own side open.
  void expect_dropped(Stranger& stranger, SessionEnd& a) {
    const TimeNs before_ns = rig.now_ns;
    EXPECT_TRUE(until(stranger, [&] {
      rig.advance(100 * ns_per_ms);
      return connections(a) == 0;
    }));
    EXPECT_LE(rig.now_ns, before_ns + 2 * ns_per_s);
  }
  static size_t connections(const SessionEnd& a) {
    std::vector<pollfd> fds;
    a.sessions->add_poll_fds(fds);
    return fds.size() - 1;
  }
};

TEST_F(Hostile, WhoSaysNothingIsDroppedInTime) {
  SessionEnd& a = rig.add(1);
  Stranger stranger(a.address());
  ASSERT_TRUE(rig.until([&] { return connections(a) == 1; }));
  rig.advance(rig.config().handshake_ns - ns_per_ms);
  rig.turn(a);
  EXPECT_EQ(connections(a), 1u);
  EXPECT_LE(a.sessions->wake_at_ns(), rig.now_ns + ns_per_ms);
  rig.advance(ns_per_ms);
  expect_dropped(stranger, a);
  EXPECT_EQ(a.counters().stalled, 1u);
  EXPECT_THAT(a.heard.events, IsEmpty());
}

TEST_F(Hostile, HalfAHelloIsDroppedInTime) {
  SessionEnd& a = rig.add(1);
  const Bytes hello = framed_hello(rig.config().network, 7000, "half");
  for (const size_t bytes : {size_t{0}, size_t{1}, hello.size() / 2, hello.size() - 1}) {
    SCOPED_TRACE(bytes);
    const uint64_t before = a.counters().stalled;
    Stranger stranger(a.address());
    ASSERT_TRUE(until(stranger, [&] { return stranger.is_established(); }));
    if (bytes > 0) {
      ASSERT_TRUE(stranger.write(ByteSpan(hello).first(bytes)));
    }
    rig.settle();
    rig.advance(rig.config().handshake_ns);
    expect_dropped(stranger, a);
    EXPECT_EQ(a.counters().stalled, before + 1);
  }
  EXPECT_EQ(a.counters().opened, 0u);
}

TEST_F(Hostile, HalfAMessageIsDroppedWhenNoByteMoves) {
  SessionEnd& a = rig.add(1);
  Stranger stranger(a.address());
  introduce(stranger);
  const Bytes message = framed(Bytes(100, 1));
  ASSERT_TRUE(stranger.write(ByteSpan(message).first(50)));
  rig.settle();
  rig.advance(rig.config().stall_ns - ns_per_s);
  ASSERT_TRUE(stranger.write(ByteSpan(message).subspan(50, 1)));
  rig.settle();
  rig.advance(rig.config().stall_ns - ns_per_s);
  rig.settle();
  EXPECT_EQ(a.heard.count("closed"), 0u) << "a byte moved";
  rig.advance(ns_per_s);
  rig.settle();
  EXPECT_EQ(a.heard.count("closed"), 1u);
  EXPECT_EQ(a.counters().stalled, 1u);
  EXPECT_THAT(a.heard.messages, IsEmpty());
}

TEST_F(Hostile, LengthsThatAreNoneCloseTheSession) {
  SessionEnd& a = rig.add(1);
  for (const uint32_t length : {0u, uint32_t{session::message_bytes_max + 1}, 0xffffffffu}) {
    SCOPED_TRACE(length);
    const uint64_t before = a.counters().malformed;
    Stranger stranger(a.address());
    introduce(stranger);
    Bytes header(4);
    store_be32(header.data(), length);
    ASSERT_TRUE(stranger.write(header));
    expect_dropped(stranger, a);
    EXPECT_EQ(a.counters().malformed, before + 1);
    EXPECT_THAT(a.heard.whys.back(), HasSubstr("length"));
  }
  EXPECT_EQ(a.heard.count("closed"), 3u);
}

TEST_F(Hostile, AHelloThatIsNoneOpensNothing) {
  SessionEnd& a = rig.add(1);
  Bytes too_long(4);
  store_be32(too_long.data(), 2000);
  Bytes other_version = framed_hello(rig.config().network, 7000, "");
  other_version[4] = 2;
  const Bytes no_port = framed_hello(rig.config().network, 0, "");
  const Bytes garbage = framed(pattern(64, 1));
  unsigned count = 0;
  for (const Bytes& bytes : {too_long, other_version, no_port, garbage}) {
    SCOPED_TRACE(++count);
    Stranger stranger(a.address());
    ASSERT_TRUE(until(stranger, [&] { return stranger.is_established(); }));
    ASSERT_TRUE(stranger.write(bytes));
    expect_dropped(stranger, a);
    EXPECT_EQ(a.counters().malformed, count);
    EXPECT_THAT(stranger.received(), IsEmpty());
  }
  EXPECT_THAT(a.heard.events, IsEmpty());
}

TEST_F(Hostile, GarbageInsteadOfAHandshakeIsRefused) {
  SessionEnd& a = rig.add(1);
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Stranger stranger(a.address());
    Bytes garbage = pattern(1000, seed);
    // Half of them begin as a record of a handshake does.
    if (seed % 2 == 0) std::copy_n(Bytes{22, 3, 1, 2, 0}.begin(), 5, garbage.begin());
    stranger.write_raw(garbage);
    rig.settle();
    rig.advance(rig.config().handshake_ns);
    rig.settle();
    rig.advance(ns_per_s);
    rig.settle();
    EXPECT_EQ(connections(a), 0u) << seed;
  }
  EXPECT_EQ(a.counters().refused + a.counters().stalled, 50u);
  EXPECT_EQ(a.counters().opened, 0u);
}

TEST_F(Hostile, OneThatSendsWithoutEndIsReadInBoundedParts) {
  SessionEnd& a = rig.add(1);
  Stranger stranger(a.address());
  introduce(stranger);
  Bytes small;
  for (int i = 0; i < 3000; ++i) small.insert(small.end(), {0, 0, 0, 1, 9});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(stranger.write(small));
  size_t largest = 0;
  ASSERT_TRUE(rig.until([&] {
    const size_t before = a.heard.messages.size();
    rig.turn(a);
    largest = std::max(largest, a.heard.messages.size() - before);
    return a.heard.messages.size() == 60'000;
  }));
  EXPECT_LE(largest, 64u);
}

TEST_F(Hostile, WhoSendsWithoutEndAndNeverReadsIsClosed) {
  SessionEnd& a = rig.add(1);
  Stranger stranger(a.address());
  introduce(stranger);
  const NodeId id = a.heard.now_open[0];
  stranger.stop_reading();
  const Endpoint address = a.heard.remotes[0].address;
  ASSERT_TRUE(a.sessions->send(id, address, Bytes(20'000'000), rig.now_ns));
  for (int i = 0; i < 300; ++i) rig.turn(a);
  // It goes on sending all the while, which does not count for its reading.
  const Bytes message = framed(Bytes(1000, 1));
  const TimeNs step_ns = rig.config().stall_ns / 10;
  for (int i = 0; i < 12 && a.heard.count("closed") == 0; ++i) {
    stranger.write(message);
    rig.advance(step_ns);
    rig.turn(a);
  }
  rig.turn(a);
  EXPECT_EQ(a.heard.count("closed"), 1u);
  EXPECT_EQ(a.counters().stalled, 1u);
  EXPECT_GT(a.heard.messages.size(), 5u);
}

TEST_F(Hostile, AKilledEndIsHeardOfAndRaisesNoSignal) {
  SessionEnd& a = rig.add(1);
  for (const bool is_sending : {false, true}) {
    Stranger stranger(a.address());
    introduce(stranger);
    const NodeId id = a.heard.now_open[0];
    stranger.stop_reading();
    if (is_sending) {
      ASSERT_TRUE(a.sessions->send(id, a.heard.remotes[0].address, Bytes(20'000'000), rig.now_ns));
      for (int i = 0; i < 50; ++i) rig.turn(a);
    }
    stranger.kill();
    ASSERT_TRUE(rig.until([&] { return a.heard.now_open.empty(); }));
  }
  EXPECT_EQ(a.heard.count("closed"), 2u);
  EXPECT_EQ(a.counters().stalled, 0u);
}

TEST_F(Hostile, NewKeysWithoutEndDoNotKeepTheLoop) {
  SessionEnd& a = rig.add(1);
  Stranger stranger(a.address());
  introduce(stranger);
  for (int i = 0; i < 200; ++i) {
    stranger.update_key();
    stranger.write(framed(text("m")));
    stranger.step();
    if (i % 10 == 0) rig.turn(a);
  }
  EXPECT_TRUE(until(stranger, [&] { return a.heard.messages.size() == 200; }));
}

TEST_F(Hostile, HalfOpenConnectionsAreBoundedPerSource) {
  SessionEnd& a = rig.add(1);
  std::vector<std::unique_ptr<Stranger>> strangers;
  const size_t max = session::tls::half_open_per_source_max;
  for (size_t i = 0; i < max + 3; ++i) {
    strangers.push_back(std::make_unique<Stranger>(a.address()));
  }
  ASSERT_TRUE(rig.until([&] { return a.counters().accepted == max + 3; }));
  rig.turn(a);
  EXPECT_EQ(connections(a), max);
  EXPECT_EQ(a.counters().over_limit, 3u);
  Stranger elsewhere(a.address(), {.from = "127.0.0.77"});
  introduce(elsewhere);
  EXPECT_EQ(a.counters().opened, 1u) << "others are not kept out";
}

TEST_F(Hostile, HalfOpenConnectionsAreBounded) {
  SessionEnd& a = rig.add(1);
  const size_t max = session::tls::half_open_max;
  const size_t per_source = session::tls::half_open_per_source_max;
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (size_t i = 0; i < max + 10; ++i) {
    const std::string from = "127.0.0." + std::to_string(2 + i / per_source);
    strangers.push_back(std::make_unique<Stranger>(a.address(), StrangeOptions{.from = from}));
    if (i % 16 == 0) rig.turn(a);
  }
  ASSERT_TRUE(rig.until([&] { return a.counters().accepted == max + 10; }));
  EXPECT_EQ(connections(a), max);
  EXPECT_EQ(a.counters().over_limit, 10u);
  // They make room when their time is over, and who is honest comes in.
  rig.advance(rig.config().handshake_ns);
  rig.turn(a);
  Stranger honest(a.address());
  introduce(honest);
}

TEST_F(Hostile, OneNodeKeepsFewConnections) {
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  for (int i = 0; i < 20; ++i) {
    // The same key again and again, each time as one that has forgotten the time before.
    SessionEnd& again = rig.add(2);
    ASSERT_TRUE(rig.send(again, a, text("it is me")));
    ASSERT_TRUE(rig.until([&] { return again.heard.count("open") == 1; }));
  }
  EXPECT_LE(connections(a), 5u);
  EXPECT_GE(a.counters().over_limit, 15u);
  EXPECT_EQ(a.sessions->sessions().size(), 1u);
  EXPECT_EQ(b.counters().opened, 0u);
}

TEST_F(Hostile, AThousandDialsToADeadAddressLeaveNothing) {
  SessionEnd& a = rig.add(1);
  Endpoint dead;
  {
    const Stranger stranger{StrangeOptions{}};
    dead = stranger.address();
  }
  rig.turn(a);
  const size_t before = open_fds();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(a.sessions->send({}, dead, text("anyone"), rig.now_ns));
    ASSERT_TRUE(rig.until([&] { return a.heard.count("failed") == a.counters().dialled; }));
    rig.advance(rig.config().retry_max_ns);
  }
  EXPECT_EQ(a.counters().failed, 1000u);
  EXPECT_EQ(open_fds(), before);
  EXPECT_EQ(connections(a), 0u);
}

TEST_F(Hostile, DialsAreBounded) {
  session::Config config = rig.config();
  SessionEnd& a = rig.add(1, config);
  // Nobody answers: the backlog of this one takes them.
  SessionEnd& b = rig.add(2);
  size_t dialled = 0;
  const auto dial = [&](size_t number) {
    NodeId id;
    store_be64(id.bytes.data(), number + 1);
    return a.sessions->send(id, b.address(), text("x"), rig.now_ns);
  };
  while (dialled < 2 * session::sessions_max && dial(dialled)) ++dialled;
  EXPECT_EQ(dialled, session::sessions_max);
  EXPECT_EQ(a.counters().over_limit, 1u);
  rig.advance(config.handshake_ns);
  for (int i = 0; i < 3; ++i) rig.turn(a);
  EXPECT_EQ(a.counters().failed, dialled);
}

}  // namespace
}  // namespace chaincast::test
