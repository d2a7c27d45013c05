// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/assert.hpp"
#include "crypto/crypto.hpp"
#include "crypto/frame_rules.hpp"
#include "support/random.hpp"

// Frames for the engines' tests.
namespace chaincast::test {

inline constexpr std::array all_suites = {wire::Suite::sha256_gmac, wire::Suite::sha256_gcm,
                                          wire::Suite::sha256_gmac_ct, wire::Suite::sha256_gcm_ct,
                                          wire::Suite::gmac};

// A frame with everything but its tag, on the heap with its exact size, so that the address
// sanitizer sees any read beyond it.
inline Bytes unsealed_frame(Random& random, wire::Suite suite, Epoch epoch, size_t payload_bytes) {
  wire::FrameHeader header;
  header.payload_bytes = static_cast<uint16_t>(payload_bytes);
  header.kind = wire::kind_first | wire::kind_last;
  header.suite = static_cast<uint8_t>(suite);
  header.epoch = epoch;
  header.stream.value = random.next();
  header.seq = random.next();
  fill_random(random, header.link);
  Bytes frame(wire::frame_header_bytes + payload_bytes);
  fill_random(random, frame);
  wire::store_frame_header(frame.data(), header);
  return frame;
}

struct KeyPair {
  Secret kmac{};
  Secret kenc{};
};

inline KeyPair random_keys(Random& random) {
  KeyPair keys;
  fill_random(random, keys.kmac);
  fill_random(random, keys.kenc);
  return keys;
}

inline std::unique_ptr<crypto::SuiteKey> make_key(crypto::FrameEngine& engine, wire::Suite suite,
                                                  Epoch epoch, const KeyPair& keys,
                                                  bool with_kenc = true) {
  auto key = engine.make_key(suite, epoch, keys.kmac, with_kenc ? &keys.kenc : nullptr);
  CC_ASSERT(key.ok());
  return std::move(key).value();
}

inline uint16_t size_of(const Bytes& frame) {
  return static_cast<uint16_t>(frame.size());
}

inline crypto::FrameJob verified(crypto::FrameEngine& engine, const crypto::SuiteKey& key,
                                 const Bytes& frame) {
  crypto::FrameJob job{.key = &key, .frame = frame.data(), .frame_bytes = size_of(frame)};
  engine.verify({&job, 1});
  return job;
}

}  // namespace chaincast::test
