// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "crypto/openssl/toolbox.hpp"
#include "hop/lane.hpp"
#include "hop/links.hpp"
#include "wire/datagram.hpp"

// Links of which no address is certain: what is asked, what is believed, and when a link moves.
namespace chaincast::hop {
namespace {

using wire::HelloStep;

Endpoint at(uint8_t host, uint16_t port) {
  Endpoint out;
  out.address = {203, 0, 113, host};
  out.port = port;
  return out;
}

HelloStep step_of(const LinkTransmit& transmit) {
  return wire::parse_hello(wire::read_hello(transmit.bytes).encoded)->step;
}

struct End {
  End(const crypto::Toolbox& tools, uint8_t number) : toolbox(tools) {
    config.key.fill(number);
    const Digest digest = toolbox.sha256(config.key);
    std::copy_n(digest.begin(), 16, config.node.bytes.begin());
    config.suites = 0x1f;
    config.receive_ports = 3;
    config.timers.upgrade_ns = 2 * ns_per_s;  // before silence takes a link down
    config.allocate_link_id = [this](uint32_t r) { return table->allocate(r); };
    config.release_link_id = [this](uint32_t id) { table->remove(id); };
  }
  void start(const End& other, const Paths& paths) {
    LinkConfig peer;
    peer.name = "other";
    peer.secret.fill(0x5e);
    peer.node = other.config.node;
    peer.remote = paths.own.empty() ? paths.seen.front() : paths.own.front();
    peer.paths = paths;
    links = std::make_unique<Links>(config, toolbox, 1);
    ASSERT_TRUE(links->add(peer, now_ns).ok());
  }
  std::vector<LinkTransmit> take() { return std::exchange(out.transmits, {}); }
  std::vector<LinkTransmit> hellos(HelloStep step) {
    std::vector<LinkTransmit> found;
    for (LinkTransmit& one : take()) {
      if (one.is_hello && step_of(one) == step) found.push_back(std::move(one));
    }
    return found;
  }
  std::vector<LinkTransmit> tick(TimeNs at_ns) {
    now_ns = at_ns;
    links->tick(now_ns, out);
    return hellos(HelloStep::ask);
  }
  void receive(const Endpoint& from, const Bytes& bytes) {
    links->receive(from, bytes, 0, now_ns, out);
  }
  const Endpoint& remote() const { return links->config(0).remote; }
  LinkState state() const { return links->status(0).state; }

