// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/stage.hpp"

#include <algorithm>

#include "fanout/world.hpp"

namespace chaincast::test {
namespace {

using stage::Drop;

TEST(Fanout, EveryKindOfPeerGetsTheSameBytesWithItsOwnHeaders) {
  World world;
  uint32_t number = 0;
  for (const bool is_ipv6 : {false, true}) {
    for (const bool has_vlan : {false, true}) {
      for (const bool shared : {false, true}) {
        for (const unsigned offload : {0u, 1u, 2u, 3u}) {
          PeerKind kind;
          kind.is_ipv6 = is_ipv6;
          kind.has_vlan = has_vlan;
          kind.shared_segments = shared;
          kind.udp_offload = (offload & 1) != 0;
          kind.ipv4_offload = (offload & 2) != 0;
          kind.check_off = offload == 3;
          world.add_peer(number++, kind);
        }
      }
    }
  }
  PeerKind bare;
  bare.has_headers = false;
  world.add_peer(number++, bare);
  std::vector<Bytes> expected;
  for (const unsigned payload : {0u, 1u, 64u, 65u, 1399u, 1400u}) {
    const std::vector<TestFrame> frames = {world.frame(payload)};
    world.arrive(stage::no_peer, 0, frames);
    expected.push_back(frames[0].bytes);
    world.process();
  }
  for (uint32_t peer = 0; peer < number; ++peer) {
    for (const Sent& sent : world.port(peer).sent) {
      EXPECT_EQ(sent.segments, world.kind(peer).shared_segments ? 2u : 1u);
    }
    EXPECT_EQ(world.take(peer), expected) << "peer " << peer;
    EXPECT_EQ(world.queue(peer).frames.read(), expected.size());
    EXPECT_EQ(world.queue(peer).datagrams.read(), expected.size());
  }
}

TEST(Fanout, SplitsTheHorizonPerSourceAndRaisesHops) {
  World world;
  for (uint32_t p : {3u, 5u, 9u}) world.add_peer(p);
  const auto from_three = world.frame(1400);
  const auto from_nine = world.frame(1400);
  const auto own = world.frame(1400);
  world.arrive(3, 4, {from_three});
  world.arrive(9, 31, {from_nine});
  world.arrive(stage::no_peer, 0, {own});
  world.process();
  EXPECT_EQ(world.take(3), bytes_of({from_nine, own}));
  EXPECT_EQ(world.take(9), bytes_of({from_three, own}));
  const auto sent = world.port(5).sent;
  EXPECT_EQ(world.take(5), bytes_of({from_three, from_nine, own}));
  EXPECT_EQ(sent[0].bytes[42 + 3], 5);
  EXPECT_EQ(sent[1].bytes[42 + 3], 32);
  EXPECT_EQ(sent[2].bytes[42 + 3], 1);
}

TEST(Fanout, NeverEmitsBeyondThirtyTwoHopsNorLetsOneStopItsBundle) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  const auto tired = world.frame(100);
  const auto fresh = world.frame(100);
  world.arrive(0, 32, {tired});
  world.arrive(0, 3, {fresh});
  world.process();
  EXPECT_EQ(world.take(1), bytes_of({fresh}));
  EXPECT_EQ(world.take(2), bytes_of({fresh}));
  EXPECT_EQ(world.dropped(Drop::too_many_hops), 2u);
  EXPECT_EQ(world.queue(1).drops.read(Drop::too_many_hops), 1u);
}

TEST(Fanout, AFullReceivedDatagramTravelsOnInItsOwnBuffer) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  for (unsigned i = 0; i < 8; ++i) {
    std::vector<TestFrame> frames;
    for (unsigned f = 0; f < 12; ++f) frames.push_back(world.frame(64));
    world.arrive(0, 1, frames);
  }
  const unsigned before = rte_mempool_avail_count(world.payloads);
  world.port(1).holds = true;
  world.port(2).holds = true;
  world.process();
  EXPECT_EQ(rte_mempool_avail_count(world.payloads), before) << "nothing was copied";
  EXPECT_EQ(world.port(1).sent.size(), 8u);
  EXPECT_EQ(world.take(1).size(), 96u);
}

