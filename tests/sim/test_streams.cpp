// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "sim/fake_crypto.hpp"
#include "sim/streams_world.hpp"

// Origin, receivers and repair over lossy networks: 10,000 seeds in all, every one with a network,
// a graph, objects and a suite of its own.
namespace chaincast::sim {
namespace {

constexpr wire::Suite suites[] = {wire::Suite::sha256_gmac, wire::Suite::sha256_gcm,
                                  wire::Suite::sha256_gmac_ct, wire::Suite::sha256_gcm_ct,
                                  wire::Suite::gmac};

StreamsConfig config_of(uint64_t seed) {
  StreamsConfig config;
  config.seed = seed;
  config.nodes = static_cast<Node>(3 + seed % 3);
  config.descriptor = test::small_descriptor(suites[seed % 5]);
  const bool is_trusted = config.descriptor.suite == wire::Suite::gmac;
  if (seed % 2 == 1 && !is_trusted) config.descriptor.delivery = wire::Delivery::final;
  if (seed % 7 == 3 && !is_trusted) config.descriptor.keeping = wire::Keeping::kept;
  config.conditions.loss = 0.05;
  config.conditions.reordering = 0.02;
  config.conditions.duplication = 0.01;
  config.conditions.jitter_ns = ns_per_ms;
  config.conditions.delay_ns = 2 * ns_per_ms;
  config.node.window_log2 = 7;
  config.node.variants_max = 32;
  return config;
}

void publish_some(StreamsWorld& world, Random& random, unsigned objects) {
  for (unsigned i = 0; i < objects; ++i)
    world.publish(test::random_bytes(random, random.below(900)));
}

void expect_all(const StreamsWorld& world, const std::string& trace) {
  SCOPED_TRACE(trace);
  for (Node n = 0; n < world.count(); ++n) {
    const test::TestNode& node = *world.at(n).node;
    node.sink.expect_objects(world.published());
    EXPECT_TRUE(node.sink.lost.empty());
    EXPECT_EQ(node.bad_tags, 0u);
    node.expect_accounts_add_up();
  }
}

template <typename Run>
void for_seeds(uint64_t from, uint64_t count, Run&& run) {
  for (uint64_t seed = from; seed < from + count && !testing::Test::HasFailure(); ++seed) {
    test::Crypto crypto(make_fake_crypto(seed));
    run(seed, crypto, "seed " + std::to_string(seed));
  }
}

TEST(Streams, EverythingIsDeliveredOnceInOrderEverywhere) {
  uint64_t repaired = 0;
  for_seeds(0, 6000, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    StreamsWorld world(crypto, config_of(seed));
    Random random(seed);
    publish_some(world, random, 25);
    world.run(8 * ns_per_s);
    expect_all(world, trace);
    for (Node n = 0; n < world.count(); ++n)
      repaired += world.at(n).repair->counters().frames_repaired;
  });
  EXPECT_GT(repaired, 6000u);
}

TEST(Streams, WithRepairOffLessIsDeliveredAndTheRestIsNamed) {
  uint64_t lost = 0;
  for_seeds(10'000, 1000, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    SCOPED_TRACE(trace);
    StreamsConfig config = config_of(seed);
    config.descriptor.keeping = wire::Keeping::live;
    config.conditions.loss = 0.2;
    config.repair.enabled = false;
    config.node.receiver.gap_deadline_ns = 100 * ns_per_ms;
    StreamsWorld world(crypto, config);
    Random random(seed);
    publish_some(world, random, 25);
    world.end();
    world.run(600 * ns_per_ms);
    for (Node n = 1; n < world.count(); ++n) {
      const test::TestNode& node = *world.at(n).node;
      size_t at = 0;
      for (const auto& object : node.sink.objects) {
        while (at < world.published().size() && world.published()[at] != object.bytes) ++at;
        ASSERT_LT(at++, world.published().size()) << "not the origin's, or out of order";
      }
      node.expect_accounts_add_up();
      lost += node.receiver->counters().lost_frames;
      EXPECT_EQ(world.at(n).repair->counters().nacks_sent, 0u);
      uint64_t named = 0;
      for (const auto& [first, last] : node.sink.lost) named += last - first + 1;
      EXPECT_EQ(named, node.receiver->counters().lost_frames);
      EXPECT_TRUE(node.sink.objects.size() == world.published().size() || named > 0 ||
                  node.receiver->status().delivered_next < world.origin().next_seq());
    }
  });
  EXPECT_GT(lost, 1000u);
}

