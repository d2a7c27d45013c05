// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "sim/links_world.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"

// Properties of the link machine over thousands of seeded networks.
namespace chaincast::sim {
namespace {

using hop::LinkState;

// Sanitizers cost a factor of twenty; a tenth of the seeds covers the same lines.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned share = 10;
#else
constexpr unsigned share = 1;
#endif
constexpr unsigned two_node_seeds = 9000 / share;
constexpr unsigned five_node_seeds = 1000 / share;

Conditions rough_path(Random& random) {
  Conditions path;
  path.loss = static_cast<double>(random.below(31)) / 100;
  path.duplication = static_cast<double>(random.below(11)) / 100;
  path.reordering = static_cast<double>(random.below(31)) / 100;
  path.delay_ns = random.below(50 * ns_per_ms);
  path.jitter_ns = random.below(10 * ns_per_ms);
  path.reorder_ns = random.below(300 * ns_per_ms);
  return path;
}

Conditions clean_path() {
  Conditions path;
  path.delay_ns = 5 * ns_per_ms;
  return path;
}

void set_all(World& world, const std::function<Conditions()>& make) {
  for (unsigned a = 0; a < world.size(); ++a) {
    for (unsigned b = 0; b < world.size(); ++b) {
      if (a != b) world.network().set(a, b, make());
    }
  }
}

// One thing that happens to a network, by chance: restart, partition, replay, alteration, spoofing.
void disturb(World& world) {
  Random& random = world.random();
  const auto one = static_cast<unsigned>(random.below(world.size()));
  const unsigned other =
      (one + 1 + static_cast<unsigned>(random.below(world.size() - 1))) % world.size();
  const Delivery* old = world.recorded();
  switch (random.below(8)) {
    case 0:
      world.stop(one, random.chance(0.5));
      world.run_until(world.now_ns() + random.below(7 * ns_per_s));
      world.start(one);
      break;
    case 1:
      world.network().cut({one}, {other}, true);
      world.run_until(world.now_ns() + random.below(8 * ns_per_s));
      world.network().cut({one}, {other}, false);
      break;
    case 2:  // altered
      if (old != nullptr) {
        Bytes bytes = old->bytes;
        bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1 + random.below(255));
        world.inject(old->from, old->to, std::move(bytes));
      }
      break;
    case 3:  // from somebody else's address, or back to its sender
      if (old != nullptr) world.inject(one, other, old->bytes);
      if (old != nullptr) world.inject(old->to, old->from, old->bytes);
      break;
    default:  // replayed
      if (old != nullptr) world.inject(old->from, old->to, old->bytes);
      break;
  }
}

void expect_whole(World& world, uint64_t seed) {
  for (unsigned a = 0; a < world.size(); ++a) {
    for (unsigned b = 0; b < a; ++b) {
      ASSERT_TRUE(world.agree(a, b))
          << "seed " << seed << " nodes " << a << " and " << b << ": "
          << world.node(a).links->status(world.peer_of(a, b)).detail << " / "
          << world.node(b).links->status(world.peer_of(b, a)).detail;
    }
  }
  ASSERT_TRUE(world.passes(0, 1)) << "seed " << seed;
  ASSERT_TRUE(world.passes(1, 0)) << "seed " << seed;
  ASSERT_EQ(world.toolbox().reused(), 0u) << "seed " << seed;
}

void live_through(unsigned nodes, uint64_t seed) {
  World world(nodes, seed);
  for (unsigned a = 0; a < nodes; ++a) {
    for (unsigned b = 0; b < a; ++b) world.connect(a, b);
    world.node(a).options.tx_lanes = static_cast<uint16_t>(world.random().below(4));
  }
  set_all(world, [&] { return rough_path(world.random()); });
  for (unsigned i = 0; i < nodes; ++i) {
    if (world.random().chance(0.5)) {
      world.run_until(world.now_ns() + world.random().below(ns_per_s));
    }
    world.start(i);
  }
  const TimeNs end_ns = world.now_ns() + 15 * ns_per_s;
  while (world.now_ns() < end_ns) {
    world.run_until(world.now_ns() + world.random().below(2 * ns_per_s));
    disturb(world);
  }
  // Quiet: nothing else happens, and paths stop losing.
  set_all(world, clean_path);
  world.run_until(world.now_ns() + 20 * ns_per_s);
  expect_whole(world, seed);
  const unsigned ups = world.node(0).ups;
  world.run_until(world.now_ns() + 10 * ns_per_s);
  ASSERT_EQ(world.node(0).ups, ups) << "seed " << seed << ": still changing sessions";

  world.network().cut({0}, {1}, true);
  world.run_until(world.now_ns() + world.node(0).options.timers.dead_ns +
                  6 * ns_per_ms);  // and what is under way
  ASSERT_FALSE(world.is_up(0, 1)) << "seed " << seed;
  ASSERT_FALSE(world.is_up(1, 0)) << "seed " << seed;
}

TEST(SimLinks, TwoNodesAlwaysEndWithOneSession) {
  for (uint64_t seed = 0; seed < two_node_seeds; ++seed) {
    live_through(2, seed);
    if (HasFatalFailure()) return;
  }
}

TEST(SimLinks, FiveNodesAlwaysEndWithOneSessionEach) {
  for (uint64_t seed = 0; seed < five_node_seeds; ++seed) {
    live_through(5, seed);
    if (HasFatalFailure()) return;
  }
}

// An outsider who hears everything and may send from any address: replays, alterations, spoofed
// sources. The session that stands, stands; and a handshake that goes on meanwhile completes.
TEST(SimLinks, NothingOldOrForgedTouchesALink) {
  for (uint64_t seed = 0; seed < 300 / share; ++seed) {
    World world(2, seed);
    world.connect(0, 1);
    world.network().set_default(clean_path());
    world.start(0);
    world.start(1);
    const auto attack = [&](unsigned times) {
      for (unsigned i = 0; i < times; ++i) {
        const Delivery* old = world.recorded();
        if (old == nullptr) break;
        Bytes bytes = old->bytes;
        if (world.random().chance(0.3)) bytes[world.random().below(bytes.size())] ^= 0x10;
        if (world.random().chance(0.2)) bytes.resize(world.random().below(bytes.size()));
        const bool reflect = world.random().chance(0.2);
        world.inject(reflect ? old->to : old->from, reflect ? old->from : old->to, bytes);
        world.run_until(world.now_ns() + world.random().below(20 * ns_per_ms));
      }
    };
    attack(100);
    world.stop(0, false);  // so that hellos of former sessions are in the record
    world.run_until(world.now_ns() + ns_per_s);
    world.start(0);
    attack(300);
    world.run_until(world.now_ns() + 8 * ns_per_s);
    ASSERT_TRUE(world.agree(0, 1)) << "seed " << seed;
    const hop::LinkStatus before = world.node(0).links->status(0);
    const unsigned ups[] = {world.node(0).ups, world.node(1).ups};
    const unsigned downs[] = {world.node(0).downs, world.node(1).downs};
    attack(500);
    for (const unsigned i : {0u, 1u}) {
      ASSERT_EQ(world.node(i).ups, ups[i]) << "seed " << seed;
      ASSERT_EQ(world.node(i).downs, downs[i]) << "seed " << seed;
    }
    ASSERT_EQ(world.node(0).links->status(0).detail, before.detail);
    ASSERT_TRUE(world.agree(0, 1)) << "seed " << seed;
    ASSERT_EQ(world.toolbox().reused(), 0u) << "seed " << seed;
  }
}

TEST(SimLinks, BothAskAtOnceAndOneSessionRemains) {
  for (uint64_t seed = 0; seed < 1000 / share; ++seed) {
    World world(2, seed);
    world.connect(0, 1);
    Conditions path = rough_path(world.random());
    world.network().set_default(path);
    world.start(0);
    world.start(1);
    world.run_until(world.now_ns() + 30 * ns_per_s);
    world.network().set(0, 1, clean_path());
    world.network().set(1, 0, clean_path());
    world.run_until(world.now_ns() + 10 * ns_per_s);
    ASSERT_TRUE(world.agree(0, 1)) << "seed " << seed;
    if (path.loss == 0 && path.reordering == 0) {
      ASSERT_LE(world.node(0).ups, 2u) << seed;
    }
  }
}

Conditions limited(Conditions path, unsigned ip_bytes) {
  path.datagram_bytes_max = ip_bytes - 28;
  return path;
}

TEST(SimLinks, PathMtuIsFoundExactlyAndFollowed) {
  constexpr unsigned usual[] = {1280, 1400, 1420, 1492, 1500, 8900, 9000};
  for (uint64_t seed = 0; seed < 300 / share; ++seed) {
    World world(2, seed);
    Random& random = world.random();
    const uint16_t port_mtu = random.chance(0.5) ? 1500 : 9000;
    world.connect(0, 1, port_mtu);
    unsigned path_mtu = usual[random.below(std::size(usual))];
    if (random.chance(0.5)) path_mtu = 600 + static_cast<unsigned>(random.below(8400));
    // Loss that all tries of one size may share would make it look too large for a minute.
    Conditions path = rough_path(random);
    path.loss /= 3;
    world.network().set_default(limited(path, path_mtu));
    world.start(0);
    world.start(1);
    world.run_until(world.now_ns() + 200 * ns_per_s);
    const unsigned expected = std::min<unsigned>(path_mtu, port_mtu);
    ASSERT_EQ(world.node(0).links->status(0).mtu_bytes, expected) << "seed " << seed;
    ASSERT_EQ(world.node(1).links->status(0).mtu_bytes, expected) << "seed " << seed;

    // A black hole: the path shrinks and says nothing.
    const unsigned shrunk = 576 + static_cast<unsigned>(random.below(expected - 576));
    world.network().set(0, 1, limited(path, shrunk));
    world.run_until(world.now_ns() + 30 * ns_per_s);
    ASSERT_LE(world.node(0).links->status(0).mtu_bytes, std::max(shrunk, 1280u)) << seed;
    world.run_until(world.now_ns() + 150 * ns_per_s);
    ASSERT_EQ(world.node(0).links->status(0).mtu_bytes, shrunk) << "seed " << seed;
    ASSERT_EQ(world.node(1).links->status(0).mtu_bytes, expected) << "seed " << seed;
    ASSERT_EQ(world.node(0).downs, 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace chaincast::sim
