// SPDX-License-Identifier: BSD-3-Clause
#include "rcu/rcu.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace chaincast::rcu {
namespace {

struct Tracked {
  explicit Tracked(std::atomic<int>& alive, int v) : alive_(alive), value(v) { ++alive_; }
  ~Tracked() { --alive_; }
  std::atomic<int>& alive_;
  int value;
};

TEST(Published, OldValueLivesUntilTheReaderIsQuiescent) {
  std::atomic<int> alive{0};
  Published<Tracked> published;
  Retirer retirer;
  published.publish(std::make_unique<Tracked>(alive, 1), retirer);

  std::atomic<int> phase{0};
  std::thread reader([&] {
    Reader registration;
    const Tracked* seen = published.read();
    phase = 1;
    while (phase.load() != 2) std::this_thread::yield();
    EXPECT_EQ(seen->value, 1);  // published over, retired, still readable
    EXPECT_EQ(alive.load(), 2);
    phase = 3;
    registration.quiescent();
    registration.offline();
    while (phase.load() != 4) std::this_thread::yield();
    registration.online();
  });
  while (phase.load() != 1) std::this_thread::yield();
  published.publish(std::make_unique<Tracked>(alive, 2), retirer);
  EXPECT_EQ(retirer.pending(), 1u);
  phase = 2;
  retirer.flush();
  EXPECT_GE(phase.load(), 3);
  EXPECT_EQ(alive.load(), 1);
  phase = 4;
  reader.join();
}

TEST(IdTable, FindsExactKeysAndIsBounded) {
  IdTable table(64, 3);
  Retirer retirer;
  auto one = std::make_shared<int>(1);
  EXPECT_TRUE(table.insert(7, one));
  EXPECT_FALSE(table.insert(7, std::make_shared<int>(2)));
  EXPECT_TRUE(table.insert(7 + 64, std::make_shared<int>(3)));
  EXPECT_TRUE(table.insert(0, std::make_shared<int>(4)));
  EXPECT_FALSE(table.insert(1, std::make_shared<int>(5)));
  EXPECT_EQ(table.find(7), one.get());
  EXPECT_EQ(table.find(8), nullptr);
  EXPECT_TRUE(table.remove(7, retirer));
  EXPECT_FALSE(table.remove(7, retirer));
  EXPECT_EQ(table.find(7), nullptr);
  EXPECT_EQ(one.use_count(), 2);
  retirer.flush();
  EXPECT_EQ(one.use_count(), 1);
}

TEST(IdTable, ReadersSeeOldOrNewWhileAWriterChurns) {
  IdTable table(256, 256);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> hits{0};
  std::thread reader([&] {
    Reader registration;
    while (!stop.load()) {
      for (uint64_t key = 0; key < 64; ++key) {
        if (const auto* found = static_cast<const uint64_t*>(table.find(key))) {
          ASSERT_EQ(*found, key);
          ++hits;
        }
      }
      registration.quiescent();
    }
  });
  Retirer retirer;
  for (int round = 0; round < 200 || hits.load() == 0; ++round) {
    for (uint64_t key = 0; key < 64; ++key) table.insert(key, std::make_shared<uint64_t>(key));
    for (uint64_t key = 0; key < 64; ++key) table.remove(key, retirer);
    retirer.flush();
  }
  stop = true;
  reader.join();
  EXPECT_GT(hits.load(), 0u);
}

}  // namespace
}  // namespace chaincast::rcu
