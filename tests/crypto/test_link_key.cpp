// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <vector>

#include "base/bytes.hpp"
#include "crypto/link_key.hpp"
#include "support/random.hpp"

namespace chaincast::crypto {
namespace {

using Block = std::array<uint8_t, 16>;

Block random_block(Random& random) {
  Block out;
  test::fill_random(random, out);
  return out;
}

// First 4 bytes of AES-128-ECB by libcrypto.
uint32_t expected_check(const Block& key, const Block& block) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  uint8_t out[32];
  int n = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, key.data(), nullptr), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, out, &n, block.data(), 16), 1);
  EVP_CIPHER_CTX_free(context);
  return load_be32(out);
}

TEST(LinkKey, Fips197ExampleVector) {
  Block key;
  Block text;
  for (size_t i = 0; i < 16; ++i) {
    key[i] = static_cast<uint8_t>(i);
    text[i] = static_cast<uint8_t>(0x11 * i);
  }
  uint32_t check = 0;
  link_checks(expand_link_key(key), {&text, 1}, &check);
  EXPECT_EQ(check, 0x69c4e0d8u);
}

TEST(LinkKey, OneKeyAgreesWithOpensslForEveryBurstSize) {
  Random random(1);
  for (size_t count = 0; count <= 70; ++count) {
    const Block key = random_block(random);
    std::vector<Block> blocks(count);
    for (Block& b : blocks) b = random_block(random);
    std::vector<uint32_t> checks(count + 1, 0xfeedf00d);
    link_checks(expand_link_key(key), blocks, checks.data());
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(checks[i], expected_check(key, blocks[i])) << "block " << i << " of " << count;
    }
    EXPECT_EQ(checks[count], 0xfeedf00du) << "wrote past the burst";
  }
}

TEST(LinkKey, MixedKeysAgreeWithOpenssl) {
  Random random(2);
  for (size_t count = 0; count <= 40; ++count) {
    std::vector<Block> keys(count);
    std::vector<Block> blocks(count);
    std::vector<LinkKey> expanded(count);
    std::vector<const LinkKey*> pointers(count);
    for (size_t i = 0; i < count; ++i) {
      keys[i] = random_block(random);
      blocks[i] = random_block(random);
      expanded[i] = expand_link_key(keys[i]);
      pointers[i] = &expanded[i];
    }
    std::vector<uint32_t> checks(count);
    link_checks_mixed(pointers, blocks, checks.data());
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(checks[i], expected_check(keys[i], blocks[i])) << "block " << i << " of " << count;
    }
  }
}

}  // namespace
}  // namespace chaincast::crypto
