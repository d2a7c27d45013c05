// SPDX-License-Identifier: BSD-3-Clause
// Votes of one stream between its receiver, the marks of workers and the neighbours.
#include "node/ballots.hpp"

#include "stream/published.hpp"

namespace chaincast::node {
namespace {

using test::Published;

NodeId node_of(uint8_t number) {
  NodeId id;
  id.bytes[0] = number;
  return id;
}

struct FakeKinship final : Kinship {
  Digest graph_digest() const override { return digest; }
  bool is_live(const NodeId&) const override { return true; }
  std::optional<Kin> kin(const NodeId&, const std::string&) const override {
    ++looks;
    return known;
  }
  Digest digest{1};
  std::optional<Kin> known;
  mutable unsigned looks = 0;
};

constexpr uint32_t origin_peer = 90;

// Peers 1..3 are parents, 4 and 5 children; the origin is node 9.
class BallotsTest : public test::PublishedTest {
 protected:
  BallotsTest() {
    wire::Descriptor d = test::small_descriptor();
    d.delivery = wire::Delivery::accepted;
    d.statement_frames_max = 65'535;
    d.statement_interval_ms = 10'000;
    p_.origin = crypto_.origin(d);
    for (unsigned i = 0; i < 60; ++i) {
      p_.objects.push_back(Bytes(400, static_cast<uint8_t>(i)));
      EXPECT_TRUE(p_.origin->publish(p_.objects.back()).value());
    }
    for (auto& f : test::poll_all(*p_.origin, 0)) p_.frames.push_back(std::move(f));
    stream_.id = p_.origin->id();
    stream_.descriptor = p_.origin->descriptor();
    stream_.window = std::move(dedup::Window::create({.size_log2 = 10})).value();
    stream_.origin_marks = std::make_unique<stream::OriginMarks>(1024);
    kinship_.known = Kin{{node_of(1), node_of(2), node_of(3)}, {node_of(4), node_of(5)}};
  }
  void make(unsigned percent, unsigned tolerated) {
    ballots_ = std::make_unique<Ballots>(vote::Rule{percent, tolerated, 0}, stream_, node_of(9));
    test::NodeConfig config{.window_log2 = 10};
    config.receiver.judge = ballots_.get();
    node_ = std::make_unique<test::TestNode>(crypto_, *p_.origin, config);
    ballots_->attach(*node_->receiver);
    node_->receiver->start_at_descriptor(0);
    ballots_->follow(&kinship_, "test", 0);
    set_peers({1, 2, 3, 4, 5});
  }
  void set_peers(const std::vector<uint32_t>& peers, bool is_checked = true) {
    std::vector<Ballots::Neighbour> out;
    for (const uint32_t peer : peers) {
      const uint8_t number = peer == origin_peer ? 9 : static_cast<uint8_t>(peer);
      out.push_back({peer, node_of(number), is_checked});
    }
    ballots_->set_neighbours(std::move(out));
  }
  void turn() {
    ballots_->look_at_marks();
    node_->poll(ns_per_ms);
    ballots_->cast([this](uint32_t peer, const wire::Votes& votes) {
      sent_.emplace_back(peer, votes);
      return takes_votes_;
    });
  }
  wire::Votes votes(Seq first, size_t count) {
    wire::Votes out{stream_.id, first, {}};
    for (size_t i = 0; i < count; ++i) out.digests.push_back(p_.frames[first + i].digest);
    return out;
  }
  // The origin's statement of the sixty.
  void sign() {
    ASSERT_EQ(p_.frames.at(60).kind(), wire::Kind::statement);
    node_->offer(p_.frames[60].frame);
  }
  uint64_t tag_of(Seq seq) { return wire::tag48(p_.frames[seq].header().tag.data()); }
  void offer(Seq first, size_t count) {
    for (size_t i = 0; i < count; ++i) node_->offer(p_.frames[first + i].frame);
  }

