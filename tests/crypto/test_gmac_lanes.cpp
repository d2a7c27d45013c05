// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/gmac_lanes.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "crypto/frames.hpp"
#include "crypto/guarded.hpp"

namespace chaincast::crypto {
namespace {

using test::size_of;

// By libcrypto, from the frame's nonce.
Tag expected(const Secret& key, const Bytes& frame, ByteSpan first, ByteSpan second) {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  const Nonce nonce = nonce_of(frame.data());
  Tag tag;
  int n = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()), 1);
  for (const ByteSpan part : {first, second}) {
    if (part.empty()) continue;
    EXPECT_EQ(EVP_EncryptUpdate(context, nullptr, &n, part.data(), static_cast<int>(part.size())),
              1);
  }
  EXPECT_EQ(EVP_EncryptFinal_ex(context, tag.data(), &n), 1);
  EXPECT_EQ(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag.data()), 1);
  EVP_CIPHER_CTX_free(context);
  return tag;
}

Tag expected(const Secret& key, const Bytes& frame) {
  return expected(key, frame, hashed_header_of(frame.data()),
                  payload_of(frame.data(), size_of(frame)));
}

class GmacLanes : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_gmac_lanes()) GTEST_SKIP() << "this processor has no AVX-512 with VAES";
    test::fill_random(random_, secret_);
  }

  Bytes frame_of(size_t payload_bytes) {
    return test::unsealed_frame(random_, wire::Suite::gmac, static_cast<Epoch>(random_.next()),
                                payload_bytes);
  }

  // Tags of frames of these lengths together, by content and by digest.
  void check(const std::vector<size_t>& payloads) {
    GmacKey key;
    key.expand(secret_);
    std::vector<Bytes> frames;
    for (const size_t bytes : payloads) frames.push_back(frame_of(bytes));
    std::vector<FrameJob> jobs(frames.size());
    std::vector<const FrameJob*> pointers;
    for (size_t i = 0; i < frames.size(); ++i) {
      jobs[i].frame = frames[i].data();
      jobs[i].frame_bytes = size_of(frames[i]);
      test::fill_random(random_, jobs[i].digest);
      pointers.push_back(&jobs[i]);
    }
    std::vector<Tag> by_content(frames.size());
    std::vector<Tag> by_digest(frames.size());
    gmac_lanes_frames(key, pointers, by_content.data());
    gmac_lanes_digests(key, pointers, by_digest.data());
    for (size_t i = 0; i < frames.size(); ++i) {
      ASSERT_EQ(by_content[i], expected(secret_, frames[i]))
          << i << " of " << frames.size() << ", payload " << payloads[i];
      ASSERT_EQ(by_digest[i], expected(secret_, frames[i], jobs[i].digest, {}))
          << i << " of " << frames.size();
    }
  }

  Random random_{22};
  Secret secret_{};
};

TEST_F(GmacLanes, EveryLength) {
  std::vector<size_t> payloads;
  const size_t most = gmac_frame_bytes_max - wire::frame_header_bytes;
  for (size_t bytes = 0; bytes <= most; ++bytes) payloads.push_back(bytes);
  check(payloads);
}

TEST_F(GmacLanes, AnyNumberOfFramesUnderManyKeys) {
  for (size_t count = 0; count <= 70; ++count) {
    test::fill_random(random_, secret_);
    check(std::vector<size_t>(count, 64));
  }
}

TEST_F(GmacLanes, LengthsMixed) {
  for (unsigned round = 0; round < 60; ++round) {
    std::vector<size_t> payloads(random_.below(100));
    for (size_t& bytes : payloads) bytes = random_.below(random_.chance(0.5) ? 1900 : 100);
    check(payloads);
  }
}

// H itself may have any topmost bit: the powers are stored shifted.
TEST_F(GmacLanes, KeysOfBothKinds) {
  for (unsigned i = 0; i < 200; ++i) {
    test::fill_random(random_, secret_);
    check({0, 1400});
  }
}

TEST_F(GmacLanes, ReadsTheFrameAndNoMore) {
  GmacKey key;
  key.expand(secret_);
  for (size_t payload = 0; payload <= 200; ++payload) {
    const Bytes frame = frame_of(payload);
    const test::Guarded memory(frame.size());
    for (uint8_t* const at : {memory.first(), memory.last(frame.size())}) {
      std::copy(frame.begin(), frame.end(), at);
      const FrameJob job{.frame = at, .frame_bytes = size_of(frame)};
      const FrameJob* const pointer = &job;
      Tag tag;
      gmac_lanes_frames(key, {&pointer, 1}, &tag);
      ASSERT_EQ(tag, expected(secret_, frame)) << payload;
    }
  }
}

TEST_F(GmacLanes, AWipedKeyIsEmpty) {
  GmacKey key;
  key.expand(secret_);
  EXPECT_NE(key.round_keys, GmacKey().round_keys);
  key.wipe();
  EXPECT_EQ(key.round_keys, GmacKey().round_keys);
  EXPECT_EQ(key.descending, GmacKey().descending);
}

}  // namespace
}  // namespace chaincast::crypto