TEST(Streams, ALateStarterGetsAWholeSuffix) {
  uint64_t from_statement = 0;
  for_seeds(20'000, 1000, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    SCOPED_TRACE(trace);
    StreamsConfig config = config_of(seed);
    config.descriptor.keeping = wire::Keeping::live;
    // The window covers the rate times the time that repair takes: 128 ms ahead.
    config.node.window_log2 = 8;
    config.frames_per_step = 2;
    StreamsWorld world(crypto, config);
    Random random(seed);
    const Node late = static_cast<Node>(1 + random.below(world.count() - 1));
    world.stop(late);
    publish_some(world, random, seed % 4 == 0 ? 10 : 160);
    world.run(8 * ns_per_s);
    ASSERT_TRUE(world.is_delivered());
    world.run(100 * ns_per_ms, false);
    const size_t before = world.published().size();
    world.start(late);
    world.run(700 * ns_per_ms, false);
    const test::TestNode& node = *world.at(late).node;
    ASSERT_TRUE(node.receiver->status().anchored);
    const size_t missed = node.receiver->status().anchor_is_descriptor ? 0 : before;
    from_statement += missed == 0 ? 0 : 1;
    publish_some(world, random, 20);
    for (unsigned i = 0; i < 60; ++i) {
      if (node.sink.objects.size() >= world.published().size() - missed) break;
      world.run(100 * ns_per_ms, false);
    }
    node.sink.expect_objects(world.published(), missed);
    EXPECT_TRUE(node.sink.lost.empty());
  });
  EXPECT_GT(from_statement, 300u);
  EXPECT_LT(from_statement, 1000u);
}

TEST(Streams, AnInsiderWhoWinsEveryRaceDelaysFinalAndChangesNothingElse) {
  uint64_t seconds = 0;
  for_seeds(30'000, 1000, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    StreamsConfig config = config_of(seed);
    if (config.descriptor.suite == wire::Suite::gmac) config.descriptor = test::small_descriptor();
    config.descriptor.delivery = wire::Delivery::final;
    config.forge_share = seed % 2 == 0 ? 0.05 : 0.01;
    config.forgeries = static_cast<unsigned>(1 + seed % 3);
    StreamsWorld world(crypto, config);
    Random random(seed);
    publish_some(world, random, 30);
    world.run(8 * ns_per_s);
    expect_all(world, trace);
    for (Node n = 1; n < world.count(); ++n) {
      seconds += world.at(n).node->window->seconds();
      EXPECT_LE(world.at(n).node->window->seconds(), 2 * world.forged());
    }
  });
  EXPECT_GT(seconds, 1000u);
}

TEST(Streams, ANodeCutOffForAWhileCatchesUp) {
  for_seeds(40'000, 500, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    StreamsConfig config = config_of(seed);
    StreamsWorld world(crypto, config);
    Random random(seed);
    const Node victim = static_cast<Node>(1 + random.below(world.count() - 1));
    std::vector<Node> others;
    for (Node n = 0; n < world.count(); ++n)
      if (n != victim) others.push_back(n);
    world.network().cut({victim}, others, true);
    publish_some(world, random, 20);
    world.run(300 * ns_per_ms, false);
    EXPECT_TRUE(world.at(victim).node->sink.objects.empty());
    world.network().cut({victim}, others, false);
    world.run(8 * ns_per_s);
    expect_all(world, trace);
  });
}

TEST(Streams, ARestartedOriginIsANewStreamAndTheOldOneEndsAlikeEverywhere) {
  for_seeds(50'000, 500, [&](uint64_t seed, test::Crypto& crypto, const std::string& trace) {
    SCOPED_TRACE(trace);
    StreamsConfig config = config_of(seed);
    config.descriptor.keeping = wire::Keeping::live;
    StreamsWorld first(crypto, config);
    Random random(seed);
    publish_some(first, random, 40);
    first.run(10 * ns_per_ms);
    first.stop(0);
    first.run(1500 * ns_per_ms, false);
    const auto& reference = first.at(1).node->sink.objects;
    for (Node n = 2; n < first.count(); ++n) {
      const auto& objects = first.at(n).node->sink.objects;
      ASSERT_EQ(objects.size(), reference.size()) << "survivors repair each other";
      for (size_t i = 0; i < objects.size(); ++i) ASSERT_EQ(objects[i].first, reference[i].first);
    }
    config.seed += 1'000'000;
    StreamsWorld second(crypto, config);
    EXPECT_NE(second.origin().id(), first.origin().id());
    publish_some(second, random, 10);
    second.run(8 * ns_per_s);
    expect_all(second, trace);
  });
}

}  // namespace
}  // namespace chaincast::sim