  Published p_;
  stream::Stream stream_;
  FakeKinship kinship_;
  std::unique_ptr<Ballots> ballots_;
  std::unique_ptr<test::TestNode> node_;
  std::vector<std::pair<uint32_t, wire::Votes>> sent_;
  bool takes_votes_ = true;
};

TEST_F(BallotsTest, AShareOfTheParentsAcceptsAndEachChildIsToldOnceInRuns) {
  make(50, 0);
  offer(0, 50);
  turn();
  EXPECT_TRUE(node_->sink.objects.empty());
  ballots_->on_votes(1, votes(0, 36));
  ballots_->on_votes(1, votes(36, 14));
  turn();
  EXPECT_TRUE(node_->sink.objects.empty()) << "one of two that are needed";
  ballots_->on_votes(4, votes(0, 36));
  turn();
  EXPECT_TRUE(node_->sink.objects.empty()) << "a child has no vote";
  ballots_->on_votes(2, votes(0, 36));
  ballots_->on_votes(2, votes(36, 14));
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 50u);
  ASSERT_EQ(sent_.size(), 4u);
  for (const uint32_t child : {4u, 5u}) {
    std::vector<Seq> told;
    for (const auto& [peer, message] : sent_) {
      if (peer != child) continue;
      EXPECT_LE(message.digests.size(), wire::votes_max);
      for (size_t i = 0; i < message.digests.size(); ++i) {
        EXPECT_EQ(message.digests[i], p_.frames[message.first_seq + i].digest);
        told.push_back(message.first_seq + i);
      }
    }
    ASSERT_EQ(told.size(), 50u);
    for (Seq seq = 0; seq < 50; ++seq) EXPECT_EQ(told[seq], seq);
  }
  ballots_->on_votes(3, votes(0, 36));
  turn();
  EXPECT_EQ(sent_.size(), 4u) << "the third one's word changes nothing";
  EXPECT_EQ(ballots_->counters().votes_sent, 100u);
}

// A link that was not there when the others were told, or a graph that knew the peer as no child.
TEST_F(BallotsTest, AChildThatComesLateIsToldWhatIsNotFinal) {
  make(50, 0);
  set_peers({1, 2, 3, 4});
  offer(0, 50);
  for (const uint32_t parent : {1u, 2u}) {
    ballots_->on_votes(parent, votes(0, 36));
    ballots_->on_votes(parent, votes(36, 4));
  }
  turn();
  sent_.clear();
  set_peers({1, 2, 3, 4, 5});
  turn();
  Seq told = 0;
  for (const auto& [peer, message] : sent_) {
    EXPECT_EQ(peer, 5u);
    EXPECT_EQ(message.first_seq, told);
    for (const Digest& digest : message.digests) EXPECT_EQ(digest, p_.frames[told++].digest);
  }
  EXPECT_EQ(told, 40u) << "what was accepted, and no more";
  sent_.clear();
  turn();
  EXPECT_TRUE(sent_.empty()) << "once";
  offer(50, 10);
  sign();
  turn();
  sent_.clear();
  set_peers({1, 2, 3, 4});
  set_peers({1, 2, 3, 4, 5});
  turn();
  EXPECT_TRUE(sent_.empty()) << "the signature has said all of it";
}

TEST_F(BallotsTest, VotesThatCameBeforeTheFrameCountAndAreCastWithIt) {
  make(50, 0);
  ballots_->on_votes(1, votes(0, 3));
  ballots_->on_votes(2, votes(0, 3));
  turn();
  EXPECT_TRUE(sent_.empty()) << "it vouches for nothing that it has not";
  offer(0, 3);
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 3u);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(BallotsTest, WhatComesOverTheOriginsLinkIsAcceptedAtOnceHoweverItCameFirst) {
  make(100, 1);
  set_peers({1, 2, 3, 4, 5, origin_peer});
  EXPECT_TRUE(ballots_->has_origin_link());
  EXPECT_TRUE(stream_.origin_marks->is_of(origin_peer));
  stream_.origin_marks->mark(0, tag_of(0));
  offer(0, 3);
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 1u);
  // Then the origin's copies of the other two, which are duplicates.
  stream_.origin_marks->mark(2, tag_of(2));
  stream_.origin_marks->mark(1, tag_of(1));
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 3u);
  EXPECT_EQ(ballots_->votes().counters().accepted_by_origin, 3u);
}

TEST_F(BallotsTest, ALinkWithoutChecksIsNobodysWord) {
  make(50, 0);
  set_peers({1, origin_peer}, false);
  EXPECT_FALSE(ballots_->has_origin_link());
  set_peers({1, origin_peer});
  EXPECT_TRUE(ballots_->has_origin_link());
  set_peers({1});
  EXPECT_FALSE(ballots_->has_origin_link()) << "it is down";
}

TEST_F(BallotsTest, WithTooFewParentsVotesAcceptNothingAndItSaysWhy) {
  make(0, 2);
  EXPECT_EQ(ballots_->shortcoming(), "3 parents besides the origin; 5 wanted so that 2 may lie");
  offer(0, 3);
  for (const uint32_t parent : {1u, 2u, 3u}) ballots_->on_votes(parent, votes(0, 3));
  turn();
  EXPECT_TRUE(node_->sink.objects.empty());
  ballots_->set_rule({0, 1, 30});
  EXPECT_EQ(ballots_->shortcoming(),
            "3 parents besides the origin; 12 wanted so that 30 % of the members may lie");
  turn();
  EXPECT_TRUE(node_->sink.objects.empty());
  ballots_->set_rule({0, 1, 0});
  EXPECT_EQ(ballots_->shortcoming(), "");
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 3u) << "what they said before counts now";
}

