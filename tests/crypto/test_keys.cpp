// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <set>
#include <string>

#include "crypto/crypto.hpp"
#include "crypto/openssl/toolbox.hpp"

namespace chaincast::crypto {
namespace {

// HKDF-Expand by libcrypto's own implementation.
Secret expand_independently(const Secret& prk, Bytes info) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
  Secret out{};
  size_t length = out.size();
  EXPECT_EQ(EVP_PKEY_derive_init(context), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_hkdf_mode(context, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set1_hkdf_key(context, prk.data(), static_cast<int>(prk.size())), 1);
  EXPECT_EQ(EVP_PKEY_CTX_add1_hkdf_info(context, info.data(), static_cast<int>(info.size())), 1);
  EXPECT_EQ(EVP_PKEY_derive(context, out.data(), &length), 1);
  EVP_PKEY_CTX_free(context);
  return out;
}

Bytes text(std::string_view t) {
  return Bytes(t.begin(), t.end());
}

Secret filled(uint8_t value) {
  Secret out;
  out.fill(value);
  return out;
}

class Keys : public testing::Test {
 protected:
  std::unique_ptr<Toolbox> toolbox_ = openssl::make_toolbox();
  Secret network_ = filled(0x11);
  Digest descriptor_ = filled(0x22);
};

TEST_F(Keys, ConfiguredSecretYieldsAAndC) {
  const StreamSecrets secrets = secrets_from_configured(*toolbox_, filled(7));
  EXPECT_TRUE(secrets.has_encrypt);
  EXPECT_EQ(secrets.authenticate, expand_independently(filled(7), text("chaincast1 A")));
  EXPECT_EQ(secrets.encrypt, expand_independently(filled(7), text("chaincast1 C")));
}

TEST_F(Keys, FrameKeysFollowTheDocumentedContext) {
  const StreamSecrets secrets{.authenticate = filled(1), .encrypt = filled(2), .has_encrypt = true};
  const FrameKeys keys = derive_frame_keys(*toolbox_, secrets, wire::Suite::sha256_gcm, network_,
                                           descriptor_, 0x01020304);
  Bytes context = {2};
  context.insert(context.end(), 32, 0x11);
  context.insert(context.end(), 32, 0x22);
  context.insert(context.end(), {1, 2, 3, 4});
  Bytes mac = text("chaincast1 mac");
  mac.insert(mac.end(), context.begin(), context.end());
  Bytes enc = text("chaincast1 enc");
  enc.insert(enc.end(), context.begin(), context.end());
  EXPECT_EQ(keys.kmac, expand_independently(filled(1), mac));
  ASSERT_TRUE(keys.has_kenc);
  EXPECT_EQ(keys.kenc, expand_independently(filled(2), enc));
}

TEST_F(Keys, EveryPartOfTheContextSeparates) {
  const StreamSecrets secrets = secrets_from_configured(*toolbox_, filled(7));
  std::set<Secret> seen;
  const auto add = [&](wire::Suite suite, const Secret& network, const Digest& descriptor,
                       Epoch epoch) {
    const FrameKeys keys = derive_frame_keys(*toolbox_, secrets, suite, network, descriptor, epoch);
    EXPECT_TRUE(seen.insert(keys.kmac).second);
    EXPECT_TRUE(!keys.has_kenc || seen.insert(keys.kenc).second);
  };
  add(wire::Suite::sha256_gcm, network_, descriptor_, 0);
  add(wire::Suite::sha256_gcm_ct, network_, descriptor_, 0);
  add(wire::Suite::sha256_gmac, network_, descriptor_, 0);
  add(wire::Suite::sha256_gcm, filled(0x12), descriptor_, 0);
  add(wire::Suite::sha256_gcm, network_, filled(0x23), 0);
  add(wire::Suite::sha256_gcm, network_, descriptor_, 1);
}

TEST_F(Keys, OpenSuitesAndHoldersOfAGetNoKenc) {
  StreamSecrets secrets = secrets_from_configured(*toolbox_, filled(7));
  const auto kenc_given = [&](wire::Suite suite) {
    return derive_frame_keys(*toolbox_, secrets, suite, network_, descriptor_, 0).has_kenc;
  };
  EXPECT_FALSE(kenc_given(wire::Suite::sha256_gmac));
  EXPECT_FALSE(kenc_given(wire::Suite::gmac));
  EXPECT_TRUE(kenc_given(wire::Suite::sha256_gcm_ct));
  secrets.has_encrypt = false;
  EXPECT_FALSE(kenc_given(wire::Suite::sha256_gcm));
}

}  // namespace
}  // namespace chaincast::crypto
