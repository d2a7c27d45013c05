// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/ipsec_mb/engine.hpp"

#include <gtest/gtest.h>

#include "crypto/frames.hpp"
#include "crypto/ipsec_mb/hasher.hpp"
#include "crypto/openssl/sha256.hpp"
#include "crypto/openssl/toolbox.hpp"

namespace chaincast::crypto::ipsec_mb {
namespace {

using test::all_suites;
using test::KeyPair;
using test::size_of;
using test::verified;

std::unique_ptr<FrameEngine> engine_or_abort(Lanes lanes) {
  auto engine = make_engine(openssl::sha256, lanes);
  CC_ASSERT(engine.ok());
  return std::move(engine).value();
}

// One key, made for both engines.
struct TwinKey {
  std::unique_ptr<SuiteKey> fast;
  std::unique_ptr<SuiteKey> reference;
};

// Both for whom the lanes are ours and for whom they are the library's.
class MbEngineTest : public testing::TestWithParam<Lanes> {
 protected:
  TwinKey twin_key(wire::Suite suite, Epoch epoch, bool with_kenc = true) {
    const KeyPair keys = test::random_keys(random_);
    return {test::make_key(*fast_, suite, epoch, keys, with_kenc),
            test::make_key(*reference_, suite, epoch, keys, with_kenc)};
  }

