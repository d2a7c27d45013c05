// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/sha256_lanes.hpp"

#include <gtest/gtest.h>

#include "crypto/frames.hpp"
#include "crypto/guarded.hpp"
#include "crypto/openssl/sha256.hpp"
#include "crypto/vectors.hpp"

namespace chaincast::crypto {
namespace {

using test::size_of;

// By libcrypto.
Digest expected(const Bytes& frame) {
  Digest out;
  openssl::sha256(hashed_header_of(frame.data()), payload_of(frame.data(), size_of(frame)), out);
  return out;
}

class Sha256Lanes : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_sha256_lanes()) GTEST_SKIP() << "this processor has no AVX-512 with VAES";
  }

  Bytes frame_of(size_t payload_bytes) {
    return test::unsealed_frame(random_, wire::Suite::sha256_gmac, 1, payload_bytes);
  }

  // Hashes frames of these lengths together and compares each.
  void check(const std::vector<size_t>& payloads) {
    std::vector<Bytes> frames;
    for (const size_t bytes : payloads) frames.push_back(frame_of(bytes));
    std::vector<FrameJob> jobs(frames.size());
    std::vector<FrameJob*> pointers;
    for (size_t i = 0; i < frames.size(); ++i) {
      jobs[i].frame = frames[i].data();
      jobs[i].frame_bytes = size_of(frames[i]);
      pointers.push_back(&jobs[i]);
    }
    sha256_lanes(pointers);
    for (size_t i = 0; i < frames.size(); ++i) {
      ASSERT_EQ(jobs[i].digest, expected(frames[i]))
          << "job " << i << " of " << jobs.size() << ", payload " << payloads[i];
    }
  }

  Random random_{21};
};

// Every way to end in a block: with room for the padding, without, and on its border.
TEST_F(Sha256Lanes, EveryLengthUpToFiveBlocks) {
  std::vector<size_t> payloads;
  for (size_t bytes = 0; bytes <= 320; ++bytes) payloads.push_back(bytes);
  check(payloads);
}

TEST_F(Sha256Lanes, AnyNumberOfFramesOfOneLength) {
  for (size_t count = 0; count <= 70; ++count) check(std::vector<size_t>(count, 64));
}

TEST_F(Sha256Lanes, LengthsMixed) {
  for (unsigned round = 0; round < 60; ++round) {
    std::vector<size_t> payloads(random_.below(100));
    for (size_t& bytes : payloads) bytes = random_.below(random_.chance(0.1) ? 9000 : 300);
    check(payloads);
  }
  check({wire::payload_bytes_limit, 0, 1, wire::payload_bytes_limit});
}

TEST_F(Sha256Lanes, ReadsTheFrameAndNoMore) {
  for (size_t payload = 0; payload <= 200; ++payload) {
    const Bytes frame = frame_of(payload);
    const test::Guarded memory(frame.size());
    for (uint8_t* const at : {memory.first(), memory.last(frame.size())}) {
      std::copy(frame.begin(), frame.end(), at);
      FrameJob job{.frame = at, .frame_bytes = size_of(frame)};
      FrameJob* const pointer = &job;
      sha256_lanes({&pointer, 1});
      ASSERT_EQ(job.digest, expected(frame)) << payload;
    }
  }
}

// NIST's messages of 40 bytes and more, cut into header and payload.
TEST_F(Sha256Lanes, NistMessages) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/nist.SHA256ShortMsg.rsp.gz");
  unsigned checked = 0;
  for (const auto& record : test::nist_records(path, "MD")) {
    const Bytes message = test::hex(record.at("Msg"));
    if (message.size() < wire::frame_hashed_header_bytes) continue;
    Bytes frame(message.begin(), message.begin() + wire::frame_hashed_header_bytes);
    frame.resize(wire::frame_header_bytes, 0xee);
    frame.insert(frame.end(), message.begin() + wire::frame_hashed_header_bytes, message.end());
    FrameJob job{.frame = frame.data(), .frame_bytes = size_of(frame)};
    FrameJob* const pointer = &job;
    sha256_lanes({&pointer, 1});
    ASSERT_EQ(to_hex(job.digest), record.at("MD")) << record.at("Len") << " bits";
    ++checked;
  }
  EXPECT_EQ(checked, 25u);
}

}  // namespace
}  // namespace chaincast::crypto