TEST(Fanout, SmallFramesOfOneBurstAreBundledOnceInOrder) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  std::vector<TestFrame> all;
  for (unsigned i = 0; i < 30; ++i) {
    all.push_back(world.frame(64));
    world.arrive(0, 1, {all.back()});
  }
  world.port(1).holds = true;
  world.port(2).holds = true;
  const unsigned before = rte_mempool_avail_count(world.payloads);
  world.process();
  // (1472 - 16) / 120 = 12 frames a datagram.
  EXPECT_EQ(world.port(1).sent.size(), 3u);
  EXPECT_EQ(before - rte_mempool_avail_count(world.payloads), 3u) << "shared by both peers";
  EXPECT_EQ(world.take(1), bytes_of(all));
  EXPECT_EQ(world.take(2), bytes_of(all));
}

TEST(Fanout, PartlyKeptDatagramsCarryOnlyWhatWasKept) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  std::vector<TestFrame> frames;
  std::vector<TestFrame> kept;
  for (unsigned f = 0; f < 9; ++f) {
    frames.push_back(world.frame(64 + f));
    frames.back().is_kept = f % 3 != 1;
    if (frames.back().is_kept) kept.push_back(frames.back());
  }
  world.arrive(0, 1, frames);
  world.process();
  EXPECT_EQ(world.port(1).sent.size(), 1u);
  EXPECT_EQ(world.take(1), bytes_of(kept));
  EXPECT_EQ(world.take(2), bytes_of(kept));
}

