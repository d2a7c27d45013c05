// SPDX-License-Identifier: BSD-3-Clause
#include "hop/links.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "crypto/openssl/toolbox.hpp"
#include "hop/lane.hpp"
#include "wire/datagram.hpp"

// One step of the link machine at a time, with real cryptography. Whole networks: tests/sim.
namespace chaincast::hop {
namespace {

using testing::HasSubstr;
using wire::HelloStep;

constexpr uint32_t no_peer = ~uint32_t{0};

// A machine with one peer, and what it put out.
struct End {
  End(const crypto::Toolbox& tools, uint8_t number, uint16_t tx_lanes) : toolbox(tools) {
    key.fill(number);
    config.key = key;
    config.node = id_of(key);
    config.suites = 0x1f;
    config.tx_lanes = tx_lanes;
    config.receive_ports = 3;
    config.allocate_link_id = [this](uint32_t r) { return table->allocate(r); };
    config.release_link_id = [this](uint32_t id) {
      ++released;
      table->remove(id);
    };
    config.receive_counters = [this](uint32_t) { return report; };
    address.address = {192, 0, 2, number};
    address.port = 7000;
    peer.secret.fill(0x5e);
  }
  NodeId id_of(const PublicKey& public_key) const {
    NodeId id;
    const Digest digest = toolbox.sha256(public_key);
    std::copy_n(digest.begin(), 16, id.bytes.begin());
    return id;
  }
  void start(const End& other) {
    peer.name = "other";
    peer.remote = other.address;
    links = std::make_unique<Links>(config, toolbox, 1);
    ASSERT_TRUE(links->add(peer, now_ns).ok());
  }
  void tick(TimeNs at_ns) {
    now_ns = at_ns;
    links->tick(now_ns, out);
  }
  void receive(const End& from, const Bytes& bytes) {
    links->receive(from.address, bytes, 0, now_ns, out);
  }
  LinkState state() const { return links->status(0).state; }
  const std::string& detail() const { return links->status(0).detail; }
  // Takes the transmits that are hellos of this step, or all sealed ones.
  std::vector<LinkTransmit> take(std::optional<HelloStep> step) {
    std::vector<LinkTransmit> taken, rest;
    for (LinkTransmit& t : out.transmits) {
      const bool wanted = step ? t.is_hello && hello_of(t.bytes).step == *step : !t.is_hello;
      (wanted ? taken : rest).push_back(std::move(t));
    }
    out.transmits = std::move(rest);
    return taken;
  }
  Bytes one(std::optional<HelloStep> step) {
    auto taken = take(step);
    EXPECT_EQ(taken.size(), 1u);
    return taken.empty() ? Bytes() : taken[0].bytes;
  }
  template <typename Event>
  std::vector<Event> events() const {
    std::vector<Event> found;
    for (const LinkEvent& event : out.events) {
      if (const auto* e = std::get_if<Event>(&event)) found.push_back(*e);
    }
    return found;
  }
  static wire::Hello hello_of(const Bytes& datagram) {
    return wire::parse_hello(wire::read_hello(datagram).encoded).value();
  }

