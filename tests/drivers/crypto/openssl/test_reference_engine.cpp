// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "crypto/frames.hpp"
#include "crypto/openssl/gcm.hpp"
#include "crypto/openssl/toolbox.hpp"

namespace chaincast::crypto::openssl {
namespace {

using test::all_suites;
using test::KeyPair;
using test::size_of;
using test::verified;

class ReferenceEngineTest : public testing::Test {
 protected:
  Random random_{7};
  std::unique_ptr<Toolbox> toolbox_ = make_toolbox();
  std::unique_ptr<FrameEngine> engine_ = toolbox_->reference_engine();
};

// The text of docs/security.md once more, over whole-AEAD calls and contiguous copies.
struct Expected {
  Bytes payload;
  Digest digest;
  Tag tag;
};

Expected by_the_book(const KeyPair& keys, wire::Suite suite, const Bytes& frame) {
  const Cipher cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  Bytes nonce(frame.begin() + 4, frame.begin() + 8);
  nonce.insert(nonce.end(), frame.begin() + 16, frame.begin() + 24);
  Expected out;
  out.payload.assign(frame.begin() + 56, frame.end());
  if (is_confidential(suite)) {
    out.payload = gcm_seal(cipher.get(), keys.kenc, nonce, {}, out.payload);
    out.payload.erase(out.payload.end() - 16, out.payload.end());
  }
  Bytes hashed(frame.begin(), frame.begin() + 40);
  hashed.insert(hashed.end(), out.payload.begin(), out.payload.end());
  SHA256(hashed.data(), hashed.size(), out.digest.data());
  const ByteSpan covered = is_strict(suite) ? ByteSpan(out.digest) : ByteSpan(hashed);
  const Bytes tag = gcm_seal(cipher.get(), keys.kmac, nonce, covered, {});
  std::copy(tag.begin(), tag.end(), out.tag.begin());
  if (suite == wire::Suite::gmac) {
    out.digest = {};
    std::copy(tag.begin(), tag.end(), out.digest.begin());
  }
  return out;
}

TEST_F(ReferenceEngineTest, SealFollowsTheDocument) {
  for (wire::Suite suite : all_suites) {
    const KeyPair keys = test::random_keys(random_);
    const auto key = test::make_key(*engine_, suite, 3, keys);
    for (const size_t payload_bytes :
         {0u, 1u, 7u, 8u, 15u, 16u, 24u, 63u, 64u, 1160u, 1400u, 8860u, 65000u}) {
      SCOPED_TRACE(payload_bytes);
      Bytes frame = test::unsealed_frame(random_, suite, 3, payload_bytes);
      const Expected expected = by_the_book(keys, suite, frame);
      const Bytes header(frame.begin(), frame.begin() + 40);
      EXPECT_EQ(engine_->seal(*key, frame.data(), size_of(frame)), expected.digest);
      EXPECT_TRUE(std::equal(header.begin(), header.end(), frame.begin()));
      EXPECT_TRUE(std::equal(expected.tag.begin(), expected.tag.end(), frame.begin() + 40));
      EXPECT_EQ(Bytes(frame.begin() + 56, frame.end()), expected.payload);
    }
  }
}

TEST_F(ReferenceEngineTest, SealVerifyOpenRoundTrip) {
  for (wire::Suite suite : all_suites) {
    const auto key = test::make_key(*engine_, suite, 9, test::random_keys(random_));
    Bytes frame = test::unsealed_frame(random_, suite, 9, 333);
    const Bytes payload(frame.begin() + 56, frame.end());
    const Digest digest = engine_->seal(*key, frame.data(), size_of(frame));
    EXPECT_EQ(Bytes(frame.begin() + 56, frame.end()) == payload, !is_confidential(suite));
    const FrameJob job = verified(*engine_, *key, frame);
    EXPECT_TRUE(job.ok);
    EXPECT_EQ(job.digest, digest);
    Bytes opened(payload.size());
    ASSERT_TRUE(engine_->open(*key, frame.data(), size_of(frame), opened.data()));
    EXPECT_EQ(opened, payload);
    ASSERT_TRUE(engine_->open(*key, frame.data(), size_of(frame), frame.data() + 56)) << "in place";
    EXPECT_EQ(Bytes(frame.begin() + 56, frame.end()), payload);
  }
}

TEST_F(ReferenceEngineTest, EveryFlippedBitIsRefused) {
  for (wire::Suite suite : all_suites) {
    const auto key = test::make_key(*engine_, suite, 9, test::random_keys(random_));
    Bytes frame = test::unsealed_frame(random_, suite, 9, 40);
    engine_->seal(*key, frame.data(), size_of(frame));
    for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
      frame[bit / 8] = static_cast<uint8_t>(frame[bit / 8] ^ (1u << (bit % 8)));
      EXPECT_FALSE(verified(*engine_, *key, frame).ok) << "bit " << bit;
      frame[bit / 8] = static_cast<uint8_t>(frame[bit / 8] ^ (1u << (bit % 8)));
    }
    EXPECT_TRUE(verified(*engine_, *key, frame).ok);
  }
}

TEST_F(ReferenceEngineTest, RelayKeyVerifiesButCannotOpen) {
  for (wire::Suite suite : {wire::Suite::sha256_gcm, wire::Suite::sha256_gcm_ct}) {
    const KeyPair keys = test::random_keys(random_);
    const auto full = test::make_key(*engine_, suite, 1, keys);
    const auto relay = test::make_key(*engine_, suite, 1, keys, false);
    Bytes frame = test::unsealed_frame(random_, suite, 1, 100);
    engine_->seal(*full, frame.data(), size_of(frame));
    EXPECT_TRUE(verified(*engine_, *relay, frame).ok);
    Bytes out(100, 0xee);
    EXPECT_FALSE(relay->can_open);
    EXPECT_FALSE(engine_->open(*relay, frame.data(), size_of(frame), out.data()));
    EXPECT_EQ(out, Bytes(100, 0xee));
  }
}

TEST_F(ReferenceEngineTest, InconsistentJobsAreRefusedUnread) {
  const auto key = test::make_key(*engine_, wire::Suite::gmac, 1, test::random_keys(random_));
  Bytes frame = test::unsealed_frame(random_, wire::Suite::gmac, 1, 10);
  engine_->seal(*key, frame.data(), size_of(frame));
  for (size_t cut = 0; cut < frame.size(); ++cut) {
    const Bytes shorter(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(cut));
    EXPECT_FALSE(verified(*engine_, *key, shorter).ok) << cut;
  }
  FrameJob keyless{.frame = frame.data(), .frame_bytes = size_of(frame)};
  engine_->verify({&keyless, 1});
  EXPECT_FALSE(keyless.ok);
}

TEST_F(ReferenceEngineTest, OtherKeyAndUnknownSuiteAreRefused) {
  const auto key = test::make_key(*engine_, wire::Suite::gmac, 1, test::random_keys(random_));
  const auto other = test::make_key(*engine_, wire::Suite::gmac, 1, test::random_keys(random_));
  Bytes frame = test::unsealed_frame(random_, wire::Suite::gmac, 1, 10);
  engine_->seal(*key, frame.data(), size_of(frame));
  EXPECT_FALSE(verified(*engine_, *other, frame).ok);
  EXPECT_TRUE(verified(*engine_, *key, frame).ok);
  for (int suite : {0, 6, 255}) {
    EXPECT_FALSE(engine_->make_key(static_cast<wire::Suite>(suite), 0, {}, nullptr).ok());
  }
}

}  // namespace
}  // namespace chaincast::crypto::openssl