TEST(Fanout, NeverMoreThanTwoHundredFiftyFiveFramesInADatagram) {
  World world;
  PeerKind jumbo;
  jumbo.datagram_bytes_max = 65'000;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p, jumbo);
  // One buffer of the pool carries fewer; a received datagram may carry 255.
  std::vector<TestFrame> frames;
  for (unsigned f = 0; f < 150; ++f) frames.push_back(world.frame(0));
  world.arrive(0, 1, {frames.begin(), frames.begin() + 100});
  world.arrive(0, 1, {frames.begin() + 100, frames.end()});
  world.process();
  EXPECT_EQ(world.take(1), bytes_of(frames));
  std::vector<TestFrame> many;
  for (unsigned d = 0; d < 64; ++d) {
    many.insert(many.end(), {world.frame(0), world.frame(0), world.frame(0), world.frame(0)});
    world.arrive(0, 1, {many.end() - 4, many.end()});
  }
  World roomy(0, 2, 4095, 255, 20'000);
  for (uint32_t p : {0u, 1u, 2u}) roomy.add_peer(p, jumbo);
  for (unsigned d = 0; d < 64; ++d) {
    roomy.arrive(0, 1, {many.begin() + 4 * d, many.begin() + 4 * d + 4});
  }
  world.burst->release();
  roomy.process();
  EXPECT_EQ(roomy.port(1).sent.size(), 2u);
  EXPECT_EQ(roomy.take(1), bytes_of(many));
}

TEST(Fanout, AFrameTooBigForOnePathReachesTheOthers) {
  World world;
  PeerKind small;
  small.datagram_bytes_max = 1000;
  world.add_peer(0);
  world.add_peer(1, small);
  world.add_peer(2);
  const auto big = world.frame(1300);
  const auto little = world.frame(100);
  world.arrive(0, 1, {little});
  world.arrive(0, 1, {big});
  world.arrive(0, 1, {little});
  world.process();
  EXPECT_EQ(world.take(1), bytes_of({little, little}));
  EXPECT_EQ(world.take(2), bytes_of({little, big, little}));
  EXPECT_EQ(world.dropped(Drop::too_big), 1u);
  EXPECT_EQ(world.queue(1).drops.read(Drop::too_big), 1u);
  EXPECT_EQ(world.queue(2).drops.read(Drop::too_big), 0u);
}

TEST(Fanout, TheSourcesOwnPathDoesNotLimitTheBundle) {
  World world;
  PeerKind small;
  small.datagram_bytes_max = 600;
  world.add_peer(0, small);
  world.add_peer(1);
  world.add_peer(2);
  for (unsigned i = 0; i < 24; ++i) world.arrive(0, 1, {world.frame(64)});
  world.process();
  EXPECT_EQ(world.port(1).sent.size(), 2u);
}

TEST(Fanout, AReceivedJumboBundleIsCutForSmallerPaths) {
  World world;
  PeerKind jumbo;
  jumbo.datagram_bytes_max = 8972;
  world.add_peer(0, jumbo);
  world.add_peer(1, jumbo);
  world.add_peer(2);
  std::vector<TestFrame> frames;
  for (unsigned f = 0; f < 6; ++f) frames.push_back(world.frame(1400));
  world.arrive(0, 1, frames);
  world.process();
  EXPECT_EQ(world.take(1), bytes_of(frames));
  EXPECT_EQ(world.take(2), bytes_of(frames));
  world.remove_peer(2);
  world.add_peer(4, jumbo);
  world.arrive(0, 1, frames);
  world.process();
  EXPECT_EQ(world.port(1).sent.size(), 1u);
  EXPECT_EQ(world.take(1), bytes_of(frames));
}

TEST(Fanout, WhatAFullPortGivesBackStaysInOrder) {
  World world;
  world.add_peer(0);
  world.add_peer(1);
  world.port(1).room = 5;
  std::vector<TestFrame> all;
  for (unsigned i = 0; i < 20; ++i) {
    all.push_back(world.frame(1400));
    world.arrive(0, 1, {all.back()});
  }
  world.process();
  EXPECT_EQ(world.queue(1).size(), 15u);
  EXPECT_EQ(world.transmit(), 5u);
  for (unsigned i = 0; i < 5; ++i) {
    world.port(1).room = 3;
    EXPECT_EQ(world.transmit(), 3u);
  }
  EXPECT_EQ(world.transmit(), 0u);
  EXPECT_EQ(world.take(1), bytes_of(all));
  EXPECT_EQ(world.queue(1).datagrams.read(), 20u);
}

TEST(Fanout, PriorityOvertakesBulkOnItsOwnLaneAndQueue) {
  World world;
  world.add_peer(0);
  world.add_peer(1);
  world.port(1).room = 0;
  const auto bulk = world.frame(1400);
  const auto route = world.frame(1400, true);
  world.arrive(0, 1, {bulk});
  world.arrive(0, 1, {route});
  world.process();
  world.port(1).room = 1;
  world.transmit();
  ASSERT_EQ(world.port(1).sent.size(), 1u);
  EXPECT_EQ(world.port(1).sent[0].to, &world.peer(1).ways[0].to);
  EXPECT_EQ(world.port(1).sent[0].queue, 10u);
  world.port(1).room = ~0u;
  world.transmit();
  EXPECT_EQ(world.take(1), bytes_of({route, bulk}));
}

TEST(Fanout, OtherWorkersUseTheirOneLaneForBothClasses) {
  World world(2);
  world.add_peer(0);
  world.add_peer(1);
  const auto bulk = world.frame(1400);
  const auto route = world.frame(1400, true);
  world.arrive(0, 1, {bulk});
  world.arrive(0, 1, {route});
  world.process();
  for (const Sent& sent : world.port(1).sent) EXPECT_EQ(sent.queue, 13u);
  EXPECT_EQ(world.take(1), bytes_of({route, bulk}));
}

TEST(Fanout, OneTurnHandsOverAtMostTheInflightLimitOfBulk) {
  World world;
  fanout::FanoutConfig config;
  config.tx_inflight_max = 7;
  world.make_fanout(config);
  world.add_peer(0);
  world.add_peer(1);
  for (unsigned i = 0; i < 32; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  EXPECT_EQ(world.port(1).sent.size(), 7u);
  EXPECT_EQ(world.transmit(), 14u);
  EXPECT_EQ(world.transmit(), 7u);
  EXPECT_EQ(world.take(1).size(), 21u);
  while (world.transmit() > 0) {
  }
  EXPECT_EQ(world.take(1).size(), 11u);
}

TEST(Fanout, AStalledPeerLosesItsOwnFramesAndTheyAreCounted) {
  World world;
  PeerKind kind;
  kind.queue_packets = 8;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p, kind);
  world.port(1).room = 0;
  std::vector<TestFrame> all;
  for (unsigned i = 0; i < 20; ++i) {
    all.push_back(world.frame(1400));
    world.arrive(0, 1, {all.back()});
    if (i % 5 == 4) world.process();
  }
  EXPECT_EQ(world.take(2), bytes_of(all));
  EXPECT_EQ(world.queue(1).drops.read(Drop::queue_full), 12u);
  EXPECT_EQ(world.dropped(Drop::queue_full), 12u);
  EXPECT_EQ(world.queue(2).drops.read(Drop::queue_full), 0u);
  world.port(1).room = ~0u;
  world.transmit();
  all.resize(8);
  EXPECT_EQ(world.take(1), bytes_of(all)) << "and no link seq was used up by what was dropped";
}

TEST(Fanout, DropsCountFramesAlsoWhereTheyTravelInBundles) {
  World world;
  PeerKind kind;
  kind.queue_packets = 1;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p, kind);
  world.port(1).room = 0;
  for (unsigned i = 0; i < 30; ++i) world.arrive(0, 1, {world.frame(64)});
  world.process();
  EXPECT_EQ(world.queue(1).drops.read(Drop::queue_full), 18u);
  world.port(1).room = ~0u;
  world.transmit();
  EXPECT_EQ(world.take(1).size(), 12u);
}