TEST_F(BallotsTest, WithoutAGraphThereAreNoParents) {
  ballots_ = std::make_unique<Ballots>(vote::Rule{50, 0, 0}, stream_, node_of(9));
  ballots_->follow(nullptr, "test", 0);
  set_peers({1, 2, 3});
  EXPECT_EQ(ballots_->votes().parents(), 0u);
  EXPECT_EQ(ballots_->shortcoming(), "no network whose graph names parents");
  kinship_.known.reset();
  ballots_->follow(&kinship_, "test", 0);
  EXPECT_EQ(ballots_->shortcoming(), "the graph has no path from the origin");
}

TEST_F(BallotsTest, TheGraphIsLookedAtWhenItHasChangedAndNotTooOften) {
  make(50, 0);
  EXPECT_EQ(kinship_.looks, 1u);
  ballots_->follow(&kinship_, "test", ns_per_s);
  EXPECT_EQ(kinship_.looks, 1u) << "the same graph";
  kinship_.digest = Digest{2};
  kinship_.known = Kin{{node_of(1)}, {}};
  ballots_->follow(&kinship_, "test", ns_per_s + ns_per_ms);
  EXPECT_EQ(ballots_->votes().parents(), 3u);
  ballots_->follow(&kinship_, "test", 2 * ns_per_s);
  EXPECT_EQ(kinship_.looks, 2u);
  EXPECT_EQ(ballots_->votes().parents(), 1u);
}

TEST_F(BallotsTest, WhoVouchesForWhatTheOriginDidNotSignIsNamedAndNobodyElse) {
  make(50, 0);
  offer(0, 60);
  wire::Votes lie = votes(0, 3);
  lie.digests[1][0] ^= 1;
  ballots_->on_votes(3, lie);
  ballots_->on_votes(1, votes(0, 3));
  sign();
  turn();
  EXPECT_EQ(node_->sink.objects.size(), 60u) << "the signature is there";
  const auto liars = ballots_->take_liars();
  ASSERT_EQ(liars.size(), 1u);
  EXPECT_EQ(liars[0].voter, node_of(3));
  EXPECT_EQ(liars[0].seq, 1u);
  // One who is late is named as well.
  wire::Votes late = votes(5, 1);
  late.digests[0][0] ^= 1;
  ballots_->on_votes(2, late);
  EXPECT_EQ(ballots_->take_liars().size(), 1u);
}

TEST_F(BallotsTest, AVoteThatErredIsNotFollowedByAnother) {
  make(0, 0);
  wire::Votes lie = votes(0, 1);
  const auto key = crypto_.key(*p_.origin);
  const test::Emitted forged = test::forge(crypto_, *key, p_.frames[0]);
  lie.digests[0] = forged.digest;
  node_->offer(forged.frame);
  ballots_->on_votes(1, lie);
  turn();
  ASSERT_EQ(sent_.size(), 2u) << "more lied than t";
  offer(0, 60);
  sign();
  turn();
  for (const auto& [peer, message] : sent_) {
    for (size_t i = 0; i < message.digests.size(); ++i) {
      EXPECT_TRUE(message.first_seq + i != 0 || message.digests[i] == forged.digest);
    }
  }
  EXPECT_EQ(ballots_->votes().counters().overruled, 1u);
}

TEST_F(BallotsTest, WhatALinkDoesNotTakeIsCounted) {
  make(50, 0);
  takes_votes_ = false;
  offer(0, 3);
  ballots_->on_votes(1, votes(0, 3));
  ballots_->on_votes(2, votes(0, 3));
  turn();
  EXPECT_EQ(ballots_->counters().votes_sent, 0u);
  EXPECT_EQ(ballots_->counters().votes_not_sent, 6u);
}

TEST(FalseVoters, AreKeptOnceForEachStreamAndBounded) {
  FalseVoters voters;
  EXPECT_TRUE(voters.add("a", {node_of(1), 7}));
  EXPECT_FALSE(voters.add("a", {node_of(1), 8}));
  EXPECT_TRUE(voters.add("b", {node_of(1), 9}));
  ASSERT_EQ(voters.all().size(), 2u);
  EXPECT_EQ(voters.all()[0].votes, 2u);
  EXPECT_EQ(voters.all()[0].seq, 7u);
  NodeId id;
  for (unsigned i = 0; i < 2 * false_voters_max; ++i) {
    store_be32(id.bytes.data() + 4, i + 1);
    voters.add("a", {id, 1});
  }
  EXPECT_EQ(voters.all().size(), false_voters_max);
}

}  // namespace
}  // namespace chaincast::node
