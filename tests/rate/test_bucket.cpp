// SPDX-License-Identifier: BSD-3-Clause
#include "rate/bucket.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/random.hpp"

namespace chaincast::rate {
namespace {

using Class = Bucket::Class;

TEST(Bucket, UnlimitedTakesEverything) {
  Bucket bucket;
  for (unsigned i = 0; i < 1000; ++i) EXPECT_TRUE(bucket.take(~0u, Class::bulk, 0));
  EXPECT_EQ(bucket.rate_bytes_per_s(), 0u);
  bucket.configure(1000, 1000);
  EXPECT_FALSE(bucket.take(2000, Class::priority, ns_per_s));
  bucket.configure(0, 0);
  EXPECT_TRUE(bucket.take(2000, Class::priority, ns_per_s));
}

TEST(Bucket, StartsFullAndFillsAtItsRate) {
  Bucket bucket;
  bucket.configure(1000, 800);
  TimeNs now = 10 * ns_per_s;
  EXPECT_TRUE(bucket.take(800, Class::priority, now));
  EXPECT_FALSE(bucket.take(1, Class::priority, now));
  now += 100 * ns_per_ms;
  EXPECT_FALSE(bucket.take(101, Class::priority, now));
  EXPECT_TRUE(bucket.take(99, Class::priority, now));
  now += 3600 * ns_per_s;
  EXPECT_FALSE(bucket.take(801, Class::priority, now)) << "an idle hour saves up one burst";
  EXPECT_TRUE(bucket.take(800, Class::priority, now));
}

TEST(Bucket, BulkLeavesAnEighthToPriority) {
  Bucket bucket;
  bucket.configure(1000, 8000);
  const TimeNs now = 10 * ns_per_s;
  unsigned bulk = 0;
  while (bucket.take(10, Class::bulk, now)) bulk += 10;
  EXPECT_EQ(bulk, 7000u);
  unsigned priority = 0;
  while (bucket.take(10, Class::priority, now)) priority += 10;
  EXPECT_EQ(priority, 1000u);
}

TEST(Bucket, BulkAtItsLimitNeverStarvesPriority) {
  Bucket bucket;
  bucket.configure(1'000'000, 80'000);
  unsigned served = 0;
  for (TimeNs now = ns_per_s; now < 3 * ns_per_s; now += 10 * ns_per_us) {
    while (bucket.take(1500, Class::bulk, now)) {
    }
    // A tenth of the rate.
    if (now % (15 * ns_per_ms) == 0) served += bucket.take(1500, Class::priority, now) ? 1u : 0u;
  }
  EXPECT_EQ(served, 133u);
}

TEST(Bucket, RefusalCostsNothing) {
  Bucket bucket;
  bucket.configure(1000, 1000);
  const TimeNs now = 10 * ns_per_s;
  for (unsigned i = 0; i < 100; ++i) EXPECT_FALSE(bucket.take(1001, Class::priority, now));
  EXPECT_TRUE(bucket.take(1000, Class::priority, now));
}

// Long-run rate from 1 byte/s to 100 Gbit/s, after a year of uptime too.
TEST(Bucket, KeepsItsRateExactly) {
  for (const uint64_t rate :
       {uint64_t{1}, uint64_t{12'345}, uint64_t{125'000'000}, uint64_t{12'500'000'000}}) {
    for (const TimeNs start : {ns_per_s, 31'536'000 * ns_per_s}) {
      Bucket bucket;
      const uint64_t burst = 20'000;
      bucket.configure(rate, burst);
      const TimeNs length = 200'000 * ns_per_s / std::max<uint64_t>(rate, 20'000) * 100;
      uint64_t taken = 0;
      const unsigned steps = 20'000;
      for (unsigned i = 0; i <= steps; ++i) {
        const TimeNs now = start + length / steps * i;
        while (bucket.take(100, Class::priority, now)) taken += 100;
      }
      const double earned = static_cast<double>(rate) * static_cast<double>(length) / 1e9;
      EXPECT_LE(static_cast<double>(taken), earned + static_cast<double>(burst) + 1);
      EXPECT_GE(static_cast<double>(taken), (earned + static_cast<double>(burst)) * 0.9999 - 200);
    }
  }
}

TEST(Bucket, AChangedRateTakesEffectAtOnce) {
  Bucket bucket;
  const TimeNs now = 1'000'000 * ns_per_s;
  bucket.configure(12'500'000'000, 100'000);
  while (bucket.take(1000, Class::bulk, now)) {
  }
  bucket.configure(1000, 10'000);
  unsigned taken = 0;
  while (bucket.take(1000, Class::priority, now)) taken += 1000;
  EXPECT_EQ(taken, 10'000u);
}

// A worker that read the old settings may write a time of the old byte clock after the change.
TEST(Bucket, SurvivesATakeThatRacesWithASlowerRate) {
  for (unsigned round = 0; round < 50; ++round) {
    Bucket bucket;
    const TimeNs now = 1'000'000 * ns_per_s;
    bucket.configure(12'500'000'000, 1'000'000);
    std::thread worker([&] {
      for (unsigned i = 0; i < 2000; ++i) bucket.take(1, Class::bulk, now);
    });
    bucket.configure(1000, 10'000);
    worker.join();
    EXPECT_TRUE(bucket.take(1000, Class::priority, now + 12 * ns_per_s));
  }
}

// Four workers, each with its own virtual clock, up to a millisecond apart.
TEST(Bucket, ManyWorkersTogetherNeverExceedRateAndBurst) {
  constexpr uint64_t rate = 50'000'000;
  constexpr uint64_t burst = 64'000;
  constexpr unsigned steps = 20'000;
  constexpr TimeNs step_ns = 10 * ns_per_us;
  Bucket bucket;
  bucket.configure(rate, burst);
  std::atomic<uint64_t> taken{0};
  std::atomic<unsigned> leader{0};
  std::vector<std::thread> workers;
  for (unsigned w = 0; w < 4; ++w) {
    workers.emplace_back([&, w] {
      Random random(w);
      uint64_t mine = 0;
      for (unsigned step = 0; step < steps; ++step) {
        // Stay within 100 steps of the fastest.
        unsigned ahead = leader.load();
        while (step > ahead && !leader.compare_exchange_weak(ahead, step)) {
        }
        if (ahead > step + 100) step = ahead - 100;
        const TimeNs now = 5 * ns_per_s + step * step_ns;
        const auto bytes = static_cast<uint32_t>(64 + random.below(1400));
        const Class traffic = random.chance(0.1) ? Class::priority : Class::bulk;
        for (unsigned i = 0; i < 4; ++i) mine += bucket.take(bytes, traffic, now) ? bytes : 0;
      }
      taken.fetch_add(mine);
    });
  }
  for (std::thread& worker : workers) worker.join();
  const uint64_t earned = rate / 1000 * (steps - 1) * step_ns / ns_per_ms;
  EXPECT_LE(taken.load(), earned + burst);
  EXPECT_GE(taken.load(), earned * 9 / 10) << "and it is not wasted";
}

}  // namespace
}  // namespace chaincast::rate
