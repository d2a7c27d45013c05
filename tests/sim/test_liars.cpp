// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <set>

#include "sim/membership_net.hpp"
#include "sim/votes.hpp"

// Networks of which three nodes in ten are malicious. docs/membership.md has the large run.
namespace chaincast::sim {
namespace {

// 63 honest nodes and 27 liars of one kind, among them two subnetworks.
struct Nest : Net {
  Nest(uint64_t seed, Malice malice) : Net(seed, 87, 2) {
    EXPECT_TRUE(heals(120 * ns_per_s));
    for (Index i = 3; i < world.size(); ++i) {
      if (i % 10 < 3) world.set_malice(i, malice);
    }
    world.run_for(20 * ns_per_s);
  }
  // What happens to its members makes records that are to be passed on.
  void stir() {
    for (unsigned i = 0; i < 15; ++i) {
      start(add(resource(1)));
      world.run_for(8 * ns_per_s);
    }
  }
  // Whether the honest are one network with one true graph, and keep at it for a while.
  ::testing::AssertionResult is_sound() {
    if (!heals(180 * ns_per_s)) {
      const Health h = health_of(world);
      return ::testing::AssertionFailure()
             << "joined " << h.joined << " of " << h.running << ", stray " << h.stray << ", split "
             << h.split << ", views " << h.views << ", untrue " << h.untrue << ", articulations "
             << h.articulations;
    }
    const Health h = health_of(world);
    if (h.honest_named == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << h.honest_named << " honest nodes were named";
  }
};

TEST(Liars, WhoForgesIsNamedByAllThatItLiesTo) {
  Nest nest(1, Malice::forge);
  EXPECT_TRUE(nest.is_sound());
  const Health h = health_of(nest.world);
  EXPECT_GT(h.refused_messages, 0u);
  EXPECT_EQ(h.liars_named, h.liars) << "each has link partners";
  std::set<NodeId> forgers;
  for (const Index i : honest_nodes(nest.world)) {
    for (const graph::Liar& liar : nest.world.member(i).liars()) {
      if (liar.lie == graph::Lie::bad_message) forgers.insert(liar.node);
    }
  }
  EXPECT_EQ(forgers.size(), h.liars) << "for what they sent, and not for what they did not";
  for (const Index i : honest_nodes(nest.world)) {
    nest.world.member(i).view().for_each([&](const graph::EntryRef& entry) {
      const Index subject = nest.world.index(entry->id());
      ASSERT_LT(subject, nest.world.size());
      EXPECT_LT(entry->record->said.counter, 1'000'000u) << "a forged record was believed";
    });
  }
}

TEST(Liars, TwoRecordsUnderOneCounterAreAProofThatEveryoneGets) {
  Nest nest(2, Malice::twice);
  nest.world.run_for(60 * ns_per_s);
  EXPECT_TRUE(nest.is_sound());
  size_t proofs = 0;
  for (const Index i : honest_nodes(nest.world)) {
    for (const graph::Liar& liar : nest.world.member(i).liars()) {
      if (liar.lie != graph::Lie::two_records) continue;
      ++proofs;
      // Anyone can check it, without knowing more.
      for (const graph::RecordRef& record : {liar.one, liar.other}) {
        const auto checked =
            graph::check_record(wire::encode(record->said), nest.world.authority());
        ASSERT_TRUE(checked.ok());
        EXPECT_EQ((*checked)->id, liar.node);
      }
      EXPECT_EQ(liar.one->said.counter, liar.other->said.counter);
      EXPECT_NE(liar.one->digest, liar.other->digest);
    }
  }
  const Health h = health_of(nest.world);
  EXPECT_GT(h.liars_named, 0u);
  EXPECT_EQ(proofs, h.liars_named * h.running) << "one that knows, and all know";
}

TEST(Liars, WhoAccusesFalselyLosesItsLinksAndKillsNobody) {
  Nest nest(3, Malice::accuse);
  EXPECT_TRUE(nest.is_sound());
  EXPECT_GT(health_of(nest.world).liars_named, 0u);
}

TEST(Liars, WhoNamesOnlyAccomplicesAndRefusesEveryoneKeepsNobodyOut) {
  Nest nest(4, Malice::redirect);
  nest.world.set_malice(2, Malice::redirect);  // a tracker as well
  nest.stir();
  EXPECT_TRUE(nest.is_sound());
}

TEST(Liars, WhoPassesNothingOnIsGoneRoundAndNamed) {
  Nest nest(5, Malice::silence);
  nest.world.crash(10);
  nest.world.crash(14);
  for (unsigned i = 0; i < 5; ++i) nest.start(nest.add(resource(2)));
  EXPECT_TRUE(nest.is_sound());
  nest.stir();
  const Health h = health_of(nest.world);
  EXPECT_EQ(h.liars_named, h.liars);
  EXPECT_EQ(h.honest_named, 0u);
}

// One that is believed to have brought a little is not named: it might be honest among liars.
TEST(Liars, OfThoseWhoLeaveOthersOutSomeAreNamed) {
  Nest nest(8, Malice::omit);
  nest.stir();
  EXPECT_TRUE(nest.is_sound());
  const Health h = health_of(nest.world);
  EXPECT_GT(h.liars_named, 0u);
  EXPECT_EQ(h.honest_named, 0u);
}

// A session to one partner that works is no reason to believe that all do.
TEST(Liars, NobodyIsNamedWhereNobodyLies) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Net net(seed, 60, 2);
    ASSERT_TRUE(net.heals(120 * ns_per_s));
    for (Index i = 5; i < 60; i += 2) net.world.set_side(i, 1);
    net.world.run_for(60 * ns_per_s);
    for (Index i = 0; i < net.world.size(); ++i) net.world.set_side(i, 0);
    net.world.run_for(10 * ns_per_s);
    for (Index i = 3; i < 60; i += 9) net.world.crash(i);
    net.world.run_for(30 * ns_per_s);
    for (Index i = 3; i < 60; i += 9) net.start(i);
    ASSERT_TRUE(net.heals(120 * ns_per_s));
    EXPECT_EQ(health_of(net.world).honest_named, 0u) << "seed " << seed;
  }
}

// What a node passes on of one subject is bounded by time, not by what the subject says.
TEST(Liars, EndlessNewsIsPassedOnOnceAnInterval) {
  Nest nest(6, Malice::news);
  nest.world.clear_traffic();
  nest.world.run_for(10 * ns_per_s);
  const Health h = health_of(nest.world);
  // Each of the liars' records, about 450 bytes, over each of a node's links at most five times a
  // second; with as much again for all else.
  const double most = 10 * 5 * static_cast<double>(h.liars) * 450 * 12;
  EXPECT_LT(h.bytes_mean, 2 * most);
  EXPECT_GT(h.bytes_mean, most / 20) << "they do talk";
  EXPECT_EQ(h.stray, 0u);
  EXPECT_EQ(h.untrue, 0u);
  for (const Index i : honest_nodes(nest.world)) {
    EXPECT_LT(nest.world.member(i).private_bytes(), 200u * 1024) << "node " << i;
  }
}

// Facts are signed by their subjects, so a liar among the outside peers can only leave some out;
// one that forges is not listened to at all.
TEST(Liars, ANewcomerAdoptsATrueGraphWhileItsOutsidePeersAreHonestByMajority) {
  unsigned lied_to = 0;
  for (const Malice malice : {Malice::omit, Malice::forge, Malice::twice}) {
    Nest nest(7, malice);
    const std::vector<Index> before = honest_nodes(nest.world);
    for (unsigned k = 0; k < 15; ++k) {
      const Index newcomer = nest.add(resource(1));
      nest.world.start(newcomer, {0, 1, 2});
      const join::Join& join = nest.world.join(newcomer);
      ASSERT_TRUE(nest.world.run_until_true([&] { return join.has_graph(); }, 20 * ns_per_s,
                                            10 * ns_per_ms));
      size_t liars = 0;
      for (const NodeId& id : join.outside()) {
        liars += nest.world.is_honest(nest.world.index(id)) ? 0u : 1u;
      }
      if (2 * liars >= join.outside().size()) continue;
      lied_to += liars > 0 ? 1u : 0u;
      for (const Index i : before) {
        const graph::Entry* entry = nest.world.member(newcomer).view().find(nest.world.id(i));
        ASSERT_NE(entry, nullptr) << name_of(malice) << ": node " << i << " was left out";
        EXPECT_EQ(entry->standing, graph::Standing::alive);
        const graph::Entry* own = nest.world.member(i).view().find(nest.world.id(i));
        EXPECT_LE(entry->record->said.counter, own->record->said.counter);
      }
    }
    EXPECT_TRUE(nest.is_sound()) << name_of(malice);
  }
  EXPECT_GE(lied_to, 5u);
}

// An origin (node 0) with 60 link partners, and 139 nodes with 9 of these each, at 24 places.
struct Mesh {
  explicit Mesh(uint64_t seed) : random(seed), latencies(Latencies::generate(24, seed)) {
    std::vector<std::set<uint32_t>> peers(200);
    const auto link = [&](uint32_t a, uint32_t b) {
      peers[a].insert(b);
      peers[b].insert(a);
    };
    for (uint32_t node = 1; node <= 60; ++node) link(0, node);
    for (uint32_t node = 61; node < 200; ++node) {
      while (peers[node].size() < 9) link(node, static_cast<uint32_t>(1 + random.below(60)));
    }
    topology.nodes.resize(200);
    topology.first.push_back(0);
    for (const auto& list : peers) {
      topology.links.insert(topology.links.end(), list.begin(), list.end());
      topology.first.push_back(static_cast<uint32_t>(topology.links.size()));
      places.push_back(static_cast<uint32_t>(random.below(24)));
    }
  }
  Random random;
  Latencies latencies;
  std::vector<uint32_t> places;
  graph::Topology topology;
};

// Liars with an honest node to lie to.
size_t speaking(const Mesh& mesh, uint32_t origin, const std::vector<bool>& is_liar) {
  const std::vector<uint32_t> hops = graph::distances(mesh.topology, origin);
  size_t count = 0;
  for (uint32_t liar = 0; liar < is_liar.size(); ++liar) {
    bool has_child = false;
    for (uint32_t i = mesh.topology.first[liar]; i < mesh.topology.first[liar + 1]; ++i) {
      const uint32_t other = mesh.topology.links[i];
      const bool is_child = hops[liar] < hops[other] || (hops[liar] == hops[other] && liar < other);
      has_child = has_child || (is_child && !is_liar[other]);
    }
    count += is_liar[liar] && has_child ? 1u : 0u;
  }
  return count;
}

TEST(Liars, NoCorruptFrameIsAcceptedWhileFewerLieThanVotesAreNeeded) {
  size_t liars = 0, voted = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Mesh mesh(seed);
    const uint32_t origin = 0;
    const vote::VoteConfig config{.rule = {.percent = 50, .tolerated = 2}, .window = 1};
    const std::vector<bool> lie =
        liars_below_quorum(mesh.topology, origin, 0.3, config, mesh.random);
    const VoteDelays votes =
        vote_delays(mesh.topology, mesh.places, mesh.latencies, origin, config, lie);
    EXPECT_EQ(votes.corrupt, 0u) << "seed " << seed;
    EXPECT_EQ(votes.honest_named, 0u) << "seed " << seed;
    EXPECT_EQ(votes.liars_named.size(), speaking(mesh, origin, lie)) << "seed " << seed;
    liars += static_cast<size_t>(std::count(lie.begin(), lie.end(), true));
    voted += votes.accepted;
  }
  EXPECT_GE(liars, 550u) << "of 2,000";
  EXPECT_GE(voted, 1000u) << "the signature alone would be no test of votes";
}

