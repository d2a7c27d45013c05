// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>

#include "fanout/world.hpp"

// Random bursts and peer sets against the sentence "every kept frame goes to every peer but the one
// it came from and those that refused its stream, once, or is counted".
namespace chaincast::test {
namespace {

using stage::Drop;

PeerKind random_kind(Random& random) {
  PeerKind kind;
  kind.is_ipv6 = random.chance(0.3);
  kind.has_vlan = random.chance(0.3);
  kind.has_headers = random.chance(0.8);
  kind.shared_segments = random.chance(0.7);
  kind.udp_offload = random.chance(0.3);
  kind.ipv4_offload = random.chance(0.3);
  kind.check_off = random.chance(0.2);
  kind.copybreak_bytes = random.chance(0.3) ? 300 : 0;
  static constexpr uint16_t sizes[] = {1200, 1472, 1472, 8972};
  kind.datagram_bytes_max = sizes[random.below(4)];
  kind.queue_packets = random.chance(0.3) ? 4 : 1024;
  return kind;
}

// What one peer should get and what it may lose.
struct Account {
  std::map<Bytes, unsigned> due;  // frames that must arrive or be counted as lost by load
  uint64_t too_big = 0;
  uint64_t exhausted = 0;
};

void expect_settled(World& world, uint32_t number, Account& account) {
  uint64_t due = 0;
  for (const auto& [frame, count] : account.due) due += count;
  uint64_t delivered = 0;
  for (const Bytes& frame : world.take(number)) {
    const auto found = account.due.find(frame);
    ASSERT_TRUE(found != account.due.end() && found->second > 0) << "not due, or twice";
    --found->second;
    ++delivered;
  }
  const fanout::PeerQueue& queue = world.queue(number);
  const uint64_t lost = queue.drops.read(Drop::queue_full) + queue.drops.read(Drop::rate);
  EXPECT_EQ(delivered + lost, due);
  EXPECT_EQ(queue.frames.read(), delivered);
  EXPECT_EQ(queue.drops.read(Drop::too_big), account.too_big);
  EXPECT_EQ(queue.drops.read(Drop::too_many_hops), account.exhausted);
  EXPECT_EQ(queue.drops.read(Drop::no_mbuf), 0u);
}

std::vector<uint32_t> random_peers(Random& random, unsigned peer_count) {
  std::vector<uint32_t> peers;
  for (uint32_t p = 0; p < peer_count; ++p) {
    if (random.chance(0.4)) peers.push_back(p * 3);
  }
  return peers;
}

void random_burst(World& world, std::map<uint32_t, Account>& accounts) {
  Random& random = world.random;
  const unsigned peer_count = static_cast<unsigned>(world.peers.peers.size());
  const unsigned datagrams = 1 + static_cast<unsigned>(random.below(12));
  for (unsigned d = 0; d < datagrams; ++d) {
    // Some come from this node, some from a peer that has left meanwhile.
    uint32_t source = static_cast<uint32_t>(random.below(peer_count + 1)) * 3;
    if (random.chance(0.2)) source = stage::no_peer;
    const auto hops = static_cast<uint8_t>(random.chance(0.05) ? 32 : random.below(32));
    std::vector<TestFrame> frames;
    unsigned bytes = 0;
    for (unsigned f = static_cast<unsigned>(random.below(8)) + 1; f > 0; --f) {
      const auto payload = static_cast<unsigned>(random.below(random.chance(0.5) ? 90 : 1500));
      if (random.chance(0.2)) {
        frames.push_back(world.frame_refused_by(random_peers(random, peer_count), payload));
      } else {
        frames.push_back(world.frame(payload, random.chance(0.1)));
      }
      frames.back().is_kept = random.chance(0.9);
      bytes += static_cast<unsigned>(frames.back().bytes.size());
      if (bytes > 7000) break;
    }
    world.arrive(source, hops, frames);
    for (const TestFrame& frame : frames) {
      if (!frame.is_kept) continue;
      for (const fanout::Peer& peer : world.peers.peers) {
        if (peer.peer == source) continue;
        if (frame.stream != nullptr && frame.stream->refused_by.read()->contains(peer.peer)) {
          continue;
        }
        Account& account = accounts[peer.peer];
        if (hops >= 32) {
          ++account.exhausted;
        } else if (frame.bytes.size() + 16 > peer.datagram_bytes_max) {
          ++account.too_big;
        } else {
          ++account.due[frame.bytes];
        }
      }
    }
  }
}

TEST(FanoutModel, EveryPeerGetsEveryFrameOnceOrItIsCounted) {
  unsigned bursts = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    World world(static_cast<unsigned>(seed % 3), seed);
    const unsigned peer_count = 1 + static_cast<unsigned>(world.random.below(7));
    for (uint32_t p = 0; p < peer_count; ++p) {
      fanout::Peer& peer = world.add_peer(p * 3, random_kind(world.random));
      if (world.random.chance(0.2)) peer.state->bucket.configure(1'000'000, 20'000);
    }
    std::map<uint32_t, Account> accounts;
    for (unsigned round = 0; round < 20; ++round, ++bursts) {
      for (const fanout::Peer& peer : world.peers.peers) {
        // On worker 0 a lane's packets leave in order even when a port stalls now and then.
        const bool stalls = world.worker == 0 && world.random.chance(0.3);
        world.port(peer.peer).room = stalls ? static_cast<unsigned>(world.random.below(5)) : ~0u;
      }
      world.burst->now_ns = seed * ns_per_s + round * ns_per_ms;
      random_burst(world, accounts);
      world.process();
      world.transmit();
    }
    for (const fanout::Peer& peer : world.peers.peers) world.port(peer.peer).room = ~0u;
    while (world.transmit() > 0) {
    }
    for (const fanout::Peer& peer : world.peers.peers) {
      SCOPED_TRACE(peer.peer);
      expect_settled(world, peer.peer, accounts[peer.peer]);
    }
  }
  EXPECT_EQ(bursts, 1000u);
}

}  // namespace
}  // namespace chaincast::test
