// SPDX-License-Identifier: BSD-3-Clause
// Streams that some peers have refused.
#include "fanout/stage.hpp"
#include "fanout/world.hpp"

namespace chaincast::test {
namespace {

using stage::Drop;

TEST(FanoutRefusals, WhoRefusedAStreamGetsNoFrameOfIt) {
  World world;
  for (uint32_t p : {0u, 1u, 2u, 3u}) world.add_peer(p);
  const auto open = world.frame(100);
  const auto not_to_one = world.frame_refused_by({1}, 100);
  const auto only_to_two = world.frame_refused_by({1, 3}, 100);
  const auto to_nobody = world.frame_refused_by({0, 1, 2, 3}, 100);
  TestFrame again = not_to_one;
  again.bytes = world.make_frame(100);
  // In one datagram and across datagrams: what shares a source shares no bundle with another
  // stream's receivers.
  world.arrive(0, 1, {open, not_to_one, only_to_two, open});
  world.arrive(0, 1, {to_nobody, again, open});
  world.process();
  EXPECT_EQ(world.take(0), bytes_of({}));
  EXPECT_EQ(world.take(1), bytes_of({open, open, open}));
  EXPECT_EQ(world.take(2), bytes_of({open, open, open, not_to_one, again, only_to_two}));
  EXPECT_EQ(world.take(3), bytes_of({open, open, open, not_to_one, again}));
  for (const Drop reason : {Drop::too_big, Drop::no_mbuf, Drop::queue_full}) {
    EXPECT_EQ(world.dropped(reason), 0u);
  }
}

TEST(FanoutRefusals, ADatagramOfARefusedStreamStillTravelsInItsOwnBuffer) {
  World world;
  for (uint32_t p : {0u, 1u, 2u, 3u}) world.add_peer(p);
  const auto frame = world.frame_refused_by({2}, 1400);
  const unsigned before = rte_mempool_avail_count(world.payloads);
  for (uint32_t p : {1u, 3u}) world.port(p).holds = true;
  world.arrive(0, 1, {frame});
  world.process();
  EXPECT_EQ(rte_mempool_avail_count(world.payloads), before) << "nothing was copied";
  EXPECT_EQ(world.take(1), bytes_of({frame}));
  EXPECT_EQ(world.take(2), bytes_of({}));
  EXPECT_EQ(world.take(3), bytes_of({frame}));
}

TEST(FanoutRefusals, APathThatCannotCarryARefusedStreamDoesNotLimitItsBundles) {
  World world;
  PeerKind small;
  small.datagram_bytes_max = 300;
  world.add_peer(0);
  world.add_peer(1, small);
  world.add_peer(2);
  TestFrame frame = world.frame_refused_by({1}, 400);
  std::vector<TestFrame> frames;
  for (unsigned i = 0; i < 3; ++i) {
    frame.bytes = world.make_frame(400);
    frames.push_back(frame);
    world.arrive(0, 1, {frame});
  }
  world.process();
  EXPECT_EQ(world.port(2).sent.size(), 1u);
  EXPECT_EQ(world.take(2), bytes_of(frames));
  EXPECT_EQ(world.dropped(Drop::too_big), 0u);
}

}  // namespace
}  // namespace chaincast::test