  Random random_{11};
  std::unique_ptr<Toolbox> toolbox_ = openssl::make_toolbox();
  std::unique_ptr<FrameEngine> reference_ = toolbox_->reference_engine();
  std::unique_ptr<FrameEngine> fast_ = engine_or_abort(GetParam());
};

TEST_P(MbEngineTest, SealsAndOpensAsTheReferenceDoes) {
  for (wire::Suite suite : all_suites) {
    const TwinKey key = twin_key(suite, 5);
    std::vector<size_t> sizes(200);
    for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = i;
    for (unsigned i = 0; i < 100; ++i) sizes.push_back(random_.below(9001));
    sizes.insert(sizes.end(), {1160, 1400, 1408, 1409, 8860, 9000, wire::payload_bytes_limit});
    for (size_t payload_bytes : sizes) {
      SCOPED_TRACE(testing::Message() << "suite " << int(suite) << ", payload " << payload_bytes);
      const Bytes plain = test::unsealed_frame(random_, suite, 5, payload_bytes);
      Bytes by_reference = plain;
      Bytes by_fast = plain;
      const Digest digest =
          reference_->seal(*key.reference, by_reference.data(), size_of(by_reference));
      ASSERT_EQ(fast_->seal(*key.fast, by_fast.data(), size_of(by_fast)), digest);
      ASSERT_EQ(by_fast, by_reference);
      const FrameJob job = verified(*fast_, *key.fast, by_reference);
      ASSERT_TRUE(job.ok);
      ASSERT_EQ(job.digest, digest);
      Bytes opened(payload_bytes);
      ASSERT_TRUE(fast_->open(*key.fast, by_fast.data(), size_of(by_fast), opened.data()));
      ASSERT_TRUE(std::equal(opened.begin(), opened.end(), plain.begin() + 56));
      ASSERT_TRUE(fast_->open(*key.fast, by_fast.data(), size_of(by_fast), by_fast.data() + 56));
      ASSERT_TRUE(std::equal(opened.begin(), opened.end(), by_fast.begin() + 56)) << "in place";
    }
  }
}

// A batch of random frames: suites, keys and lengths mixed, some altered, some inconsistent.
struct Batch {
  std::vector<Bytes> frames;
  std::vector<FrameJob> fast;
  std::vector<FrameJob> reference;
};

Batch random_batch(Random& random, FrameEngine& sealer, std::span<const TwinKey> keys, size_t count,
                   size_t payload_max) {
  Batch batch;
  batch.frames.resize(count);
  for (Bytes& frame : batch.frames) {
    const TwinKey& key = keys[random.below(keys.size())];
    frame = test::unsealed_frame(random, key.reference->suite, key.reference->epoch,
                                 random.below(payload_max + 1));
    sealer.seal(*key.reference, frame.data(), size_of(frame));
    if (random.chance(0.2)) {
      const uint64_t bit = random.below(8 * frame.size());
      frame[bit / 8] = static_cast<uint8_t>(frame[bit / 8] ^ (1u << (bit % 8)));
    }
    const TwinKey& used = random.chance(0.05) ? keys[0] : key;
    const uint16_t bytes =
        static_cast<uint16_t>(random.chance(0.05) ? random.below(frame.size() + 1) : frame.size());
    const bool want_digest = random.chance(0.8);
    batch.fast.push_back({.key = used.fast.get(),
                          .frame = frame.data(),
                          .frame_bytes = bytes,
                          .want_digest = want_digest});
    batch.reference.push_back({.key = used.reference.get(),
                               .frame = frame.data(),
                               .frame_bytes = bytes,
                               .want_digest = want_digest});
  }
  return batch;
}

TEST_P(MbEngineTest, MixedBatchesAgreeWithTheReference) {
  std::vector<TwinKey> keys;
  for (unsigned i = 0; i < 4; ++i) {
    for (wire::Suite suite : all_suites) keys.push_back(twin_key(suite, i));
  }
  uint64_t accepted = 0;
  uint64_t refused = 0;
  std::vector<size_t> counts = {0,  1,  2,  3,  7,  8,   9,   15,  16,
                                17, 31, 33, 48, 64, 100, 255, 256, 300};
  for (unsigned i = 0; i < 40; ++i) counts.push_back(1 + random_.below(40));
  for (size_t count : counts) {
    for (size_t payload_max : {size_t{100}, size_t{1400}, size_t{9000}}) {
      Batch batch = random_batch(random_, *reference_, keys, count, payload_max);
      const std::vector<Bytes> before = batch.frames;
      fast_->verify(batch.fast);
      reference_->verify(batch.reference);
      ASSERT_EQ(batch.frames, before) << "frames are read only";
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(batch.fast[i].ok, batch.reference[i].ok) << i << " of " << count;
        ASSERT_EQ(batch.fast[i].digest, batch.reference[i].digest) << i << " of " << count;
        ++(batch.fast[i].ok ? accepted : refused);
      }
    }
  }
  EXPECT_GT(accepted, 2000u);
  EXPECT_GT(refused, 500u);
}

TEST_P(MbEngineTest, EveryFlippedBitIsRefused) {
  for (wire::Suite suite : all_suites) {
    const TwinKey key = twin_key(suite, 9);
    Bytes frame = test::unsealed_frame(random_, suite, 9, 40);
    fast_->seal(*key.fast, frame.data(), size_of(frame));
    std::vector<Bytes> altered(8 * frame.size(), frame);
    std::vector<FrameJob> jobs;
    for (size_t bit = 0; bit < altered.size(); ++bit) {
      uint8_t& byte = altered[bit][bit / 8];
      byte = static_cast<uint8_t>(byte ^ (1u << (bit % 8)));
      jobs.push_back({.key = key.fast.get(),
                      .frame = altered[bit].data(),
                      .frame_bytes = size_of(altered[bit])});
    }
    fast_->verify(jobs);
    for (size_t bit = 0; bit < jobs.size(); ++bit) EXPECT_FALSE(jobs[bit].ok) << "bit " << bit;
    EXPECT_TRUE(verified(*fast_, *key.fast, frame).ok);
  }
}

// Where Kmac is the same and the tag right, header and key must still agree.
TEST_P(MbEngineTest, AKeyServesItsOwnEpochAndSuiteOnly) {
  const KeyPair keys = test::random_keys(random_);
  for (FrameEngine* engine : {fast_.get(), reference_.get()}) {
    for (wire::Suite suite : all_suites) {
      const auto sealing = test::make_key(*engine, suite, 2, keys);
      Bytes frame = test::unsealed_frame(random_, suite, 2, 50);
      engine->seal(*sealing, frame.data(), size_of(frame));
      for (wire::Suite other : all_suites) {
        for (Epoch epoch : {Epoch{1}, Epoch{2}}) {
          const auto key = test::make_key(*engine, other, epoch, keys);
          const bool own = other == suite && epoch == 2;
          EXPECT_EQ(verified(*engine, *key, frame).ok, own);
          Bytes out(50);
          EXPECT_EQ(engine->open(*key, frame.data(), size_of(frame), out.data()), own);
        }
      }
    }
  }
}

TEST_P(MbEngineTest, RelayKeyVerifiesButCannotOpen) {
  for (wire::Suite suite : {wire::Suite::sha256_gcm, wire::Suite::sha256_gcm_ct}) {
    const KeyPair keys = test::random_keys(random_);
    const auto full = test::make_key(*fast_, suite, 1, keys);
    const auto relay = test::make_key(*fast_, suite, 1, keys, false);
    Bytes frame = test::unsealed_frame(random_, suite, 1, 100);
    fast_->seal(*full, frame.data(), size_of(frame));
    EXPECT_TRUE(verified(*fast_, *relay, frame).ok);
    Bytes out(100, 0xee);
    EXPECT_FALSE(fast_->open(*relay, frame.data(), size_of(frame), out.data()));
    EXPECT_EQ(out, Bytes(100, 0xee));
  }
}

TEST_P(MbEngineTest, KeysServeEveryEngineAndOutliveTheirMaker) {
  auto maker = engine_or_abort(GetParam());
  const auto key = test::make_key(*maker, wire::Suite::sha256_gcm, 1, test::random_keys(random_));
  Bytes frame = test::unsealed_frame(random_, wire::Suite::sha256_gcm, 1, 100);
  maker->seal(*key, frame.data(), size_of(frame));
  maker.reset();
  EXPECT_TRUE(verified(*fast_, *key, frame).ok);
}

// Every way to split a batch between lanes, pairs and the single hash gives the same digests.
TEST_P(MbEngineTest, HasherAgreesAtEveryCrossover) {
  const Manager lanes(alloc_mb_mgr(0));
  const Manager pairs(alloc_mb_mgr(0));
  init_mb_mgr_auto(lanes.get(), nullptr);
  init_mb_mgr_sse(pairs.get());
  Hasher hasher(lanes.get(), pairs.get(), openssl::sha256, GetParam() == Lanes::own);
  for (unsigned limit = 0; limit <= lane_group; ++limit) {
    hasher.set_crossover({.short_frames = limit, .long_frames = limit});
    for (size_t count = 0; count <= 70; ++count) {
      std::vector<Bytes> frames;
      std::vector<FrameJob> jobs(count);
      std::vector<FrameJob*> pointers;
      for (FrameJob& job : jobs) {
        frames.push_back(
            test::unsealed_frame(random_, wire::Suite::sha256_gmac, 0, random_.below(300)));
        job.frame = frames.back().data();
        job.frame_bytes = size_of(frames.back());
        pointers.push_back(&job);
      }
      hasher.hash(pointers);
      for (size_t i = 0; i < count; ++i) {
        Bytes hashed(frames[i].begin(), frames[i].begin() + 40);
        hashed.insert(hashed.end(), frames[i].begin() + 56, frames[i].end());
        ASSERT_EQ(jobs[i].digest, toolbox_->sha256(hashed)) << i << " of " << count;
      }
    }
  }
}

// One long frame ahead of many short ones holds back their completion: the staging buffers run
// out and the manager is flushed in between.
TEST_P(MbEngineTest, ALongFrameAheadOfManyShortOnes) {
  const TwinKey key = twin_key(wire::Suite::sha256_gmac, 1);
  std::vector<Bytes> frames;
  for (size_t i = 0; i < 256; ++i) {
    frames.push_back(test::unsealed_frame(random_, wire::Suite::sha256_gmac, 1,
                                          i == 0 ? wire::payload_bytes_limit : i % 60));
    fast_->seal(*key.fast, frames.back().data(), size_of(frames.back()));
  }
  std::vector<FrameJob> jobs;
  for (const Bytes& frame : frames) {
    jobs.push_back({.key = key.fast.get(), .frame = frame.data(), .frame_bytes = size_of(frame)});
  }
  fast_->verify(jobs);
  for (const FrameJob& job : jobs) EXPECT_TRUE(job.ok);
}

TEST_P(MbEngineTest, ReportsItsCrossover) {
  EXPECT_EQ(fast_->name(), "ipsec_mb");
  EXPECT_LE(fast_->crossover_frames(), lane_group);
}

INSTANTIATE_TEST_SUITE_P(BothLanes, MbEngineTest, testing::Values(Lanes::own, Lanes::ipsec_mb),
                         [](const auto& run) {
                           return run.param == Lanes::own ? "Own" : "IpsecMb";
                         });

}  // namespace
}  // namespace chaincast::crypto::ipsec_mb