TEST(Fanout, TheBucketIsAskedForWholeIpPackets) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  const unsigned packet = 1400 + 56 + 16 + 8 + 20;
  // Bulk may use 7/8 of the burst: exactly three packets.
  world.peer(1).state->bucket.configure(1000, packet * 3 * 8 / 7 + 1);
  world.burst->now_ns = ns_per_s;
  for (unsigned i = 0; i < 10; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  EXPECT_EQ(world.take(1).size(), 3u);
  EXPECT_EQ(world.take(2).size(), 10u);
  EXPECT_EQ(world.queue(1).drops.read(Drop::rate), 7u);
  EXPECT_EQ(world.dropped(Drop::rate), 7u);
}

TEST(Fanout, APeerWithoutThatLaneIsCounted) {
  World world;
  world.add_peer(0);
  world.add_peer(1).ways.pop_back();
  world.arrive(0, 1, {world.frame(64), world.frame(64)});
  world.process();
  EXPECT_EQ(world.dropped(Drop::tx_failed), 2u);
  EXPECT_TRUE(world.port(1).sent.empty());
}

TEST(Fanout, APeerThatLeftHasItsQueueEmptied) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  world.port(1).room = 0;
  for (unsigned i = 0; i < 10; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  const auto state = world.peer(1).state;
  world.remove_peer(1);
  world.transmit();
  EXPECT_EQ(state->queues[0]->size(), 0u);
  EXPECT_EQ(state->queues[0]->drops.read(Drop::peer_gone), 10u);
  EXPECT_EQ(world.dropped(Drop::peer_gone), 10u);
}

TEST(Fanout, DrainForgetsAPeerBeforeItIsFreed) {
  World world;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p);
  for (uint32_t p : {1u, 2u}) world.port(p).room = 0;
  for (unsigned i = 0; i < 10; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  {
    const auto state = world.peer(1).state;
    world.remove_peer(1);
    world.fanout->drain(*state, *world.drops);
  }
  EXPECT_EQ(world.dropped(Drop::peer_gone), 10u);
  world.port(2).room = ~0u;
  EXPECT_EQ(world.transmit(), 10u);
}

TEST(Fanout, LowPoolsEvictTheLongestQueueFirst) {
  World world(0, 1, 127);
  world.counters_have_holes = true;
  for (uint32_t p : {0u, 1u, 2u, 3u}) world.add_peer(p);
  for (uint32_t p : {1u, 2u}) world.port(p).room = 0;
  world.port(2).room = 30;
  for (unsigned round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < 35; ++i) world.arrive(0, 1, {world.frame(1400)});
    world.process();
  }
  // 70 for peer 1 and 40 for peer 2 wait: 17 of 127 headers are left, an eighth is 15.
  EXPECT_EQ(world.dropped(Drop::pool_low), 0u);
  EXPECT_EQ(rte_mempool_avail_count(world.headers), 17u);
  for (unsigned i = 0; i < 2; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  EXPECT_EQ(world.dropped(Drop::pool_low), 0u);
  world.arrive(0, 1, {world.frame(1400)});
  world.process();
  EXPECT_EQ(world.queue(1).drops.read(Drop::pool_low), 72u);
  EXPECT_EQ(world.dropped(Drop::pool_low), 72u);
  EXPECT_EQ(world.queue(1).size(), 1u);
  EXPECT_EQ(world.queue(2).size(), 43u);
  // The 17 headers of the second burst were too few for peer 3.
  EXPECT_EQ(world.dropped(Drop::no_mbuf), 18u);
  EXPECT_EQ(world.take(3).size(), 55u);
}

