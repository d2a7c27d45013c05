// SPDX-License-Identifier: BSD-3-Clause
#include "port/link/link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "port/memory/memory.hpp"
#include "support/eal.hpp"
#include "support/mbufs.hpp"

namespace chaincast::port {
namespace {

using testing::HasSubstr;

class Link : public testing::Test {
 protected:
  void SetUp() override {
    pool_ = test::make_pool(8191);
    network_ = MemoryNetwork::make();
    b_ = attach("192.0.2.2");
    rebuild(1);
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  std::unique_ptr<Port> attach(const std::string& address) {
    MemoryConfig config;
    config.name = address;
    config.addresses = {*parse_address(address)};
    config.udp_port = 7000;
    config.ring_packets = 4096;
    Result<std::unique_ptr<Port>> port = network_->attach(config, pool_);
    CC_ASSERT(port.ok() && (*port)->start().ok());
    return std::move(port).value();
  }
  void rebuild(uint64_t seed, unsigned held_packets_max = 4096) {
    a_.reset();
    LinkConfig config;
    config.seed = seed;
    config.held_packets_max = held_packets_max;
    Result<std::unique_ptr<LinkPort>> made = make_link(attach("192.0.2.1"), config, pool_, clock_);
    CC_ASSERT(made.ok());
    a_ = std::move(made).value();
    to_ = *a_->destination(*parse_endpoint("192.0.2.2:7000"), 7000);
  }
  void set(const LinkSettings& settings) { ASSERT_TRUE(a_->set(settings).ok()); }
  // Numbered packets [first, first + count).
  void send(uint32_t first, unsigned count, size_t bytes = 4) {
    for (uint32_t i = first; i < first + count; ++i) {
      Bytes content(bytes);
      store_be32(content.data(), i);
      rte_mbuf* packet = test::make_packet(pool_, content, {2});
      const unsigned taken = a_->transmit(0, to_, &packet, 1);
      if (taken == 0) rte_pktmbuf_free(packet);
      taken_ += taken;
    }
  }
  // The numbers that arrived by now.
  std::vector<uint32_t> receive() {
    std::vector<uint32_t> out;
    stage::Datagram datagrams[64];
    unsigned count;
    a_->tick(0, clock_.now_ns());
    do {
      count = b_->receive(0, datagrams, 64, drops_);
      for (unsigned i = 0; i < count; ++i) {
        out.push_back(load_be32(datagrams[i].data));
        rte_pktmbuf_free(datagrams[i].mbuf);
      }
    } while (count > 0);
    return out;
  }
  // Sends `count` in slices and gathers everything.
  std::vector<uint32_t> run(unsigned count) {
    std::vector<uint32_t> out;
    for (uint32_t sent = 0; sent < count; sent += 50) {
      send(sent, 50);
      clock_.advance(100 * ns_per_us);
      const std::vector<uint32_t> part = receive();
      out.insert(out.end(), part.begin(), part.end());
    }
    clock_.advance(10 * ns_per_s);
    const std::vector<uint32_t> rest = receive();
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }

  rte_mempool* pool_ = nullptr;
  std::shared_ptr<MemoryNetwork> network_;
  ManualClock clock_;
  std::unique_ptr<LinkPort> a_;
  std::unique_ptr<Port> b_;
  Destination to_;
  stage::Burst::Drops drops_;
  unsigned taken_ = 0;
};

// Within five standard deviations of count * p.
void expect_share(uint64_t found, unsigned count, double p) {
  const double deviation = std::sqrt(count * p * (1 - p));
  EXPECT_NEAR(static_cast<double>(found), count * p, 5 * deviation);
}

TEST_F(Link, IsAWireByDefault) {
  send(0, 10);
  EXPECT_EQ(receive(), (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(a_->link_counters().passed, 10u);
}

TEST_F(Link, DelaysToTheNanosecondAndKeepsOrderWhenTheDelayShrinks) {
  LinkSettings settings;
  settings.delay_ns = 5 * ns_per_ms;
  set(settings);
  send(0, 2);
  clock_.advance(ns_per_ms);
  set({});
  send(2, 1);
  clock_.advance(4 * ns_per_ms - 1);
  EXPECT_TRUE(receive().empty());
  EXPECT_EQ(a_->link_counters().held, 3u);
  clock_.advance(1);
  EXPECT_EQ(receive(), (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(Link, ChancesComeOutAsSetAndTheCountersTellTheTruth) {
  LinkSettings settings;
  settings.loss = 0.05;
  settings.duplication = 0.01;
  settings.reordering = 0.02;
  settings.delay_ns = ns_per_ms;
  settings.jitter_ns = ns_per_ms;
  set(settings);
  constexpr unsigned count = 20000;
  const std::vector<uint32_t> got = run(count);
  const LinkCounters c = a_->link_counters();
  expect_share(c.lost, count, 0.05);
  expect_share(c.duplicated, count, 0.01 * 0.95);
  expect_share(c.reordered, count, 0.02 * 0.95);
  EXPECT_EQ(c.held, 0u);
  EXPECT_EQ(c.offered, count + c.duplicated);
  EXPECT_EQ(c.passed, got.size());
  EXPECT_EQ(c.passed, count - c.lost + c.duplicated);
  std::vector<unsigned> times(count);
  uint64_t overtaken = 0;
  uint32_t highest = 0;
  for (const uint32_t number : got) {
    ++times[number];
    if (number < highest) ++overtaken;
    highest = std::max(highest, number);
  }
  EXPECT_EQ(std::count(times.begin(), times.end(), 0u), static_cast<long>(c.lost));
  EXPECT_EQ(std::count(times.begin(), times.end(), 2u), static_cast<long>(c.duplicated));
  // A late one arrives behind later ones, but for the run's very end.
  EXPECT_GE(overtaken + 5, c.reordered);
}

TEST_F(Link, JitterAloneKeepsOrder) {
  LinkSettings settings;
  settings.jitter_ns = 5 * ns_per_ms;
  set(settings);
  const std::vector<uint32_t> got = run(1000);
  EXPECT_EQ(got.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST_F(Link, OneSeedIsOneHistory) {
  LinkSettings settings;
  settings.loss = 0.3;
  settings.reordering = 0.1;
  auto history = [&](uint64_t seed) {
    rebuild(seed);
    CC_ASSERT(a_->set(settings).ok());
    return run(500);
  };
  const std::vector<uint32_t> first = history(7);
  EXPECT_EQ(history(7), first);
  EXPECT_NE(history(8), first);
}

TEST_F(Link, FlipsExactlyOneBitAndOnlyInItsCopy) {
  LinkSettings settings;
  settings.flip = 1;
  set(settings);
  const Bytes content(100, 0x55);
  rte_mbuf* packet = test::make_packet(pool_, content);
  rte_mbuf_refcnt_update(packet, 1);  // someone else's payload
  ASSERT_EQ(a_->transmit(0, to_, &packet, 1), 1u);
  EXPECT_EQ(std::memcmp(rte_pktmbuf_mtod(packet, void*), content.data(), 100), 0);
  rte_pktmbuf_free(packet);
  stage::Datagram datagram;
  ASSERT_EQ(b_->receive(0, &datagram, 1, drops_), 1u);
  int bits = 0;
  for (size_t i = 0; i < 100; ++i) {
    bits += std::popcount(static_cast<unsigned>(datagram.data[i] ^ content[i]));
  }
  EXPECT_EQ(bits, 1);
  rte_pktmbuf_free(datagram.mbuf);
  EXPECT_EQ(a_->link_counters().flipped, 1u);
}

TEST_F(Link, RateIsKeptAndItsQueueBounded) {
  LinkSettings settings;
  settings.rate_bytes_per_s = 1'000'000;
  settings.rate_queue_bytes = 20'000;
  set(settings);
  send(0, 100, 1000);  // a tenth of a second's worth at once
  const LinkCounters c = a_->link_counters();
  EXPECT_EQ(c.throttled, 100u - 21u);
  size_t got = receive().size();
  EXPECT_EQ(got, 0u);
  for (unsigned ms = 1; ms <= 30; ++ms) {
    clock_.advance(ns_per_ms);
    got += receive().size();
    EXPECT_EQ(got, std::min(ms, 21u));
  }
}

TEST_F(Link, CutsEverythingOrOneRemoteWhileRunning) {
  const auto c = attach("192.0.2.3");
  LinkSettings settings;
  settings.is_cut = true;
  set(settings);
  send(0, 5);
  EXPECT_TRUE(receive().empty());
  settings.is_cut = false;
  settings.cut_remotes[0] = *parse_address("192.0.2.3");
  settings.cut_remote_count = 1;
  set(settings);
  send(5, 2);
  EXPECT_EQ(receive(), (std::vector<uint32_t>{5, 6}));
  to_ = *a_->destination(*parse_endpoint("192.0.2.3:7000"), 7000);
  send(7, 2);
  EXPECT_EQ(network_->pending(), 0u);
  set({});
  send(9, 1);
  EXPECT_EQ(network_->pending(), 1u);
  EXPECT_EQ(a_->link_counters().cut, 7u);
}

TEST_F(Link, HoldsNoMoreThanItsBound) {
  rebuild(1, 8);
  LinkSettings settings;
  settings.delay_ns = ns_per_s;
  set(settings);
  send(0, 20);
  EXPECT_EQ(a_->link_counters().overflow, 12u);
  clock_.advance(ns_per_s);
  EXPECT_EQ(receive().size(), 8u);
}

TEST_F(Link, FullPortInsideKeepsPacketsInOrder) {
  LinkSettings settings;
  settings.delay_ns = ns_per_ms;
  set(settings);
  std::vector<uint32_t> got;
  for (uint32_t first = 0; first < 6000; first += 3000) {
    send(first, 3000);
    clock_.advance(ns_per_ms);
    a_->tick(0, 0);
  }
  EXPECT_GT(a_->counters().tx_full + network_->pending(), 4000u);
  for (int i = 0; i < 3; ++i) {
    const std::vector<uint32_t> part = receive();
    got.insert(got.end(), part.begin(), part.end());
  }
  EXPECT_EQ(a_->link_counters().no_buffer + a_->link_counters().overflow + got.size(), 6000u);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST_F(Link, RefusesImpossibleSettings) {
  LinkSettings settings;
  settings.loss = 1.5;
  EXPECT_THAT(a_->set(settings).error().message, HasSubstr("1.5"));
  settings.loss = std::nan("");
  EXPECT_FALSE(a_->set(settings).ok());
}

}  // namespace
}  // namespace chaincast::port