  const crypto::Toolbox& toolbox;
  PublicKey key{};
  LinksConfig config;
  LinkConfig peer;
  Endpoint address;
  wire::Report report;
  std::unique_ptr<LaneTable> table = std::make_unique<LaneTable>();
  std::unique_ptr<Links> links;
  LinkOutput out;
  TimeNs now_ns = ns_per_s;
  unsigned released = 0;
};

class LinksTest : public testing::Test {
 protected:
  // `low_` has the lower node id.
  LinksTest() {
    auto one = std::make_unique<End>(*toolbox_, uint8_t{1}, uint16_t{2});
    auto other = std::make_unique<End>(*toolbox_, uint8_t{2}, uint16_t{1});
    if (other->config.node < one->config.node) std::swap(one, other);
    low_ = std::move(one);
    high_ = std::move(other);
  }
  void start() {
    low_->start(*high_);
    high_->start(*low_);
  }
  // `low_` asks, everything arrives.
  void connect() {
    start();
    shake();
  }
  void shake() {
    low_->tick(low_->now_ns);
    const Bytes ask = low_->one(HelloStep::ask);
    high_->receive(*low_, ask);
    const Bytes answer = high_->one(HelloStep::answer);
    nonces_.bytes(End::hello_of(ask).nonce).bytes(End::hello_of(answer).nonce);
    low_->receive(*high_, answer);
    high_->receive(*low_, low_->one(HelloStep::confirm));
    exchange();
  }
  // What `low_` would seal, were it not the machine that we know. After connect().
  Bytes seal_as_low(uint64_t counter, ByteSpan plaintext) {
    ByteWriter info, aad, out;
    info.text("chaincast1 ctl").bytes(low_->config.node.bytes).bytes(high_->config.node.bytes);
    const Secret prk = toolbox_->hkdf_extract(nonces_.buffer(), low_->peer.secret);
    Secret key;
    std::ranges::copy(toolbox_->hkdf_expand(prk, info.buffer(), 32), key.begin());
    aad.u8(1).u8(0).u8(0).u8(0).be64(counter);
    out.buffer().resize(wire::hop_header_bytes);
    wire::store_hop_header(out.buffer().data(), {});
    out.be64(counter).bytes(toolbox_->aead(key)->seal(counter, aad.buffer(), plaintext));
    return out.take();
  }
  // Passes sealed messages until none is left.
  void exchange() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const auto& [from, to] :
           {std::pair(low_.get(), high_.get()), {high_.get(), low_.get()}}) {
        for (const LinkTransmit& t : from->take(std::nullopt)) {
          to->receive(*from, t.bytes);
          busy = true;
        }
      }
    }
  }
  // Makes a hello authentic again after a change.
  Bytes resign(wire::Hello hello, const Secret& secret) const {
    const Secret prk = toolbox_->hkdf_extract(as_bytes("chaincast1"), secret);
    const Bytes key = toolbox_->hkdf_expand(prk, as_bytes("chaincast1 hello"), 32);
    const Bytes encoded = wire::encode(hello);
    hello.mac = toolbox_->hmac_sha256(key, ByteSpan(encoded).first(encoded.size() - 32));
    ByteWriter out;
    out.bytes(wire::hello_hop_header()).bytes(wire::encode(hello));
    return out.take();
  }

  ByteWriter nonces_;
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<End> low_, high_;
};

TEST_F(LinksTest, ALostPortTakesItsLinkDownAtOnceAndAsks) {
  connect();
  low_->out = {};
  low_->links->lose(0, "port p0: link down", low_->now_ns, low_->out);
  EXPECT_EQ(low_->state(), LinkState::down);
  EXPECT_EQ(low_->detail(), "port p0: link down");
  ASSERT_EQ(low_->events<LinkDown>().size(), 1u);
  shake();
  EXPECT_EQ(low_->state(), LinkState::up);
  EXPECT_EQ(low_->links->status(0).sessions, 2u);
  low_->links->lose(7, "no such peer", low_->now_ns, low_->out);
}

TEST_F(LinksTest, ANewMtuIsToldToTheOtherEndByANewSession) {
  connect();
  low_->out = {};
  low_->links->set_mtu(0, low_->peer.mtu_bytes, low_->now_ns, low_->out);
  EXPECT_EQ(low_->state(), LinkState::up) << "nothing has changed";
  low_->links->set_mtu(0, 1400, low_->now_ns, low_->out);
  EXPECT_EQ(low_->state(), LinkState::down);
  low_->tick(low_->now_ns);
  EXPECT_EQ(End::hello_of(low_->one(HelloStep::ask)).mtu_bytes, 1400);
}