TEST(Fanout, WithoutBuffersEveryCopyIsCounted) {
  World world(0, 1, 15);
  for (uint32_t p : {0u, 1u, 2u}) {
    world.add_peer(p);
    world.port(p).holds = true;
  }
  for (unsigned i = 0; i < 20; ++i) world.arrive(0, 1, {world.frame(1400)});
  world.process();
  EXPECT_EQ(world.take(1).size(), 15u);
  EXPECT_EQ(world.take(2).size(), 0u);
  EXPECT_EQ(world.dropped(Drop::no_mbuf), 25u);
}

TEST(Fanout, SendOneStampsControlOnLaneZero) {
  World world;
  world.add_peer(4);
  world.add_peer(7);
  world.arrive(4, 1, {world.frame(100)});
  world.burst->release();
  for (const unsigned headroom : {0u, 128u}) {
    const Bytes body = world.make_frame(2000);
    rte_mbuf* message = world.make_datagram(0, 0, 0x42, body, headroom);
    EXPECT_TRUE(world.fanout->send_one(world.peers, 7, message, 0x12345678, 0, *world.drops));
    ASSERT_EQ(world.port(7).sent.size(), 1u);
    const Sent sent = world.port(7).sent[0];
    world.decode(7, sent, true);
    EXPECT_EQ(world.last_flags, 0x42);
    EXPECT_EQ(sent.queue, 10u);
    EXPECT_EQ(Bytes(sent.bytes.begin() + 58, sent.bytes.end()), body);
    world.port(7).sent.clear();
    ++world.counters[{7, 0}];
  }
  EXPECT_EQ(world.queue(7).frames.read(), 0u);
  EXPECT_EQ(world.queue(7).datagrams.read(), 2u);
  // A resent frame carries its own tag, so the decoder can check everything.
  const Bytes frame = world.make_frame(300);
  const uint32_t tags =
      load_be32(&frame[40]) ^ load_be32(&frame[44]) ^ load_be32(&frame[48]) ^ load_be32(&frame[52]);
  EXPECT_TRUE(world.fanout->send_one(world.peers, 7, world.make_datagram(1, 9, 0, frame), tags, 0,
                                     *world.drops));
  EXPECT_EQ(world.take(7), (std::vector<Bytes>{frame}));
  EXPECT_EQ(world.last_hops, 9);
  EXPECT_FALSE(world.fanout->send_one(world.peers, 99, world.make_datagram(0, 0, 0, frame), 0, 0,
                                      *world.drops));
  EXPECT_EQ(world.dropped(Drop::peer_gone), 1u);
  EXPECT_EQ(world.transmit(), 3u);
}

TEST(Fanout, SendRawAddsHeadersAndChecksumsOnly) {
  for (const bool is_ipv6 : {false, true}) {
    World world;
    PeerKind kind;
    kind.is_ipv6 = is_ipv6;
    fanout::Peer& peer = world.add_peer(0, kind);
    peer.ways[0].tx_queue = 0;
    const Bytes body = world.make_frame(33);
    const auto send = [&](unsigned headroom) {
      return world.fanout->send_raw(world.port(0), {}, peer.ways[0].to,
                                    world.make_datagram(0, 0, 1, body, headroom), *world.drops);
    };
    EXPECT_TRUE(send(0));
    EXPECT_TRUE(send(200));
    for (Sent sent : world.port(0).sent) {
      sent.queue = 10;
      world.decode(0, sent, true);
      const Bytes datagram(sent.bytes.end() - static_cast<ptrdiff_t>(body.size() + 16),
                           sent.bytes.end());
      EXPECT_EQ(datagram[0], 0xee) << "the hop header is the caller's";
      EXPECT_EQ(Bytes(datagram.begin() + 16, datagram.end()), body);
    }
    world.port(0).room = 0;
    EXPECT_FALSE(send(200));
    EXPECT_EQ(world.dropped(Drop::tx_failed), 1u);
  }
}

}  // namespace
}  // namespace chaincast::test
