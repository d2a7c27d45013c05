// SPDX-License-Identifier: BSD-3-Clause
#include "session/memory/memory.hpp"

#include "port/port.hpp"
#include "support/session_rules.hpp"

namespace chaincast {
namespace {

using session::memory::Network;
using session::memory::Options;
using test::SessionEnd;
using test::SessionImplementation;
using test::SessionRig;
using test::SessionRules;
using test::text;
using testing::ElementsAre;
using testing::IsEmpty;

class Maker final : public test::SessionMaker {
 public:
  Maker(const crypto::Toolbox& toolbox, const Options& options)
      : network(Network::make(toolbox, options)) {}
  Result<std::unique_ptr<session::Sessions>> make(const session::Config& config,
                                                  const crypto::Signer& signer) override {
    return network->attach(config, signer.public_key());
  }

  const std::shared_ptr<Network> network;
};

constexpr SessionImplementation at_once = {
    "AtOnce", [](const crypto::Toolbox& toolbox) {
      return std::unique_ptr<test::SessionMaker>(new Maker(toolbox, {}));
    }};
constexpr SessionImplementation with_latency = {
    "WithLatency", [](const crypto::Toolbox& toolbox) {
      return std::unique_ptr<test::SessionMaker>(
          new Maker(toolbox, {.seed = 5, .latency_max_ns = 20 * ns_per_us}));
    }};

class Memory : public testing::Test {
 protected:
  Network& network() { return *static_cast<Maker&>(rig_.maker()).network; }
  void cut() { network().cut(b_.address(), a_.address()); }
  void heal() { network().heal(a_.address(), b_.address()); }
  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      rig_.turn(a_);
      rig_.turn(b_);
    }
  }

  SessionRig rig_{at_once};
  SessionEnd& a_ = rig_.add(1);
  SessionEnd& b_ = rig_.add(2);
};

TEST_F(Memory, NothingArrivesOutsideOfOnReady) {
  ASSERT_TRUE(rig_.send(a_, b_, text("one")));
  EXPECT_THAT(b_.heard.events, IsEmpty());
  EXPECT_LE(b_.sessions->wake_at_ns(), rig_.now_ns);
  rig_.turn(b_);
  EXPECT_THAT(b_.heard.messages, ElementsAre(text("one")));
  EXPECT_THAT(a_.heard.events, IsEmpty());
  rig_.turn(a_);
  EXPECT_THAT(a_.heard.events, ElementsAre("open " + b_.id.hex()));
}

TEST_F(Memory, WhatWasSentAcrossACutArrivesWhenItIsHealed) {
  ASSERT_TRUE(rig_.send(a_, b_, text("one")));
  rig_.settle();
  cut();
  ASSERT_TRUE(rig_.send(a_, b_, text("two")));
  ASSERT_TRUE(rig_.send(b_, a_, text("three")));
  turns(20);
  EXPECT_THAT(b_.heard.messages, ElementsAre(text("one")));
  heal();
  turns(2);
  EXPECT_THAT(b_.heard.messages, ElementsAre(text("one"), text("two")));
  EXPECT_THAT(a_.heard.messages, ElementsAre(text("three")));
}

TEST_F(Memory, ALongCutEndsSessionsAndDials) {
  ASSERT_TRUE(rig_.send(a_, b_, text("one")));
  rig_.settle();
  cut();
  ASSERT_TRUE(rig_.send(a_, b_, text("two")));
  rig_.advance(rig_.config().stall_ns);
  turns(2);
  EXPECT_EQ(a_.heard.count("closed"), 1u);
  EXPECT_EQ(b_.heard.count("closed"), 0u) << "it cannot know";
  EXPECT_EQ(a_.counters().stalled, 1u);
  ASSERT_TRUE(rig_.send(a_, b_, text("three")));
  rig_.advance(rig_.config().handshake_ns);
  turns(2);
  EXPECT_EQ(a_.heard.count("failed"), 1u);
  heal();
  rig_.advance(rig_.config().retry_ns);
  ASSERT_TRUE(rig_.send(a_, b_, text("four")));
  rig_.settle();
  EXPECT_EQ(b_.heard.messages.back(), text("four"));
  EXPECT_EQ(a_.sessions->exported(b_.id, "k"), b_.sessions->exported(a_.id, "k"));
}

TEST_F(Memory, ADialAcrossACutOpensWhenItIsHealedInTime) {
  cut();
  ASSERT_TRUE(rig_.send(a_, b_, text("one")));
  turns(5);
  EXPECT_THAT(b_.heard.events, IsEmpty());
  heal();
  turns(2);
  EXPECT_THAT(b_.heard.messages, ElementsAre(text("one")));
}

TEST_F(Memory, OtherPairsAreNotCut) {
  SessionEnd& c = rig_.add(3);
  cut();
  ASSERT_TRUE(rig_.send(c, a_, text("to a")));
  ASSERT_TRUE(rig_.send(c, b_, text("to b")));
  rig_.settle();
  EXPECT_THAT(a_.heard.messages, ElementsAre(text("to a")));
  EXPECT_THAT(b_.heard.messages, ElementsAre(text("to b")));
}

TEST_F(Memory, ATakenAddressIsNamed) {
  session::Config config = rig_.config();
  config.listen = a_.address();
  const auto taken = network().attach(config, rig_.signer(9)->public_key());
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, ErrorCode::exists);
  EXPECT_THAT(taken.error().message, testing::HasSubstr(port::to_text(a_.address())));
  config.listen.port = 0;
  config.card.resize(session::card_bytes_max + 1);
  EXPECT_FALSE(network().attach(config, rig_.signer(9)->public_key()).ok());
}

// When each message came, and what the session exports.
std::string run(const SessionRig& rig, uint64_t seed) {
  const auto network = Network::make(*rig.toolbox, {.seed = seed, .latency_max_ns = ns_per_ms});
  test::Recorder heard[2];
  std::unique_ptr<session::Sessions> ends[2];
  for (unsigned i = 0; i < 2; ++i) {
    ends[i] = std::move(network->attach(rig.config(), rig.signer(i)->public_key())).value();
    ends[i]->set_listener(heard[i]);
  }
  std::string out;
  for (TimeNs now_ns = 0; now_ns < 10 * ns_per_ms; now_ns += 10 * ns_per_us) {
    if (now_ns % (100 * ns_per_us) == 0) {
      EXPECT_TRUE(ends[0]->send({}, ends[1]->address(), text("x"), now_ns));
    }
    for (const auto& end : ends) end->on_ready({}, now_ns);
    out += std::to_string(heard[1].messages.size()) + " ";
  }
  EXPECT_GT(heard[1].messages.size(), 50u);
  return out + to_hex(*ends[0]->exported(heard[0].now_open[0], "k"));
}

TEST(MemorySeeds, ASeedGivesTheSameRunAgain) {
  const SessionRig rig(at_once);
  EXPECT_EQ(run(rig, 1), run(rig, 1));
  EXPECT_NE(run(rig, 1), run(rig, 2));
}

INSTANTIATE_TEST_SUITE_P(Memory, SessionRules, testing::Values(at_once, with_latency),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace chaincast