TEST_F(LinksTest, ComesUpWithTheSameLanesOnBothSides) {
  low_->peer.control_port = true;
  connect();
  EXPECT_EQ(low_->state(), LinkState::up);
  EXPECT_EQ(high_->state(), LinkState::up);
  const auto ups = low_->events<LinkUp>();
  const auto others = high_->events<LinkUp>();
  ASSERT_EQ(ups.size(), 1u);
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(ups[0].tx.size(), low_->config.tx_lanes + 1u);
  EXPECT_EQ(ups[0].rx.size(), high_->config.tx_lanes + 1u);
  EXPECT_TRUE(ups[0].remote_ports == 3 && !ups[0].remote_control_port);
  EXPECT_TRUE(others[0].remote_ports == 4 && others[0].remote_control_port);
  EXPECT_TRUE(ups[0].suites == 0x1fu && others[0].suites == 0x1fu);
  EXPECT_EQ(ups[0].node, high_->config.node);
  for (size_t i = 0; i < ups[0].tx.size(); ++i) {
    EXPECT_EQ(ups[0].tx[i].link_id, others[0].rx[i].link_id);
    EXPECT_EQ(ups[0].tx[i].key.round_keys, others[0].rx[i].key.round_keys);
  }
  EXPECT_GT(low_->links->status(0).rtt_ns, 0u);
  EXPECT_EQ(low_->links->status(0).sessions, 1u);
}

// The derivation of docs/wire.md, done here step by step from the nonces on the wire.
TEST_F(LinksTest, DerivesTheDocumentedKeys) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  high_->receive(*low_, ask);
  const Bytes answer = high_->one(HelloStep::answer);
  low_->receive(*high_, answer);
  ByteWriter salt, link, control;
  salt.bytes(End::hello_of(ask).nonce).bytes(End::hello_of(answer).nonce);
  const Secret prk = toolbox_->hkdf_extract(salt.buffer(), low_->peer.secret);
  const NodeId &own = low_->config.node, &other = high_->config.node;
  link.text("chaincast1 link").bytes(own.bytes).bytes(other.bytes).u8(1);
  control.text("chaincast1 ctl").bytes(own.bytes).bytes(other.bytes);
  std::array<uint8_t, 16> k_link;
  Secret k_ctl;
  std::ranges::copy(toolbox_->hkdf_expand(prk, link.buffer(), 16), k_link.begin());
  std::ranges::copy(toolbox_->hkdf_expand(prk, control.buffer(), 32), k_ctl.begin());
  const auto ups = low_->events<LinkUp>();
  ASSERT_EQ(ups.size(), 1u);
  EXPECT_EQ(ups[0].tx[1].key.round_keys, crypto::expand_link_key(k_link).round_keys);
  EXPECT_EQ(ups[0].tx[1].link_id, End::hello_of(answer).link_ids[1]);

  const auto sealed = low_->take(std::nullopt);
  ASSERT_FALSE(sealed.empty());
  const Bytes& bytes = sealed[0].bytes;
  const ByteSpan counter(bytes.data() + 16, 8);
  ByteWriter aad;
  aad.u8(1).u8(0).u8(0).u8(0).bytes(counter);
  const auto opened = toolbox_->aead(k_ctl)->open(load_be64(counter.data()), aad.buffer(),
                                                  ByteSpan(bytes).subspan(24));
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->front(), static_cast<uint8_t>(wire::ControlType::keepalive));
  EXPECT_EQ(sealed[0].tag_xor, wire::tag_words_xor(bytes.data() + bytes.size() - 16));
}

TEST_F(LinksTest, TheAnswererHoldsNothingForAnAsk) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  for (int i = 0; i < 50; ++i) high_->receive(*low_, ask);
  EXPECT_EQ(high_->state(), LinkState::connecting);
  EXPECT_TRUE(high_->events<LinkUp>().empty());
  const auto answers = high_->take(HelloStep::answer);
  ASSERT_EQ(answers.size(), 50u);
  for (const LinkTransmit& t : answers) EXPECT_EQ(t.bytes, answers[0].bytes);
}

TEST_F(LinksTest, AFullReplayOfAHandshakeMakesNoSession) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  high_->receive(*low_, ask);
  low_->receive(*high_, high_->one(HelloStep::answer));
  const Bytes confirm = low_->one(HelloStep::confirm);
  high_->receive(*low_, confirm);
  exchange();
  high_->receive(*low_, ask);
  high_->receive(*low_, confirm);  // a duplicate: answered by a keepalive, nothing else
  EXPECT_EQ(high_->events<LinkUp>().size(), 1u);

  // The session has ended; the same bytes do not bring it back.
  high_->tick(high_->now_ns + 6 * ns_per_s);
  EXPECT_EQ(high_->state(), LinkState::down);
  high_->receive(*low_, ask);
  high_->receive(*low_, confirm);
  EXPECT_EQ(high_->events<LinkUp>().size(), 1u);
  EXPECT_GT(high_->links->counters().unexpected, 0u);
}

