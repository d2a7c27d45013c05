// SPDX-License-Identifier: BSD-3-Clause
#include "punch/relay.hpp"

#include <gtest/gtest.h>

#include "crypto/openssl/toolbox.hpp"
#include "names.hpp"
#include "punch/prober.hpp"
#include "wire/datagram.hpp"

namespace chaincast::punch {
namespace {

const NodeId a = node(1), b = node(2);
const Endpoint a_address = at(11, 7000), b_address = at(12, 7000), victim = at(66, 53);

struct RelayTest : testing::Test {
  struct Sent {
    unsigned socket;
    Endpoint to;
    Bytes bytes;
  };
  RelayTest() {
    config.address = at(1, 7100);
    config.pairs_max = 4;
    make();
  }
  void make() {
    relay = std::make_unique<Relay>(
        config, *toolbox,
        [this](const NodeId& id) -> std::optional<Secret> {
          return id == a || id == b ? std::optional(key_of(id)) : std::nullopt;
        },
        [this](unsigned socket, const Endpoint& to, ByteSpan bytes) {
          sent.push_back({socket, to, Bytes(bytes.begin(), bytes.end())});
          return true;
        });
  }
  static Secret key_of(const NodeId& id) {
    Secret out;
    out.fill(id.bytes[0]);
    return out;
  }
  Bytes question(const NodeId& id, const Nonce& cookie = {}) const {
    Probe probe;
    probe.node = id;
    probe.nonce.fill(9);
    probe.cookie = cookie;
    return encode(probe, key_of(id), *toolbox);
  }
  // The one datagram that was sent since the last call.
  std::optional<Probe> answer(const Endpoint& to) {
    EXPECT_EQ(sent.size(), 1u);
    if (sent.size() != 1) return std::nullopt;
    EXPECT_EQ(sent[0].to, to);
    const auto probe = parse_probe(sent[0].bytes);
    sent.clear();
    return probe;
  }
  void ask(unsigned socket, const Endpoint& from, const Bytes& bytes) {
    relay->receive(socket, from, bytes, now_ns);
  }
  void prove(unsigned socket, const NodeId& id, const Endpoint& from) {
    ask(socket, from, question(id));
    ask(socket, from, question(id, answer(from)->cookie));
    EXPECT_TRUE(answer(from)->is_bound);
  }

  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  RelayConfig config;
  std::unique_ptr<Relay> relay;
  std::vector<Sent> sent;
  TimeNs now_ns = 1000 * ns_per_s;
  const Bytes datagram = Bytes(300, 0x42);
};

TEST_F(RelayTest, TheAnswerSaysWhereTheQuestionCameFromAndIsNoLonger) {
  const Bytes asked = question(a);
  ask(0, a_address, asked);
  EXPECT_EQ(sent[0].bytes.size(), asked.size());
  const auto told = answer(a_address);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->is_answer && !told->is_bound);
  EXPECT_EQ(told->seen, a_address);
  EXPECT_EQ(wire::read_hello(asked).fault, wire::DatagramFault::none) << "passes as a hello";
}

TEST_F(RelayTest, NobodyIsAnsweredWithoutAKey) {
  ask(0, victim, question(node(3)));
  Bytes forged = question(a);
  forged[60] ^= 1;
  ask(0, victim, forged);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(relay->counters().bad_probes, 2u);
}

TEST_F(RelayTest, OnlyBetweenTwoAddressesThatBothHaveProvenThemselves) {
  const auto address = relay->open(a, b, now_ns);
  ASSERT_EQ(address, at(1, 7102));
  ask(2, a_address, datagram);
  EXPECT_TRUE(sent.empty());
  prove(2, a, a_address);
  ask(2, a_address, datagram);
  EXPECT_TRUE(sent.empty()) << "the other end has not";
  prove(2, b, b_address);
  ask(2, a_address, datagram);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, b_address);
  EXPECT_EQ(sent[0].socket, 2u);
  EXPECT_EQ(sent[0].bytes, datagram);
  sent.clear();
  ask(2, victim, datagram);
  ask(3, a_address, datagram);
  ask(0, a_address, datagram);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(relay->counters().unproven, 5u);
}

// A node may not have what is sent to it arrive at somebody else.
TEST_F(RelayTest, ACookieOfOneAddressProvesNoOther) {
  relay->open(a, b, now_ns);
  prove(2, b, b_address);
  ask(2, a_address, question(a));
  const Nonce cookie = answer(a_address)->cookie;
  ask(2, victim, question(a, cookie));
  EXPECT_FALSE(answer(victim)->is_bound);
  ask(3, a_address, question(a, cookie));
  EXPECT_FALSE(answer(a_address)->is_bound) << "nor on another socket";
  ask(2, b_address, datagram);
  EXPECT_TRUE(sent.empty());
  now_ns += 2 * config.cookie_ns;
  ask(2, a_address, question(a, cookie));
  EXPECT_FALSE(answer(a_address)->is_bound) << "nor for ever";
}

