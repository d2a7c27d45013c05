// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/ring.hpp"
#include "base/thread.hpp"

namespace chaincast {
namespace {

TEST(ByteReader, PastTheEndYieldsZeroAndStaysBad) {
  const uint8_t raw[] = {1, 2, 3};
  ByteReader reader(raw);
  EXPECT_EQ(reader.be16(), 0x0102);
  EXPECT_EQ(reader.be32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_FALSE(reader.finished());
}

TEST(ByteReader, FinishedOnlyWhenAllIsConsumed) {
  const uint8_t raw[] = {1, 2, 3};
  ByteReader reader(raw);
  reader.be16();
  EXPECT_TRUE(reader.ok());
  EXPECT_FALSE(reader.finished());
  reader.u8();
  EXPECT_TRUE(reader.finished());
}

TEST(Hex, RoundTripAndRefusal) {
  const Bytes raw = {0x00, 0xff, 0x1a};
  EXPECT_EQ(to_hex(raw), "00ff1a");
  EXPECT_EQ(from_hex("00FF1a"), raw);
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Rings, KeepOrderAndRefuseWhenFull) {
  base::SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(int{i}));
  EXPECT_FALSE(ring.push(9));
  int item = -1;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.pop(item));
    EXPECT_EQ(item, i);
  }
  EXPECT_FALSE(ring.pop(item));
}

TEST(Rings, ManyProducersLoseNothing) {
  base::MpmcRing<uint64_t> ring(256);
  constexpr uint64_t each = 20000;
  std::atomic<uint64_t> sum{0};
  std::atomic<uint64_t> count{0};
  {
    std::vector<std::jthread> threads;
    for (uint64_t p = 0; p < 2; ++p) {
      threads.emplace_back([&ring, p] {
        for (uint64_t i = 0; i < each; ++i) {
          while (!ring.push(p * each + i)) std::this_thread::yield();
        }
      });
    }
    for (int c = 0; c < 2; ++c) {
      threads.emplace_back([&] {
        uint64_t item = 0;
        while (count.load() < 2 * each) {
          if (!ring.pop(item)) {
            std::this_thread::yield();
            continue;
          }
          sum += item;
          ++count;
        }
      });
    }
  }
  EXPECT_EQ(sum.load(), (2 * each) * (2 * each - 1) / 2);
}

TEST(ThreadStarter, RefusesACpuOutsideTheSavedSet) {
  base::ThreadStarter starter;
  const auto refused = starter.start_pinned("w", 4095, [](std::stop_token) {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("4095"), std::string::npos);
}

}  // namespace
}  // namespace chaincast