TEST_F(LinksTest, ARestartedPeerReplacesTheSessionOnlyWithItsConfirm) {
  connect();
  low_->links.reset();
  low_->start(*high_);
  low_->tick(low_->now_ns + ns_per_s);
  high_->receive(*low_, low_->one(HelloStep::ask));
  EXPECT_EQ(high_->events<LinkUp>().size(), 1u);
  EXPECT_EQ(high_->state(), LinkState::up);
  low_->receive(*high_, high_->one(HelloStep::answer));
  high_->receive(*low_, low_->one(HelloStep::confirm));
  EXPECT_EQ(high_->events<LinkUp>().size(), 2u);
  EXPECT_TRUE(high_->events<LinkDown>().empty());
  EXPECT_EQ(high_->released, high_->events<LinkUp>()[0].rx.size());
}

TEST_F(LinksTest, TheLowerIdsAskWins) {
  start();
  low_->tick(low_->now_ns);
  high_->tick(high_->now_ns);
  const Bytes low_ask = low_->one(HelloStep::ask);
  low_->receive(*high_, high_->one(HelloStep::ask));
  EXPECT_TRUE(low_->take(HelloStep::answer).empty());
  high_->receive(*low_, low_ask);
  low_->receive(*high_, high_->one(HelloStep::answer));
  high_->receive(*low_, low_->one(HelloStep::confirm));
  exchange();
  EXPECT_EQ(low_->events<LinkUp>().size(), 1u);
  EXPECT_EQ(high_->events<LinkUp>().size(), 1u);
}

TEST_F(LinksTest, AnUnansweredConfirmIsSentAgainThenAskedAnew) {
  start();
  low_->tick(low_->now_ns);
  high_->receive(*low_, low_->one(HelloStep::ask));
  low_->receive(*high_, high_->one(HelloStep::answer));
  unsigned confirms = 0, asks = 0;
  for (TimeNs at = ns_per_s; at < ns_per_s * 11 / 2; at += 50 * ns_per_ms) {
    low_->tick(at);
    confirms += static_cast<unsigned>(low_->take(HelloStep::confirm).size());
    const bool asked = !low_->take(HelloStep::ask).empty();
    if (asked && asks++ == 0) {
      EXPECT_EQ(low_->state(), LinkState::up);
    }
  }
  EXPECT_EQ(confirms, 4u);
  EXPECT_GE(asks, 1u);
}

TEST_F(LinksTest, ProofEndsTheSecondAttempt) {
  start();
  low_->tick(low_->now_ns);
  high_->receive(*low_, low_->one(HelloStep::ask));
  low_->receive(*high_, high_->one(HelloStep::answer));
  high_->receive(*low_, low_->one(HelloStep::confirm));
  const auto proofs = high_->take(std::nullopt);
  TimeNs at = low_->now_ns;
  while (low_->take(HelloStep::ask).empty() && at < 6 * ns_per_s) low_->tick(at += 50 * ns_per_ms);
  ASSERT_LT(at, 6 * ns_per_s);
  low_->take(HelloStep::confirm);
  for (const LinkTransmit& t : proofs) low_->receive(*high_, t.bytes);
  for (int i = 0; i < 60; ++i) low_->tick(at += 50 * ns_per_ms);
  EXPECT_TRUE(low_->take(HelloStep::ask).empty());
  EXPECT_TRUE(low_->take(HelloStep::confirm).empty());
}

