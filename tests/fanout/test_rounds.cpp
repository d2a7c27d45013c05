// SPDX-License-Identifier: BSD-3-Clause
// What the rounds of a burst leave with fanout: packed one after the other, sent together.
#include "fanout/stage.hpp"
#include "fanout/world.hpp"

namespace chaincast::test {
namespace {

TEST(Fanout, RoundsOfABurstAreSentTogetherPriorityFirst) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  std::vector<TestFrame> bulk;
  std::vector<TestFrame> priority;
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned i = 0; i < 20; ++i) {
      bulk.push_back(world.frame(1400));
      world.arrive(0, 1, {bulk.back()});
    }
    priority.push_back(world.frame(700, true));
    world.arrive(0, 1, {priority.back()});
    world.pack_round();
    EXPECT_TRUE(world.port(1).sent.empty());
  }
  world.process();
  std::vector<TestFrame> expected = priority;
  expected.insert(expected.end(), bulk.begin(), bulk.end());
  EXPECT_EQ(world.take(1), bytes_of(expected));
  EXPECT_EQ(world.take(2), bytes_of(expected));
}

// Paths that carry one frame a datagram make 768 of the 64 that a burst holds.
TEST(Fanout, RoundsBeyondTheRoomAreSentInOrder) {
  World world;
  PeerKind narrow;
  narrow.datagram_bytes_max = 800;
  for (uint32_t p : {0u, 1u}) world.add_peer(p, narrow);
  std::vector<TestFrame> all;
  for (unsigned round = 0; round < 4; ++round) {
    for (unsigned d = 0; d < 16; ++d) {
      std::vector<TestFrame> frames;
      for (unsigned i = 0; i < 12; ++i) frames.push_back(world.frame(600));
      world.arrive(stage::no_peer, 1, frames);
      all.insert(all.end(), frames.begin(), frames.end());
    }
    world.pack_round();
  }
  EXPECT_FALSE(world.port(1).sent.empty());
  world.process();
  EXPECT_EQ(world.take(0), bytes_of(all));
  EXPECT_EQ(world.take(1), bytes_of(all));
}

// Frames of odd lengths, some of whose sums nobody has made.
TEST(Fanout, SumsOfFramesMakeThoseOfTheirBundles) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  std::vector<TestFrame> all;
  for (const unsigned unknown : {12u, 5u}) {
    for (unsigned i = 0; i < 12; ++i) {
      world.burst->wants_sums = i != unknown;
      all.push_back(world.frame(31 + i % 3));
      world.arrive(0, 1, {all.back()});
    }
    world.burst->wants_sums = true;
    world.process();
  }
  EXPECT_EQ(world.port(1).sent.size(), 2u);
  EXPECT_EQ(world.take(1), bytes_of(all));
  EXPECT_EQ(world.take(2), bytes_of(all));
}

}  // namespace
}  // namespace chaincast::test
