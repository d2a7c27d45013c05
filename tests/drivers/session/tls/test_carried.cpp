// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <map>

#include "rig.hpp"

// Sessions whose bytes a third node carries: here a wire that can look at them, and spoil them.
namespace chaincast::test {
namespace {

constexpr uint64_t channel = 5;

class Carried : public testing::Test {
 protected:
  // What it hears goes to the other end's sessions.
  struct Wired : Recorder {
    void on_carry(uint64_t number, ByteSpan bytes, TimeNs now_ns) override {
      seen.insert(seen.end(), bytes.begin(), bytes.end());
      on_the_way += bytes.size();
      most_on_the_way = std::max(most_on_the_way, on_the_way);
      Bytes copy(bytes.begin(), bytes.end());
      if (spoils && !copy.empty()) copy.back() ^= 1;
      other->sessions->carried(number, copy, now_ns);
    }
    void on_carry_taken(uint64_t number, uint32_t bytes, TimeNs) override {
      other_wire->on_the_way -= bytes;
      if (passes_credit) other->sessions->carried_taken(number, bytes);
    }
    void on_carry_end(uint64_t number, TimeNs) override {
      ++ends;
      other->sessions->carried_end(number);
    }
    SessionEnd* other = nullptr;
    Wired* other_wire = nullptr;
    Bytes seen;
    size_t on_the_way = 0, most_on_the_way = 0;
    unsigned ends = 0;
    bool spoils = false, passes_credit = true;
  };

  Carried() {
    a.sessions->set_listener(a_wire);
    b.sessions->set_listener(b_wire);
    a_wire.other = &b;
    b_wire.other = &a;
    a_wire.other_wire = &b_wire;
    b_wire.other_wire = &a_wire;
    carrier.port = 7000;
    carrier.address = {203, 0, 113, 1};
  }
  ~Carried() override { rig.ends.clear(); }
  void dial(const NodeId& whom) {
    ASSERT_TRUE(b.sessions->accept_carried(channel, carrier, rig.now_ns));
    ASSERT_TRUE(a.sessions->dial_carried(channel, whom, carrier, rig.now_ns));
  }
  bool are_open() const { return !a_wire.now_open.empty() && !b_wire.now_open.empty(); }

  Wired a_wire, b_wire;
  SessionRig rig{over_tls};
  SessionEnd& a = rig.add(1);
  SessionEnd& b = rig.add(2);
  Endpoint carrier;
};

TEST_F(Carried, BothKeysAreProvenFromEndToEndAndTheCarrierReadsNothing) {
  dial(b.id);
  const Bytes secret = text("what the carrier must not see");
  ASSERT_TRUE(a.sessions->send(b.id, carrier, secret, rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return are_open() && b_wire.messages.size() == 1; }));
  EXPECT_EQ(b_wire.messages[0], secret);
  ASSERT_EQ(b_wire.remotes.size(), 1u);
  EXPECT_EQ(b_wire.remotes[0].id, a.id);
  EXPECT_TRUE(b_wire.remotes[0].is_carried);
  EXPECT_EQ(b_wire.remotes[0].address, carrier);
  EXPECT_EQ(a_wire.remotes.at(0).id, b.id);
  EXPECT_EQ(a.sessions->exported(b.id, "link"), b.sessions->exported(a.id, "link"));
  EXPECT_TRUE(a.sessions->exported(b.id, "link").has_value());
  const auto found =
      std::search(a_wire.seen.begin(), a_wire.seen.end(), secret.begin(), secret.end());
  EXPECT_EQ(found, a_wire.seen.end());
  EXPECT_FALSE(a.sessions->send(NodeId{}, carrier, secret, rig.now_ns) && rig.until([&] {
    return b_wire.messages.size() == 2;
  })) << "the carrier is another node";
}

TEST_F(Carried, WhoeverAnswersInTheOthersPlaceIsRefused) {
  dial(rig.add(3).id);
  ASSERT_TRUE(rig.until([&] { return a_wire.ends == 1 && b_wire.ends == 1; }));
  EXPECT_TRUE(a_wire.remotes.empty());
  EXPECT_TRUE(b_wire.remotes.empty());
}

TEST_F(Carried, ALongMessageComesWholeWithinTheWindow) {
  dial(b.id);
  const Bytes message = pattern(3'000'000, 1);
  ASSERT_TRUE(a.sessions->send(b.id, carrier, message, rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return b_wire.messages.size() == 1; }));
  EXPECT_EQ(b_wire.messages[0], message);
  EXPECT_LE(a_wire.most_on_the_way, session::carried_window_bytes);
}

TEST_F(Carried, WhatTheCarrierAltersEndsTheSession) {
  dial(b.id);
  ASSERT_TRUE(rig.until([&] { return are_open(); }));
  a_wire.spoils = true;
  ASSERT_TRUE(a.sessions->send(b.id, carrier, text("x"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return b_wire.now_open.empty(); }));
  EXPECT_TRUE(b_wire.messages.empty());
}

TEST_F(Carried, WhoIgnoresTheWindowIsCutOff) {
  dial(b.id);
  ASSERT_TRUE(rig.until([&] { return are_open(); }));
  // Nothing of it is TLS: what comes first ends the session as well, so all comes at once.
  b.sessions->carried(channel, Bytes(session::carried_window_bytes, 0), rig.now_ns);
  b.sessions->carried(channel, Bytes(1, 0), rig.now_ns);
  EXPECT_EQ(b.counters().over_limit, 1u);
  ASSERT_TRUE(rig.until([&] { return b_wire.ends == 1; }));
  EXPECT_EQ(b_wire.on_the_way, 0u);
}

TEST_F(Carried, ItsEndIsTheEndOfTheSession) {
  dial(b.id);
  ASSERT_TRUE(rig.until([&] { return are_open(); }));
  a.sessions->carried_end(channel);
  b.sessions->carried_end(channel);
  ASSERT_TRUE(rig.until([&] { return a_wire.now_open.empty() && b_wire.now_open.empty(); }));
  ASSERT_TRUE(a.sessions->dial_carried(channel + 1, b.id, carrier, rig.now_ns));
  a.sessions->carried(channel, text("unknown by now"), rig.now_ns);
}

TEST_F(Carried, TheyAreBounded) {
  size_t made = 0;
  for (uint64_t i = 0; i < session::carried_max + 10; ++i) {
    made += a.sessions->accept_carried(i, carrier, rig.now_ns) ? 1u : 0u;
  }
  EXPECT_EQ(made, session::carried_max);
  EXPECT_FALSE(a.sessions->accept_carried(0, carrier, rig.now_ns)) << "twice";
}

}  // namespace
}  // namespace chaincast::test
