// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "sim/health.hpp"
#include "sim/membership_net.hpp"
#include "sim/scenario.hpp"

// Joining, the graph and its repair, by whole networks in virtual time. Sizes are small here;
// docs/membership.md has the large runs.
namespace chaincast::sim {
namespace {

TEST(Membership, EveryoneComesInAndHoldsTheSameGraph) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Net net(seed, 40, 3);
    ASSERT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
    const Health health = health_of(net.world);
    EXPECT_EQ(health.joined, 43u);
    net.world.run_for(120 * ns_per_s);  // nodes look rarely once they lack little
    EXPECT_GE(health.degree_min, 3u) << "seed " << seed;
    EXPECT_LE(health.degree_max, graph::MemberConfig().links_hard_max);
    for (const Index i : net.world.running()) {
      unsigned at_random = 0;
      for (const auto& link : net.world.member(i).links()) at_random += link.is_random ? 1u : 0u;
      EXPECT_GE(at_random, 2u) << "seed " << seed << " node " << i;
    }
  }
}

TEST(Membership, TheMessagesSayAllThatTheMachinesNeed) {
  Net net(9, 25, 2, true);  // every message goes through its encoding
  EXPECT_TRUE(net.heals(30 * ns_per_s));
}

TEST(Membership, SameSeedSameRun) {
  const auto run = [](uint64_t seed) {
    Net net(seed, 20, 2);
    net.world.crash(7);
    net.world.run_for(20 * ns_per_s);
    return net.world.print();
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(Membership, TheDeadAreRemovedEverywhereWithinThreeDetectionTimes) {
  const graph::MemberConfig config;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Net net(seed, 47, 3);
    ASSERT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
    for (Index i = 5; i < 50; i += 9) net.world.crash(i);
    EXPECT_FALSE(health_of(net.world).is_complete);
    EXPECT_TRUE(net.heals(3 * config.detection_ns)) << "seed " << seed;
  }
}

// Nobody is the partner of a node whose record states no link, so nobody can accuse it
// (graph/silent.cpp).
TEST(Membership, WhoEndsBeforeItHasStatedALinkIsGivenUp) {
  const graph::MemberConfig config;
  uint64_t given_up = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Net net(seed, 17, 2);
    ASSERT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
    const Index late = net.add(resource(1));
    net.world.start(late, {0, 1, 2});
    ASSERT_TRUE(net.world.run_until_true(
        [&] { return net.world.member(0).view().find(net.world.id(late)) != nullptr; },
        5 * ns_per_s, 10 * ns_per_ms));
    net.world.crash(late);
    EXPECT_TRUE(net.heals(config.silent_ns + 3 * config.detection_ns)) << "seed " << seed;
    net.world.run_for(60 * ns_per_s);
    EXPECT_TRUE(health_of(net.world).is_healthy()) << "came back, seed " << seed;
    given_up += net.world.member(0).counters().silent_given_up;
    // It is welcome again.
    net.start(late);
    EXPECT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
  }
  EXPECT_GT(given_up, 0u);
}

// Its partner is accused by others, but nobody who lives is a partner of its own.
TEST(Membership, WhoDiesWithTheOnlyPartnerThatItHasStatedIsGivenUp) {
  const graph::MemberConfig config;
  unsigned pairs = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Net net(seed, 17, 2);
    ASSERT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
    const Index late = net.add(resource(1));
    net.world.start(late, {0, 1, 2});
    const auto stated = [&] {
      const graph::Entry* entry = net.world.member(0).view().find(net.world.id(late));
      return entry == nullptr ? std::vector<wire::LinkEnd>() : entry->record->said.links;
    };
    ASSERT_TRUE(
        net.world.run_until_true([&] { return !stated().empty(); }, 10 * ns_per_s, 10 * ns_per_ms));
    if (stated().size() != 1) continue;
    const Index partner = net.world.index(stated()[0].peer);
    if (partner == 0) continue;
    net.world.crash(late);
    net.world.crash(partner);
    EXPECT_TRUE(net.heals(config.silent_ns + 3 * config.detection_ns)) << "seed " << seed;
    ++pairs;
  }
  EXPECT_GT(pairs, 0u);
}

