// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "crypto/openssl/toolbox.hpp"
#include "nat_world.hpp"

// Which NATs are crossed, and how, over seeds. The kernel's are in tests/scenario/test_nat.py.
namespace chaincast::test {
namespace {

using hop::Path;

constexpr Depends all[] = {Depends::nothing, Depends::address, Depends::port};
constexpr uint64_t seeds = 6;

class Nats : public testing::Test {
 protected:
  std::unique_ptr<NatWorld> make(std::array<Depends, 2> mapping, std::array<Depends, 2> filtering,
                                 uint64_t seed, double loss = 0) {
    WorldConfig config;
    config.mapping = mapping;
    config.filtering = filtering;
    config.seed = seed;
    config.loss = loss;
    return std::make_unique<NatWorld>(config, *toolbox_);
  }
  // The addresses of a punched link are what the NATs really made, at both ends.
  static void expect_true_addresses(NatWorld& world) {
    for (unsigned i = 0; i < 2; ++i) {
      EXPECT_EQ(world.remote(i), world.nat(1 - i).send(world.remote(1 - i))) << i;
    }
  }
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
};

TEST_F(Nats, WithTwoIndependentMappingsThereIsAHoleAtOnceWhateverIsLetIn) {
  for (const Depends one : all) {
    for (const Depends other : all) {
      for (uint64_t seed = 1; seed <= seeds; ++seed) {
        auto world = make({Depends::nothing, Depends::nothing}, {one, other}, seed);
        ASSERT_TRUE(world->run_until_up(3 * ns_per_s, Path::punched)) << seed;
        EXPECT_EQ(world->mapping(0), punch::Mapping::independent);
        expect_true_addresses(*world);
        EXPECT_EQ(world->forwarded(), 0u);
      }
    }
  }
}

TEST_F(Nats, AMappingForEachDestinationIsFoundFromTheOtherSide) {
  for (const Depends dependent : {Depends::address, Depends::port}) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      const bool is_first = seed % 2 == 0;
      auto world =
          make({is_first ? dependent : Depends::nothing, is_first ? Depends::nothing : dependent},
               {Depends::port, Depends::port}, seed);
      ASSERT_TRUE(world->run_until_up(38 * ns_per_s, Path::punched)) << seed;
      EXPECT_EQ(world->mapping(is_first ? 0 : 1), punch::Mapping::dependent);
      expect_true_addresses(*world);
      const uint64_t before = world->sessions(0);
      world->run_for(30 * ns_per_s);
      EXPECT_EQ(world->sessions(0), before) << "it stays";
    }
  }
}

TEST_F(Nats, AFilterByAddressAloneShowsThePortAtOnce) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    auto world = make({Depends::nothing, Depends::port}, {Depends::address, Depends::port}, seed);
    ASSERT_TRUE(world->run_until_up(3 * ns_per_s, Path::punched)) << seed;
    expect_true_addresses(*world);
  }
}

TEST_F(Nats, WithTwoDependentMappingsItIsRelayedWithinTheTimeStated) {
  for (const Depends one : {Depends::address, Depends::port}) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      auto world = make({one, Depends::port}, {Depends::port, Depends::port}, seed);
      EXPECT_FALSE(world->run_until_up(8 * ns_per_s)) << seed;
      ASSERT_TRUE(world->run_until_up(6 * ns_per_s, Path::relayed)) << seed;
      const uint64_t before = world->forwarded();
      world->run_for(60 * ns_per_s);
      EXPECT_TRUE(world->is_up());
      EXPECT_GT(world->forwarded(), before + 100);
      EXPECT_EQ(world->sessions(0), 1u) << "asking for better paths does not disturb it";
    }
  }
}

TEST_F(Nats, ARebindingHealsWhicheverEndHasIt) {
  for (uint64_t seed = 1; seed <= 2 * seeds; ++seed) {
    auto world = make({Depends::nothing, Depends::nothing}, {Depends::port, Depends::port}, seed);
    ASSERT_TRUE(world->run_until_up(3 * ns_per_s, Path::punched)) << seed;
    const auto moved = static_cast<unsigned>(seed % 2);
    const Endpoint before = world->remote(1 - moved);
    world->nat(moved).rebind();
    world->run_for(6 * ns_per_s);  // longer than silence takes a link down
    ASSERT_TRUE(world->run_until_up(10 * ns_per_s, Path::punched)) << seed;
    EXPECT_NE(world->remote(1 - moved), before);
    expect_true_addresses(*world);
  }
}

TEST_F(Nats, ARebindingOfARelayedEndHeals) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    auto world = make({Depends::port, Depends::port}, {Depends::port, Depends::port}, seed);
    ASSERT_TRUE(world->run_until_up(20 * ns_per_s, Path::relayed)) << seed;
    world->nat(0).rebind();
    world->run_for(6 * ns_per_s);
    ASSERT_TRUE(world->run_until_up(20 * ns_per_s, Path::relayed)) << seed;
  }
}

TEST_F(Nats, LossOnlyDelays) {
  for (uint64_t seed = 1; seed <= 2 * seeds; ++seed) {
    auto world =
        make({Depends::nothing, Depends::nothing}, {Depends::port, Depends::port}, seed, 0.3);
    ASSERT_TRUE(world->run_until_up(20 * ns_per_s)) << seed;
    auto relayed = make({Depends::port, Depends::port}, {Depends::port, Depends::port}, seed, 0.1);
    ASSERT_TRUE(relayed->run_until_up(40 * ns_per_s, Path::relayed)) << seed;
  }
}

}  // namespace
}  // namespace chaincast::test