TEST_F(LinksTest, AnotherSecretIsWrongKeyAndNamed) {
  high_->peer.secret.fill(0x11);
  start();
  low_->tick(low_->now_ns);
  high_->receive(*low_, low_->one(HelloStep::ask));
  EXPECT_EQ(high_->state(), LinkState::wrong_key);
  EXPECT_TRUE(high_->out.transmits.empty());
  EXPECT_THAT(high_->detail(), HasSubstr("peer other"));
  EXPECT_THAT(high_->detail(), HasSubstr("192.0.2."));
  EXPECT_THAT(high_->detail(), HasSubstr("link secret"));
  EXPECT_EQ(high_->links->counters().bad_mac, 1u);
}

TEST_F(LinksTest, AnUnauthenticHelloDoesNotDisturbALinkThatIsUp) {
  connect();
  wire::Hello forged;
  forged.sender = low_->config.node;
  forged.sender_key = low_->config.key;
  Secret wrong;
  wrong.fill(9);
  high_->receive(*low_, resign(forged, wrong));
  EXPECT_EQ(high_->state(), LinkState::up);
  EXPECT_EQ(high_->detail(), "");
}

TEST_F(LinksTest, EveryByteOfAHelloIsCovered) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  for (size_t i = 0; i < ask.size(); ++i) {
    high_->now_ns += 20 * ns_per_ms;
    Bytes bad = ask;
    bad[i] ^= 0x40;
    if (i == 1) continue;  // unknown flags are ignored
    high_->receive(*low_, bad);
    ASSERT_TRUE(high_->take(HelloStep::answer).empty()) << i;
  }
  high_->receive(*low_, ask);
  EXPECT_EQ(high_->take(HelloStep::answer).size(), 1u);
}

TEST_F(LinksTest, AnotherVersionIsRefusedAndNamedOnBothSides) {
  start();
  low_->tick(low_->now_ns);
  wire::Hello ask = End::hello_of(low_->one(HelloStep::ask));
  ask.version_min = 2;
  ask.version_max = 3;
  high_->receive(*low_, resign(ask, low_->peer.secret));
  EXPECT_EQ(high_->state(), LinkState::wrong_version);
  EXPECT_THAT(high_->detail(), HasSubstr("version 2..3"));
  EXPECT_THAT(high_->detail(), HasSubstr("version 1"));
  const Bytes refusal = high_->one(HelloStep::refuse);
  EXPECT_EQ(End::hello_of(refusal).echo, ask.nonce);
  EXPECT_EQ(End::hello_of(refusal).refusal, wire::HelloRefusal::bad_version);

  wire::Hello refused = End::hello_of(refusal);
  refused.version_min = refused.version_max = 7;
  low_->receive(*high_, resign(refused, low_->peer.secret));
  EXPECT_EQ(low_->state(), LinkState::wrong_version);
  EXPECT_TRUE(low_->out.transmits.empty()) << "a refusal is not answered";
}

TEST_F(LinksTest, OurOwnIdIsADuplicateUnlessTheLinkIsUp) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  low_->receive(*high_, ask);  // reflected
  EXPECT_EQ(low_->state(), LinkState::duplicate_id);
  EXPECT_THAT(low_->detail(), HasSubstr(low_->config.node.hex()));
  EXPECT_TRUE(low_->out.transmits.empty());
  high_->receive(*low_, ask);
  low_->receive(*high_, high_->one(HelloStep::answer));
  EXPECT_EQ(low_->state(), LinkState::up);
  low_->receive(*high_, ask);
  EXPECT_EQ(low_->state(), LinkState::up);
}

TEST_F(LinksTest, AnotherNodeThanConfiguredIsNamed) {
  high_->peer.node = high_->config.node;
  start();
  low_->tick(low_->now_ns);
  high_->receive(*low_, low_->one(HelloStep::ask));
  EXPECT_EQ(high_->state(), LinkState::wrong_key);
  EXPECT_THAT(high_->detail(), HasSubstr(low_->config.node.hex()));
  EXPECT_TRUE(high_->out.transmits.empty());
}

TEST_F(LinksTest, AnIdThatIsNotTheKeysIsRefused) {
  start();
  low_->tick(low_->now_ns);
  wire::Hello ask = End::hello_of(low_->one(HelloStep::ask));
  ask.sender_key[0] ^= 1;
  high_->receive(*low_, resign(ask, low_->peer.secret));
  EXPECT_TRUE(high_->out.transmits.empty());
  EXPECT_EQ(high_->links->counters().malformed, 1u);
}