// Of most the partners die as well, so few are proven dead, and what remains hangs together.
TEST(Membership, OfThreeQuartersThatDieAtOnceNobodyStays) {
  const graph::MemberConfig config;
  uint64_t given_up = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Net net(seed, 47, 2);
    ASSERT_TRUE(net.heals(30 * ns_per_s)) << "seed " << seed;
    for (Index i = 0; i < net.world.size(); ++i) {
      if (i % 4 != 1) net.world.crash(i);
    }
    EXPECT_TRUE(net.heals(2 * config.silent_ns + 3 * config.detection_ns)) << "seed " << seed;
    net.world.run_for(60 * ns_per_s);
    EXPECT_TRUE(health_of(net.world).is_healthy()) << "came back, seed " << seed;
    given_up += net.world.member(1).counters().silent_given_up;
  }
  EXPECT_GT(given_up, 0u);
}

TEST(Membership, WhoLeavesIsGoneAtOnceAndAccusedByNobody) {
  Net net(4, 20, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  uint64_t before = 0, after = 0;
  for (const Index i : net.world.running()) before += net.world.member(i).counters().accusations;
  net.world.leave(10);
  EXPECT_TRUE(net.heals(3 * ns_per_s));
  for (const Index i : net.world.running()) after += net.world.member(i).counters().accusations;
  EXPECT_EQ(after, before);
}

TEST(Membership, TwoHalvesOfAPartitionGoOnAndMergeAfterwards) {
  Net net(6, 37, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  for (Index i = 0; i < net.world.size(); i += 2) net.world.set_side(i, 1);
  net.world.run_for(40 * ns_per_s);
  EXPECT_FALSE(health_of(net.world).is_healthy());
  for (const Index i : net.world.running()) {
    for (const auto& link : net.world.member(i).links()) {
      const bool is_across = net.world.side(net.world.index(link.peer)) != net.world.side(i);
      EXPECT_FALSE(is_across && !link.is_suspected) << "node " << i;
    }
  }
  for (Index i = 0; i < net.world.size(); ++i) net.world.set_side(i, 0);
  EXPECT_TRUE(net.heals(60 * ns_per_s));
}

// Each half has given up what it does not know to be dead there, and the dead are forgotten.
TEST(Membership, HalvesThatHaveGivenEachOtherUpMergeAfterwards) {
  const graph::MemberConfig config;
  for (const TimeNs parted_ns : {3 * ns_per_s * 60, config.forget_ns + 60 * ns_per_s}) {
    Net net(9, 17, 2);
    ASSERT_TRUE(net.heals(30 * ns_per_s));
    for (Index i = 0; i < net.world.size(); i += 2) net.world.set_side(i, 1);
    net.world.run_for(parted_ns);
    uint64_t given_up = 0;
    for (const Index i : net.world.running()) {
      const graph::Member& member = net.world.member(i);
      EXPECT_EQ(member.view().live(), 10u) << "node " << i;
      given_up += member.counters().silent_given_up;
    }
    EXPECT_GT(given_up, 0u);
    for (Index i = 0; i < net.world.size(); ++i) net.world.set_side(i, 0);
    EXPECT_TRUE(net.heals(60 * ns_per_s));
  }
}

// One alone gives up all the others.
TEST(Membership, ANodeThatWasAloneForLongComesBackWithoutTrackers) {
  Net net(10, 17, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  net.world.set_side(9, 1);
  net.world.run_for(180 * ns_per_s);
  EXPECT_EQ(net.world.member(9).view().live(), 1u);
  EXPECT_EQ(net.world.member(8).view().live(), 19u);
  net.world.set_side(9, 0);
  EXPECT_TRUE(net.heals(60 * ns_per_s));
}

TEST(Membership, JoiningAndLeavingInOneHalfReachTheOtherAfterwards) {
  Net net(7, 37, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  for (Index i = 0; i < net.world.size(); i += 2) net.world.set_side(i, 1);
  net.world.run_for(20 * ns_per_s);
  const Index newcomer = net.add(resource(1));
  net.start(newcomer);  // two of its three trackers are in the other half
  net.world.leave(10);
  net.world.run_for(10 * ns_per_s);
  EXPECT_EQ(net.world.join(newcomer).state(), join::State::joined);
  EXPECT_EQ(net.world.member(4).view().find(net.world.id(newcomer)), nullptr);
  const graph::Entry* leaver = net.world.member(4).view().find(net.world.id(10));
  ASSERT_NE(leaver, nullptr);
  EXPECT_EQ(leaver->standing, graph::Standing::left);
  for (Index i = 0; i < net.world.size(); ++i) net.world.set_side(i, 0);
  EXPECT_TRUE(net.heals(60 * ns_per_s));
}

TEST(Membership, ANodeThatIsAccusedFalselyRefutes) {
  Net net(8, 20, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  net.world.set_side(9, 1);
  EXPECT_TRUE(net.world.run_until_true(
      [&] {
        const graph::Entry* entry = net.world.member(4).view().find(net.world.id(9));
        return entry && entry->standing == graph::Standing::dead;
      },
      12 * ns_per_s, 200 * ns_per_ms));
  net.world.set_side(9, 0);
  EXPECT_TRUE(net.heals(60 * ns_per_s));
  EXPECT_GE(net.world.member(9).counters().refutations, 1u);
}

TEST(Membership, AFormerMemberComesBackWithoutTrackers) {
  Net net(5, 20, 2);
  ASSERT_TRUE(net.heals(30 * ns_per_s));
  net.world.crash(12);
  net.world.run_for(15 * ns_per_s);
  for (Index tracker = 0; tracker < 3; ++tracker) net.world.crash(tracker);
  net.world.start(12, {});
  EXPECT_TRUE(net.heals(30 * ns_per_s));
  EXPECT_EQ(net.world.join(12).counters().redirects_asked, 0u);
}

// Two places 329 ms apart: the network is at one, who comes in at the other. A link partner sends
// what it has from the moment that it agrees to the link, so the first frame is there when the
// answer is.
struct Far {
  explicit Far(unsigned session_round_trips) : world(config(session_round_trips), latencies()) {
    for (unsigned i = 0; i < 12; ++i) {
      Arrival arrival;
      if (i >= 3) arrival.resource = resource(1);
      nodes.push_back(world.add(arrival));
      world.start(nodes.back(), {nodes.begin(), nodes.begin() + std::min(i, 3u)});
      world.run_for(2 * ns_per_s);
    }
    Arrival arrival;
    arrival.place = 1;
    arrival.resource = resource(1);
    newcomer = world.add(arrival);
  }
  static MemberWorldConfig config(unsigned session_round_trips) {
    MemberWorldConfig out;
    out.session_round_trips = session_round_trips;
    return out;
  }
  static Latencies latencies() { return Latencies::parse_matrix("0 329\n329 0\n").value(); }
  // Round trips until there is a link inside.
  double round_trips(const std::vector<Index>& trackers) {
    const TimeNs from_ns = world.now_ns();
    world.start(newcomer, trackers);
    EXPECT_TRUE(
        world.run_until_true([&] { return world.member(newcomer).has_link_inside(resource(1)); },
                             20 * ns_per_s, ns_per_ms));
    return static_cast<double>(world.now_ns() - from_ns) / (329.0 * ns_per_ms);
  }
  MemberWorld world;
  std::vector<Index> nodes;
  Index newcomer = 0;
};

TEST(Membership, TheFirstFrameTakesAFormerMemberOneRoundTripAndANewcomerThree) {
  // The simulator looks every millisecond, and messages take no time to be made.
  constexpr double look = 1.0 / 329;
  Far near(0);
  EXPECT_LE(near.round_trips({near.nodes[0], near.nodes[1], near.nodes[2]}), 3 + look)
      << "redirection, probe, link";
  near.world.run_for(10 * ns_per_s);
  near.world.crash(near.newcomer);
  near.world.run_for(30 * ns_per_s);
  EXPECT_LE(near.round_trips({near.nodes[0]}), 1 + look) << "the link alone";
  EXPECT_EQ(near.world.join(near.newcomer).counters().redirects_asked, 0u);
}

TEST(Membership, ASessionAddsItsRoundTripsOnceForTheTrackerAndOnceForThePeer) {
  constexpr double look = 1.0 / 329;
  Far far(2);  // TCP and TLS 1.3
  EXPECT_LE(far.round_trips({far.nodes[0], far.nodes[1], far.nodes[2]}), 2 + 1 + 2 + 1 + 1 + look);
  far.world.run_for(10 * ns_per_s);
  far.world.crash(far.newcomer);
  far.world.run_for(30 * ns_per_s);
  EXPECT_LE(far.round_trips({}), 2 + 1 + look);
}

TEST(Membership, APrivateSubnetworkTakesOnlyItsGuests) {
  Net net(2, 10, 1);
  Arrival host;
  host.resource = resource(9);
  host.is_host = host.is_private = true;
  Arrival guest = host;
  guest.is_host = false;
  const Index invited = net.world.add(guest);
  const Index stranger = net.world.add(guest);
  host.guests = {net.world.id(invited)};
  const Index owner = net.world.add(host);
  for (const Index node : {owner, invited, stranger}) {
    net.start(node);
    net.world.run_for(10 * ns_per_s);
  }
  EXPECT_EQ(net.world.join(invited).state(), join::State::joined);
  EXPECT_TRUE(net.world.member(invited).has_link_inside(resource(9)));
  EXPECT_EQ(net.world.join(stranger).state(), join::State::refused);
  // They may be partners in the graph, as any two nodes; not for the subnetwork.
  EXPECT_FALSE(net.world.member(stranger).has_link_inside(resource(9)));
}

TEST(Membership, NearLinksAreNearerThanChance) {
  const auto scenario = parse_scenario(
      "seed 3\nlatencies generated 64\ntrackers 2\n0 join 100 over 20\n"
      "120 expect rtt_saved > 0.25\n120 expect degree_cv < 0.25\n120 healthy within 20\n");
  ASSERT_TRUE(scenario.ok());
  std::string said;
  Surroundings surroundings;
  surroundings.print = [&](const std::string& line) { said += line + "\n"; };
  const auto done = run_scenario(*scenario, surroundings);
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(*done) << said;
}

TEST(Scenario, SaysWhichLineItCannotUse) {
  struct Case {
    std::string_view text, expected;
  };
  for (const Case& c :
       {Case{"0 dance\n", "line 1: unknown: dance"}, Case{"seed x\n1 heal\n", "line 1"},
        Case{"\n# nothing\n", "nothing happens"}, Case{"5 heal\n4 heal\n", "line 2: is earlier"},
        Case{"0 join 5 over\n", "line 1: write it as: join COUNT over SECONDS"},
        Case{"0 expect luck > 1\n", "line 1: cannot use"},
        Case{"latencies generated 0\n0 heal\n", "line 1: a count of places"}}) {
    const auto scenario = parse_scenario(c.text);
    ASSERT_FALSE(scenario.ok()) << c.text;
    EXPECT_NE(scenario.error().message.find(c.expected), std::string::npos)
        << scenario.error().message;
  }
}

TEST(Latencies, MatricesAreMadeSymmetricAndWhatIsMissingIsFilled) {
  const auto latencies = Latencies::parse_matrix("0 10 30\n20 0 0\n-1 40 0\n");
  ASSERT_TRUE(latencies.ok());
  EXPECT_EQ(latencies->rtt_us(0, 1), 15'000u);
  EXPECT_EQ(latencies->rtt_us(0, 2), 30'000u) << "one direction is missing";
  EXPECT_EQ(latencies->rtt_us(1, 2), 40'000u);
  EXPECT_FALSE(Latencies::parse_matrix("0 1\n1\n").ok());
  EXPECT_FALSE(Latencies::parse_matrix("0 one\n1 0\n").ok());
}

TEST(Latencies, MapsGiveShortestPaths) {
  // A degree of longitude at the equator is 111.195 km: 1.112 ms there and back, and 0.2.
  const std::string_view map =
      "<graphml><key attr.name=\"Latitude\" for=\"node\" id=\"a\"/>"
      "<key attr.name=\"Longitude\" for=\"node\" id=\"o\"/><graph>"
      "<node id=\"0\"><data key=\"a\">0</data><data key=\"o\">0</data></node>"
      "<node id=\"1\"><data key=\"a\">0</data><data key=\"o\">1</data></node>"
      "<node id=\"2\"><data key=\"a\">0</data><data key=\"o\">3</data></node>"
      "<edge source=\"0\" target=\"1\"/><edge source=\"1\" target=\"2\"/></graph></graphml>";
  const auto latencies = Latencies::parse_graphml(map);
  ASSERT_TRUE(latencies.ok());
  ASSERT_EQ(latencies->places(), 3u);
  EXPECT_NEAR(latencies->rtt_us(0, 1), 1312, 2);
  EXPECT_NEAR(latencies->rtt_us(0, 2), 1312 + 2424, 4);
  EXPECT_FALSE(Latencies::parse_graphml("<graph><edge source=\"0\" target=\"1\"/></graph>").ok());
}

}  // namespace
}  // namespace chaincast::sim