TEST_F(RelayTest, ANewAddressOfOneEndTakesThePlaceOfTheOld) {
  relay->open(a, b, now_ns);
  prove(2, a, a_address);
  prove(2, b, b_address);
  const Endpoint moved = at(12, 20'000);
  prove(2, b, moved);
  ask(2, a_address, datagram);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, moved);
}

TEST_F(RelayTest, PairsAreBoundedAndEndWithoutProof) {
  EXPECT_EQ(relay->open(a, b, now_ns), relay->open(b, a, now_ns));
  EXPECT_FALSE(relay->open(a, a, now_ns));
  EXPECT_TRUE(relay->open(a, node(3), now_ns));
  EXPECT_FALSE(relay->open(a, node(4), now_ns)) << "half of all pairs";
  EXPECT_TRUE(relay->open(node(5), node(6), now_ns));
  EXPECT_TRUE(relay->open(node(7), node(8), now_ns));
  EXPECT_FALSE(relay->open(node(9), node(10), now_ns));
  prove(2, a, a_address);
  prove(2, b, b_address);
  now_ns += config.idle_ns - 1;
  prove(2, a, a_address);
  prove(2, b, b_address);
  ++now_ns;
  relay->tick(now_ns);
  EXPECT_EQ(relay->pairs(), 1u);
  EXPECT_EQ(relay->counters().pairs_ended, 3u);
}

TEST_F(RelayTest, ARateBoundsWhatAPairHas) {
  config.rate_bytes_per_s = 1'000'000;
  make();
  relay->open(a, b, now_ns);
  prove(2, a, a_address);
  prove(2, b, b_address);
  constexpr unsigned datagrams = 10'000;  // 3 MB within half a second
  for (unsigned i = 0; i < datagrams; ++i) {
    now_ns += ns_per_s / 2 / datagrams;
    ask(2, i % 2 == 0 ? a_address : b_address, datagram);
  }
  const uint64_t bytes = relay->counters().forwarded_bytes;
  EXPECT_LE(bytes, 500'000u + 65'536u);
  EXPECT_GE(bytes, 490'000u);
  EXPECT_EQ(relay->counters().over_rate + relay->counters().forwarded, datagrams);
}

TEST_F(RelayTest, AProberTakesOnlyAnswersToWhatItAsked) {
  Prober prober(a, *toolbox);
  prober.set(at(1, 7100), key_of(a), true, now_ns);
  Prober::Datagrams out;
  prober.tick(now_ns, out);
  ASSERT_EQ(out.size(), 1u);
  ask(0, a_address, out[0].second);
  const Bytes told = sent[0].bytes;
  Bytes forged = told;
  forged[60] ^= 1;
  out.clear();
  EXPECT_FALSE(prober.receive(at(1, 7100), forged, now_ns, out));
  EXPECT_FALSE(prober.receive(victim, told, now_ns, out));
  EXPECT_TRUE(prober.seen().empty());
  EXPECT_TRUE(prober.receive(at(1, 7100), told, now_ns, out));
  EXPECT_EQ(prober.seen(), std::vector<Endpoint>{a_address});
  EXPECT_FALSE(prober.receive(at(1, 7100), told, now_ns, out)) << "replayed";
  EXPECT_EQ(prober.counters().refused, 3u);
  EXPECT_EQ(out.size(), 1u) << "the cookie goes back at once";
}

// Answers of before say nothing about the mapping of now.
TEST_F(RelayTest, AProberThatHasMovedAsksAllVantagesAgain) {
  Prober prober(a, *toolbox);
  Endpoint from = a_address;
  for (const Endpoint& vantage : relay->vantage_points()) {
    prober.set(vantage, key_of(a), true, now_ns);
  }
  const auto turn = [&] {
    Prober::Datagrams out;
    prober.tick(now_ns, out);
    while (!out.empty()) {
      Prober::Datagrams more;
      for (const auto& [to, bytes] : out) {
        sent.clear();
        ask(to.port - config.address.port, from, bytes);
        prober.receive(to, sent.at(0).bytes, now_ns, more);
      }
      out = more;
    }
  };
  turn();
  EXPECT_EQ(prober.mapping(), Mapping::independent);
  EXPECT_TRUE(prober.is_settled(now_ns));
  from = at(11, 20'000);
  now_ns += ProberTimers().renew_ns;
  Prober::Datagrams out;
  prober.tick(now_ns, out);
  ASSERT_EQ(out.size(), 2u);
  // Only one of the two answers comes.
  sent.clear();
  ask(0, from, out[0].second);
  prober.receive(out[0].first, sent.at(0).bytes, now_ns, out);
  EXPECT_EQ(prober.seen(), std::vector<Endpoint>{from});
  EXPECT_EQ(prober.mapping(), Mapping::unknown);
  EXPECT_FALSE(prober.is_settled(now_ns));
  turn();
  EXPECT_EQ(prober.mapping(), Mapping::independent);
}

}  // namespace
}  // namespace chaincast::punch