  const crypto::Toolbox& toolbox;
  LinksConfig config;
  std::unique_ptr<LaneTable> table = std::make_unique<LaneTable>();
  std::unique_ptr<Links> links;
  LinkOutput out;
  TimeNs now_ns = ns_per_s;
};

class PathsTest : public testing::Test {
 protected:
  PathsTest() {
    if (high_->config.node < low_->config.node) std::swap(low_, high_);
    low_->start(*high_, {{home_}, {high_seen_}, std::nullopt, false});
    high_->start(*low_, {{home_}, {low_seen_}, std::nullopt, false});
  }
  // `low_` asks from there; the answer.
  LinkTransmit answer_to(const Endpoint& from) {
    low_->links->set_paths(0, {{}, {high_seen_}, relay_, false}, low_->now_ns);
    const auto asks = low_->tick(low_->now_ns + 60 * ns_per_s);
    EXPECT_FALSE(asks.empty());
    high_->take();
    high_->receive(from, asks.front().bytes);
    auto answers = high_->hellos(HelloStep::answer);
    EXPECT_EQ(answers.size(), 1u);
    return answers.front();
  }
  Bytes confirm_of(const LinkTransmit& answer, const Endpoint& from) {
    low_->receive(from, answer.bytes);
    auto confirms = low_->hellos(HelloStep::confirm);
    EXPECT_EQ(confirms.size(), 1u);
    EXPECT_EQ(confirms.front().to, from);
    return confirms.front().bytes;
  }
  void connect(const Endpoint& from) {
    high_->receive(from, confirm_of(answer_to(from), high_seen_));
  }

  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<End> low_ = std::make_unique<End>(*toolbox_, uint8_t{1});
  std::unique_ptr<End> high_ = std::make_unique<End>(*toolbox_, uint8_t{2});
  const Endpoint home_ = at(9, 7000), low_seen_ = at(11, 7000), high_seen_ = at(12, 7000);
  std::optional<Endpoint> relay_;
};

TEST_F(PathsTest, AllPlacesAreAskedAtOnce) {
  std::set<Endpoint> asked;
  for (const LinkTransmit& one : low_->tick(low_->now_ns)) asked.insert(one.to);
  EXPECT_EQ(asked, (std::set<Endpoint>{home_, high_seen_}));
}

TEST_F(PathsTest, TheLinkIsWithTheAddressThatTheChallengeCameBackFrom) {
  const Endpoint mapped = at(11, 40'000);  // that nobody has told
  const LinkTransmit answer = answer_to(mapped);
  EXPECT_EQ(answer.to, mapped);
  EXPECT_NE(high_->state(), LinkState::up) << "an ask proves nothing";
  high_->receive(mapped, confirm_of(answer, high_seen_));
  ASSERT_EQ(high_->state(), LinkState::up);
  EXPECT_EQ(high_->remote(), mapped);
  EXPECT_EQ(high_->links->status(0).path, Path::punched);
  EXPECT_EQ(low_->remote(), high_seen_);
  for (const LinkEvent& event : high_->out.events) {
    const auto* up = std::get_if<LinkUp>(&event);
    if (up == nullptr) continue;
    EXPECT_EQ(up->remote, mapped);
    EXPECT_EQ(up->remote_ports, 1) << "a NAT has a mapping for each port";
  }
}

TEST_F(PathsTest, AConfirmFromElsewhereThanTheAnswerWentToMakesNoLink) {
  const LinkTransmit answer = answer_to(at(11, 40'000));
  const Bytes confirm = confirm_of(answer, high_seen_);
  high_->receive(at(66, 666), confirm);
  EXPECT_NE(high_->state(), LinkState::up);
  EXPECT_EQ(high_->links->counters().unexpected, 1u);
  high_->receive(at(11, 40'000), confirm);
  EXPECT_EQ(high_->state(), LinkState::up);
}

TEST_F(PathsTest, ALinkMovesOnceTheChallengeCameBackFromTheNewAddressAndNotBefore) {
  connect(low_seen_);
  ASSERT_EQ(high_->remote(), low_seen_);
  low_->links->lose(0, "its NAT has another mapping", low_->now_ns, low_->out);
  const Endpoint mapped = at(11, 50'000);
  const LinkTransmit answer = answer_to(mapped);
  EXPECT_EQ(answer.to, mapped);
  EXPECT_EQ(high_->state(), LinkState::up);
  EXPECT_EQ(high_->remote(), low_seen_) << "moved by an ask";
  high_->receive(mapped, confirm_of(answer, high_seen_));
  EXPECT_EQ(high_->remote(), mapped);
  EXPECT_EQ(high_->links->status(0).sessions, 2u);
}

TEST_F(PathsTest, AHelloOfAnotherNodeIsOfAnUnknownAddress) {
  End stranger(*toolbox_, uint8_t{3});
  stranger.start(*high_, {{}, {high_seen_}, std::nullopt, false});
  const auto asks = stranger.tick(stranger.now_ns);
  high_->receive(low_seen_, asks.front().bytes);
  EXPECT_EQ(high_->links->counters().unknown_address, 1u);
  EXPECT_TRUE(high_->hellos(HelloStep::answer).empty());
}

TEST_F(PathsTest, AForgedHelloFromAnywhereChangesNothing) {
  auto asks = low_->tick(low_->now_ns);
  asks.front().bytes.back() ^= 1;
  high_->receive(at(66, 666), asks.front().bytes);
  EXPECT_EQ(high_->links->counters().bad_mac, 1u);
  EXPECT_EQ(high_->state(), LinkState::never_heard);
}

TEST_F(PathsTest, EveryPortIsSearchedOnceAndOnlyWhereItHelps) {
  EXPECT_EQ(low_->links->next_timer_ns(), low_->now_ns);
  low_->links->set_paths(0, {{}, {high_seen_}, std::nullopt, true}, low_->now_ns);
  const TimeNs begin_ns = low_->now_ns;
  std::multiset<uint16_t> ports;
  for (TimeNs now = begin_ns; now < begin_ns + 60 * ns_per_s; now += 10 * ns_per_ms) {
    for (const LinkTransmit& one : low_->tick(now)) {
      EXPECT_EQ(one.to.address, high_seen_.address);
      if (one.to.port != high_seen_.port) ports.insert(one.to.port);
      EXPECT_TRUE(ports.empty() || now >= begin_ns + LinkTimers().search_wait_ns);
    }
  }
  EXPECT_EQ(ports.size(), 65'536u - search_port_min - 1u);
  EXPECT_EQ(std::set<uint16_t>(ports.begin(), ports.end()).size(), ports.size());
  EXPECT_EQ(*ports.begin(), search_port_min);
}

TEST_F(PathsTest, OverARelayBetterPathsAreAskedAgainAndTaken) {
  relay_ = at(1, 7102);
  high_->links->set_paths(0, {{}, {low_seen_}, relay_, false}, high_->now_ns);
  const LinkTransmit answer = answer_to(*relay_);
  high_->receive(*relay_, confirm_of(answer, *relay_));
  ASSERT_EQ(high_->links->status(0).path, Path::relayed);
  ASSERT_EQ(low_->links->status(0).path, Path::relayed);
  low_->take();
  const auto asks = low_->tick(low_->now_ns + low_->config.timers.upgrade_ns);
  ASSERT_FALSE(asks.empty());
  for (const LinkTransmit& one : asks) EXPECT_NE(one.to, *relay_);
  high_->take();
  high_->receive(low_seen_, asks.front().bytes);
  const auto answers = high_->hellos(HelloStep::answer);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(high_->links->status(0).path, Path::relayed);
  high_->receive(low_seen_, confirm_of(answers.front(), high_seen_));
  EXPECT_EQ(high_->links->status(0).path, Path::punched);
  EXPECT_EQ(low_->links->status(0).path, Path::punched);
}

}  // namespace
}  // namespace chaincast::hop
