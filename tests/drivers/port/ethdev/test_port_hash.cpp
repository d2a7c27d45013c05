// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/port_hash.hpp"

#include <gtest/gtest.h>
#include <rte_thash.h>

#include <array>

#include "base/random.hpp"

// Against DPDK's own Toeplitz hash in software, which knows nothing of ours.
namespace chaincast::port::ethdev {
namespace {

constexpr std::array<uint16_t, 4> bases = {7000, 7003, 65519, 1};
constexpr std::array<uint16_t, 4> queue_counts = {2, 3, 5, 17};
constexpr unsigned words_v4 = RTE_THASH_V4_L4_LEN, words_v6 = RTE_THASH_V6_L4_LEN;

class Senders {
 public:
  // The queue that a datagram from anywhere comes to.
  unsigned queue_of(const PortHash& hash, bool is_ipv6, uint16_t port) {
    std::array<uint32_t, words_v6> input{};
    const unsigned words = is_ipv6 ? words_v6 : words_v4;
    for (unsigned i = 0; i < words; ++i) input[i] = static_cast<uint32_t>(random_.next());
    // Source port and destination port, as rte_thash.h lays them out.
    input[words - 1] = (input[words - 1] & 0xffff0000u) | port;
    const uint32_t value = rte_softrss(input.data(), words, hash.key.data());
    return hash.queue_of[value & (hash.queue_of.size() - 1)];
  }

 private:
  Random random_{7};
};

TEST(PortHash, DependsOnTheUdpPortAlone) {
  Senders senders;
  for (const bool is_ipv6 : {false, true}) {
    for (const uint16_t base : bases) {
      for (const uint16_t queues : queue_counts) {
        const auto hash = hash_ports(base, queues, is_ipv6, 128);
        ASSERT_TRUE(hash.has_value());
        for (unsigned n = 0; n < 20u * queues; ++n) {
          const auto q = static_cast<uint16_t>(n % queues);
          const auto port = static_cast<uint16_t>(base + q);
          ASSERT_EQ(senders.queue_of(*hash, is_ipv6, port), q)
              << (is_ipv6 ? "IPv6, port " : "IPv4, port ") << port << ", queues " << queues;
        }
      }
    }
  }
}

TEST(PortHash, OtherPortsComeToSomeQueueThatIsThere) {
  Senders senders;
  const auto hash = hash_ports(7000, 3, false, 64);
  ASSERT_TRUE(hash.has_value());
  for (unsigned port = 1; port <= 65535; ++port) {
    ASSERT_LT(senders.queue_of(*hash, false, static_cast<uint16_t>(port)), 3u);
  }
}

TEST(PortHash, WantsATableThatHoldsThePorts) {
  EXPECT_FALSE(hash_ports(7000, 5, false, 4));
  EXPECT_FALSE(hash_ports(7000, 2, false, 0));
  EXPECT_FALSE(hash_ports(7000, 2, false, 96));
  EXPECT_FALSE(hash_ports(7000, 1, false, 128));
  EXPECT_TRUE(hash_ports(7000, 4, false, 4));
}

}  // namespace
}  // namespace chaincast::port::ethdev
