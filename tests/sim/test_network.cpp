// SPDX-License-Identifier: BSD-3-Clause
#include "sim/network.hpp"

#include <gtest/gtest.h>

namespace chaincast::sim {
namespace {

// Everything that arrives, in order.
std::vector<Delivery> drain(Network& network) {
  std::vector<Delivery> out;
  while (auto delivery = network.receive(time_never - 1)) out.push_back(std::move(*delivery));
  return out;
}

TEST(Network, DeliversInOrderAfterTheDelay) {
  Network network(1);
  for (uint8_t i = 0; i < 10; ++i) network.send(0, 1, {i}, 100);
  EXPECT_EQ(network.next_ns(), 100 + ns_per_ms);
  EXPECT_FALSE(network.receive(99 + ns_per_ms));
  const auto arrived = drain(network);
  ASSERT_EQ(arrived.size(), 10u);
  for (uint8_t i = 0; i < 10; ++i) EXPECT_EQ(arrived[i].bytes, Bytes{i});
  EXPECT_EQ(network.next_ns(), time_never);
}

TEST(Network, SameSeedSameRun) {
  const auto run = [](uint64_t seed) {
    Network network(seed);
    Conditions rough;
    rough.loss = 0.2;
    rough.duplication = 0.1;
    rough.reordering = 0.3;
    rough.jitter_ns = ns_per_ms;
    network.set_default(rough);
    for (uint8_t i = 0; i < 200; ++i) network.send(0, 1, {i}, i * ns_per_us);
    Bytes order;
    for (const Delivery& delivery : drain(network)) order.push_back(delivery.bytes[0]);
    return order;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(Network, SharesAreWhatTheConditionsSay) {
  Network network(3);
  Conditions rough;
  rough.loss = 0.3;
  rough.duplication = 0.1;
  network.set(0, 1, rough);
  for (int i = 0; i < 100'000; ++i) network.send(0, 1, {}, 0);
  EXPECT_NEAR(static_cast<double>(network.counters().lost), 30'000, 1'000);
  EXPECT_NEAR(static_cast<double>(network.counters().duplicated), 7'000, 500);
  EXPECT_EQ(drain(network).size(),
            100'000 - network.counters().lost + network.counters().duplicated);
  network.send(1, 0, {}, 0);  // the other direction has its own
  EXPECT_EQ(network.get(1, 0).loss, 0);
}

TEST(Network, CutsBothDirectionsBetweenSidesOnly) {
  Network network(4);
  network.cut({0, 1}, {2}, true);
  network.send(0, 2, {}, 0);
  network.send(2, 1, {}, 0);
  network.send(0, 1, {}, 0);
  EXPECT_EQ(network.counters().cut, 2u);
  EXPECT_EQ(drain(network).size(), 1u);
  network.cut({0, 1}, {2}, false);
  network.send(2, 1, {}, 0);
  EXPECT_EQ(drain(network).size(), 1u);
}

TEST(Network, RateSpacesAndQueueBounds) {
  Network network(5);
  Conditions slow;
  slow.rate_bytes_per_s = 1'000'000;
  slow.queue_bytes = 5'000;
  slow.delay_ns = 0;
  network.set(0, 1, slow);
  for (int i = 0; i < 10; ++i) network.send(0, 1, Bytes(1'000), 0);
  EXPECT_EQ(network.counters().queue_full, 5u);
  const auto arrived = drain(network);
  ASSERT_EQ(arrived.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(arrived[i].at_ns, (i + 1) * ns_per_ms);
}

TEST(Network, DropsWhatExceedsThePath) {
  Network network(6);
  Conditions narrow;
  narrow.datagram_bytes_max = 100;
  network.set(0, 1, narrow);
  network.send(0, 1, Bytes(100), 0);
  network.send(0, 1, Bytes(101), 0);
  EXPECT_EQ(network.counters().too_big, 1u);
}

}  // namespace
}  // namespace chaincast::sim
