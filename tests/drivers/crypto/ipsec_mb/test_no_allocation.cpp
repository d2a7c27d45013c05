// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>

#include "crypto/frames.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "crypto/openssl/toolbox.hpp"

// Counts every malloc of the process, libcrypto's included. The sanitizers bring their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
std::atomic<uint64_t> allocations{0};
}

extern "C" void* __libc_malloc(size_t);
extern "C" __attribute__((visibility("default"))) void* malloc(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}

namespace chaincast::crypto {
namespace {

uint64_t allocations_of(FrameEngine& engine) {
  Random random(3);
  std::vector<std::unique_ptr<SuiteKey>> keys;
  std::vector<Bytes> frames;
  std::vector<FrameJob> jobs;
  for (size_t i = 0; i < 100; ++i) {
    const wire::Suite suite = test::all_suites[i % test::all_suites.size()];
    keys.push_back(test::make_key(engine, suite, 1, test::random_keys(random)));
    frames.push_back(test::unsealed_frame(random, suite, 1, random.below(3000)));
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    jobs.push_back(
        {.key = keys[i].get(), .frame = frames[i].data(), .frame_bytes = test::size_of(frames[i])});
  }
  Bytes out(3000);
  const uint64_t before = allocations.load();
  for (size_t i = 0; i < frames.size(); ++i) {
    engine.seal(*keys[i], frames[i].data(), test::size_of(frames[i]));
  }
  engine.verify(jobs);
  for (size_t i = 0; i < frames.size(); ++i) {
    engine.open(*keys[i], frames[i].data(), test::size_of(frames[i]), out.data());
  }
  const uint64_t after = allocations.load();
  for (const FrameJob& job : jobs) EXPECT_TRUE(job.ok);
  EXPECT_GT(before, 0u) << "the counter counts";
  return after - before;
}

TEST(NoAllocation, ReferenceEngine) {
  const auto engine = openssl::make_toolbox()->reference_engine();
  EXPECT_EQ(allocations_of(*engine), 0u);
}

TEST(NoAllocation, IpsecMbEngine) {
  for (const auto lanes : {ipsec_mb::Lanes::own, ipsec_mb::Lanes::ipsec_mb}) {
    const auto engine = ipsec_mb::make_engine(openssl::sha256, lanes);
    ASSERT_TRUE(engine.ok());
    EXPECT_EQ(allocations_of(*engine.value()), 0u);
  }
}

}  // namespace
}  // namespace chaincast::crypto

#endif