// Where chance puts them, without a look at whose parents they are.
TEST(Liars, NoCorruptFrameIsAcceptedWhereSoManyMayLieAsDo) {
  for (const unsigned percent : {30u, 10u}) {
    const vote::VoteConfig config{.rule = {.percent = 50, .malicious = percent}, .window = 1};
    size_t far = 0, by_votes = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      Mesh mesh(seed);
      std::vector<bool> lie(200, false);
      for (size_t left = 2 * percent; left > 0;) {
        const size_t node = 1 + mesh.random.below(199);
        if (lie[node]) continue;
        lie[node] = true;
        --left;
      }
      const VoteDelays votes =
          vote_delays(mesh.topology, mesh.places, mesh.latencies, 0, config, lie);
      EXPECT_EQ(votes.corrupt, 0u) << percent << " %, seed " << seed;
      EXPECT_EQ(votes.honest_named, 0u) << percent << " %, seed " << seed;
      const auto near = static_cast<size_t>(std::count(lie.begin() + 1, lie.begin() + 61, false));
      far += votes.nodes - near;
      by_votes += votes.accepted - near;
    }
    if (percent == 30) continue;  // hardly a node has parents enough
    EXPECT_GT(by_votes, far / 2) << "the signature alone is no test of votes";
  }
}

TEST(Liars, OneVoteIsNotEnoughAmongLiars) {
  Mesh mesh(1);
  const vote::VoteConfig any{.rule = {.percent = 0, .tolerated = 0}, .window = 1};
  std::vector<bool> lie(200, false);
  for (uint32_t node = 1; node < 200; node += 3) lie[node] = true;
  const VoteDelays votes = vote_delays(mesh.topology, mesh.places, mesh.latencies, 0, any, lie);
  EXPECT_GT(votes.corrupt, 0u) << "what the test above would see";
}

}  // namespace
}  // namespace chaincast::sim