TEST_F(LinksTest, HellosAreBounded) {
  start();
  low_->tick(low_->now_ns);
  const Bytes ask = low_->one(HelloStep::ask);
  for (unsigned i = 0; i < 5 * hello_burst; ++i) high_->receive(*low_, ask);
  EXPECT_EQ(high_->take(HelloStep::answer).size(), hello_burst);
  EXPECT_EQ(high_->links->counters().over_budget, 4u * hello_burst);
  high_->now_ns += 10 * hello_interval_ns;
  for (unsigned i = 0; i < 50; ++i) high_->receive(*low_, ask);
  EXPECT_EQ(high_->take(HelloStep::answer).size(), 10u);
  Endpoint stranger = low_->address;
  ++stranger.port;
  high_->links->receive(stranger, ask, no_peer, high_->now_ns, high_->out);
  EXPECT_EQ(high_->links->counters().unknown_address, 1u);
}

TEST_F(LinksTest, SealedMessagesAreTakenOnceAndOnlyUnaltered) {
  connect();
  ASSERT_TRUE(low_->links->send(0, wire::TipRequest{StreamId{77}}, low_->out));
  const Bytes sealed = low_->one(std::nullopt);
  for (size_t i = 0; i < sealed.size(); ++i) {
    if (i >= 4 && i < 16) continue;  // link id, seq, check: the worker's
    Bytes bad = sealed;
    bad[i] ^= 1;
    high_->receive(*low_, bad);
    ASSERT_TRUE(high_->events<LinkMessage>().empty()) << i;
  }
  high_->receive(*low_, sealed);
  const uint64_t replayed = high_->links->counters().replayed;
  high_->receive(*low_, sealed);
  ASSERT_EQ(high_->events<LinkMessage>().size(), 1u);
  EXPECT_EQ(std::get<wire::TipRequest>(high_->events<LinkMessage>()[0].message).stream.value, 77u);
  EXPECT_EQ(high_->links->counters().replayed, replayed + 1);
  low_->receive(*high_, sealed);  // reflected: the other direction has another key
  EXPECT_TRUE(low_->events<LinkMessage>().empty());
}

TEST_F(LinksTest, SilenceTakesTheLinkDownAndDataKeepsItUp) {
  TimeNs data_ns = 0;
  high_->config.last_heard = [&data_ns](uint32_t) { return data_ns; };
  connect();
  const TimeNs start_ns = high_->now_ns;
  data_ns = start_ns + 4 * ns_per_s;
  high_->tick(start_ns + 8 * ns_per_s);
  EXPECT_EQ(high_->state(), LinkState::up);
  EXPECT_EQ(high_->links->status(0).last_heard_ns, data_ns);
  high_->tick(start_ns + 9 * ns_per_s);
  EXPECT_EQ(high_->state(), LinkState::down);
  ASSERT_EQ(high_->events<LinkDown>().size(), 1u);
  EXPECT_THAT(high_->events<LinkDown>()[0].why, HasSubstr("5 s"));
  EXPECT_FALSE(high_->links->send(0, wire::TipRequest{}, high_->out));
}

TEST_F(LinksTest, CloseTakesThePeerDownAtOnce) {
  connect();
  low_->links->shutdown(low_->now_ns, low_->out);
  high_->receive(*low_, low_->one(std::nullopt));
  EXPECT_EQ(high_->state(), LinkState::down);
  EXPECT_EQ(low_->links->next_timer_ns(), time_never);
  high_->tick(high_->now_ns + 3 * ns_per_s);
  EXPECT_TRUE(high_->take(HelloStep::ask).empty()) << "asks slowly";
  EXPECT_LT(high_->links->next_timer_ns(), high_->now_ns + 5 * ns_per_s);
}

