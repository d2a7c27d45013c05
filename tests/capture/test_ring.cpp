// SPDX-License-Identifier: BSD-3-Clause
#include "capture/ring.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "base/thread.hpp"
#include "support/eal.hpp"
#include "support/random.hpp"

namespace chaincast::capture {
namespace {

bool put(RecordRing& ring, ByteSpan record) {
  uint8_t* const at = ring.reserve(record.size());
  if (at == nullptr) return false;
  std::copy(record.begin(), record.end(), at);
  return true;
}

Bytes front(RecordRing& ring) {
  const std::span<const uint8_t> record = ring.front();
  return Bytes(record.begin(), record.end());
}

TEST(RecordRing, GivesNothingBeforeItIsPublished) {
  RecordRing ring(1024);
  ASSERT_TRUE(put(ring, Bytes{1, 2, 3}));
  EXPECT_TRUE(front(ring).empty());
  ring.publish();
  EXPECT_EQ(front(ring), (Bytes{1, 2, 3}));
  ring.pop();
  EXPECT_TRUE(front(ring).empty());
}

TEST(RecordRing, RecordsAreAligned) {
  RecordRing ring(1024);
  for (size_t bytes = 1; bytes < 20; ++bytes) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ring.reserve(bytes)) % 8, 0u);
  }
}

TEST(RecordRing, RefusesWhatIsLargerThanItself) {
  RecordRing ring(256);
  EXPECT_EQ(ring.size_bytes(), 256u);
  EXPECT_EQ(ring.reserve(249), nullptr);
  EXPECT_NE(ring.reserve(248), nullptr);
  EXPECT_EQ(ring.reserve(0), nullptr);
}

// Against a queue of vectors, with records taken back, a slow consumer and every kind of wrap.
TEST(RecordRing, AgreesWithAQueue) {
  Random random(7);
  RecordRing ring(512);
  std::deque<Bytes> published, reserved;
  unsigned refused = 0, rewound = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    const uint64_t mark = ring.mark();
    const size_t before = reserved.size();
    for (uint64_t i = random.below(4); i > 0; --i) {
      const Bytes record = test::random_bytes(random, 1 + random.below(90));
      if (put(ring, record)) {
        reserved.push_back(record);
      } else {
        ++refused;
      }
    }
    if (random.below(5) == 0) {
      ring.rewind(mark);
      rewound += reserved.size() > before ? 1u : 0u;
      reserved.resize(before);
    }
    if (random.below(3) == 0) {
      ring.publish();
      published.insert(published.end(), reserved.begin(), reserved.end());
      reserved.clear();
    }
    for (uint64_t i = random.below(4); i > 0 && !published.empty(); --i) {
      ASSERT_EQ(front(ring), published.front());
      ring.pop();
      published.pop_front();
    }
    if (published.empty()) {
      ASSERT_TRUE(ring.front().empty());
    }
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(rewound, 100u);
}

TEST(RecordRing, RaceOfProducerAndConsumerLosesNothing) {
  constexpr uint64_t records = 50'000;
  RecordRing ring(4096);
  const std::jthread producer = test::ensure_eal().start("producer", [&](std::stop_token) {
    for (uint64_t i = 0; i < records;) {
      uint8_t* const at = ring.reserve(8 + i % 100);
      if (at == nullptr) {
        ring.publish();
        std::this_thread::yield();
        continue;
      }
      std::memset(at, static_cast<int>(i), 8 + i % 100);
      std::memcpy(at, &i, sizeof i);
      ++i;
    }
    ring.publish();
  });
  for (uint64_t i = 0; i < records;) {
    const std::span<const uint8_t> record = ring.front();
    if (record.empty()) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(record.size(), 8 + i % 100);
    uint64_t number = 0;
    std::memcpy(&number, record.data(), sizeof number);
    ASSERT_EQ(number, i);
    for (size_t at = 8; at < record.size(); ++at) ASSERT_EQ(record[at], static_cast<uint8_t>(i));
    ring.pop();
    ++i;
  }
  EXPECT_TRUE(ring.front().empty());
}

}  // namespace
}  // namespace chaincast::capture
