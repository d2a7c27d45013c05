// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <numeric>

#include "crypto/example_vectors.hpp"
#include "crypto/frames.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "crypto/vectors.hpp"

// The documented example, from the configured secret to the sealed frame, on both engines.
namespace chaincast::crypto {
namespace {

using test::ExampleVector;
using test::hex;

Secret counting_from(uint8_t first) {
  Secret out;
  std::iota(out.begin(), out.end(), first);
  return out;
}

Bytes sealed_frame(const ExampleVector& v) {
  Bytes out = hex(v.header);
  for (std::string_view part : {v.tag, v.payload}) {
    const Bytes bytes = hex(part);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

class ExampleVectors : public testing::Test {
 protected:
  std::unique_ptr<Toolbox> toolbox_ = openssl::make_toolbox();
  StreamSecrets secrets_ = secrets_from_configured(*toolbox_, counting_from(0));

  FrameKeys keys_of(const ExampleVector& v) const {
    return derive_frame_keys(*toolbox_, secrets_, v.suite, counting_from(0x20), counting_from(0x40),
                             1);
  }

  void check_engine(FrameEngine& engine) const {
    for (const ExampleVector& v : test::example_vectors) {
      SCOPED_TRACE(static_cast<int>(v.suite));
      const FrameKeys keys = keys_of(v);
      const auto key =
          std::move(engine.make_key(v.suite, 1, keys.kmac, keys.has_kenc ? &keys.kenc : nullptr))
              .value();
      const Bytes expected = sealed_frame(v);
      Bytes frame = expected;
      std::fill_n(frame.begin() + 40, 16, uint8_t{0});
      std::copy(test::example_plaintext.begin(), test::example_plaintext.end(), frame.begin() + 56);
      EXPECT_EQ(to_hex(engine.seal(*key, frame.data(), test::size_of(frame))), v.digest);
      EXPECT_EQ(to_hex(frame), to_hex(expected));
      const FrameJob job = test::verified(engine, *key, expected);
      EXPECT_TRUE(job.ok);
      EXPECT_EQ(to_hex(job.digest), v.digest);
      std::string opened(test::example_plaintext.size(), '?');
      ASSERT_TRUE(engine.open(*key, expected.data(), test::size_of(expected),
                              reinterpret_cast<uint8_t*>(opened.data())));
      EXPECT_EQ(opened, test::example_plaintext);
    }
  }
};

TEST_F(ExampleVectors, KeysFromTheConfiguredSecret) {
  EXPECT_EQ(to_hex(secrets_.authenticate), test::example_authenticate);
  EXPECT_EQ(to_hex(secrets_.encrypt), test::example_encrypt);
  for (const ExampleVector& v : test::example_vectors) {
    const FrameKeys keys = keys_of(v);
    EXPECT_EQ(to_hex(keys.kmac), v.kmac);
    EXPECT_EQ(keys.has_kenc ? to_hex(keys.kenc) : "", v.kenc);
  }
}

TEST_F(ExampleVectors, ReferenceEngine) {
  check_engine(*toolbox_->reference_engine());
}

TEST_F(ExampleVectors, IpsecMbEngine) {
  const auto engine = ipsec_mb::make_engine(openssl::sha256);
  ASSERT_TRUE(engine.ok());
  check_engine(*engine.value());
}

}  // namespace
}  // namespace chaincast::crypto