TEST_F(LinksTest, RemoveForgetsEverything) {
  connect();
  const size_t lanes = high_->events<LinkUp>()[0].rx.size();
  ASSERT_TRUE(high_->links->remove(0, high_->now_ns, high_->out).ok());
  EXPECT_EQ(high_->take(std::nullopt).size(), 1u);  // Close
  EXPECT_EQ(high_->released, lanes);
  EXPECT_TRUE(high_->links->peers().empty());
  EXPECT_EQ(high_->links->next_timer_ns(), time_never);
  EXPECT_FALSE(high_->links->remove(0, high_->now_ns, high_->out).ok());
  EXPECT_TRUE(high_->links->add(high_->peer, high_->now_ns).ok());
}

TEST_F(LinksTest, AddRefusesDoublesByNameAndAddress) {
  start();
  LinkConfig again = high_->peer;
  again.name = "third";
  const auto same_address = high_->links->add(again, 0);
  ASSERT_FALSE(same_address.ok());
  EXPECT_EQ(same_address.error().code, ErrorCode::exists);
  again = high_->peer;
  ++again.remote.port;
  EXPECT_FALSE(high_->links->add(again, 0).ok());
}

TEST_F(LinksTest, ReportsBecomeLoss) {
  connect();
  high_->report = {900, 100, 0};
  high_->tick(high_->now_ns + ns_per_s);
  exchange();
  EXPECT_NEAR(low_->links->status(0).loss, 0.1, 1e-9);
  high_->report = {1900, 90, 0};  // ten were late
  high_->tick(high_->now_ns + ns_per_s);
  exchange();
  EXPECT_EQ(low_->links->status(0).loss, 0);
}

TEST_F(LinksTest, ProbesHaveExactlyTheSizeTheyName) {
  connect();
  EXPECT_EQ(low_->links->status(0).mtu_bytes, 0);
  low_->tick(low_->now_ns + ns_per_ms);
  const auto sealed = low_->take(std::nullopt);
  ASSERT_EQ(sealed.size(), 1u);
  EXPECT_EQ(sealed[0].bytes.size() + 28, 1280u);
  high_->receive(*low_, sealed[0].bytes);
  low_->receive(*high_, high_->one(std::nullopt));
  EXPECT_EQ(low_->links->status(0).mtu_bytes, 1280);
}

// A faulty or hostile peer: its message is authentic, and still taken for what it is worth.
TEST_F(LinksTest, AuthenticNonsenseIsCountedOnly) {
  connect();
  const auto answers_to = [&](uint64_t counter, const Bytes& plaintext) {
    high_->receive(*low_, seal_as_low(counter, plaintext));
    return high_->take(std::nullopt).size();
  };
  EXPECT_EQ(answers_to(1000, wire::encode(wire::Keepalive{1})), 1u);
  Bytes probe = wire::encode(wire::MtuProbe{1, 1400});
  EXPECT_EQ(answers_to(1001, probe), 0u) << "not the size it names";
  probe.resize(1400 - 28 - wire::control_overhead_bytes);
  EXPECT_EQ(answers_to(1002, probe), 1u);
  EXPECT_EQ(answers_to(1003, {0xee, 1, 2}), 0u);
  EXPECT_EQ(high_->links->counters().unsupported, 1u);
  EXPECT_EQ(answers_to(1004, {1, 2}), 0u);
  EXPECT_EQ(high_->links->counters().malformed, 1u);
  const TimeNs rtt_ns = high_->links->status(0).rtt_ns;
  EXPECT_EQ(answers_to(1005, wire::encode(wire::KeepaliveReply{12345})), 0u);
  EXPECT_EQ(high_->links->status(0).rtt_ns, rtt_ns) << "answers no keepalive of ours";
  EXPECT_EQ(high_->state(), LinkState::up);
}

TEST_F(LinksTest, NoFreeLinkIdIsCountedAndSaid) {
  high_->config.allocate_link_id = [](uint32_t) { return 0u; };
  start();
  low_->tick(low_->now_ns);
  high_->receive(*low_, low_->one(HelloStep::ask));
  EXPECT_TRUE(high_->out.transmits.empty());
  EXPECT_EQ(high_->links->counters().no_link_id, 1u);
  EXPECT_THAT(high_->detail(), HasSubstr("no free link id"));
}

}  // namespace
}  // namespace chaincast::hop
