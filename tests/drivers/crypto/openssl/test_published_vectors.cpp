// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "crypto/openssl/gcm.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "crypto/vectors.hpp"

namespace chaincast::crypto::openssl {
namespace {

using test::hex;
using test::hex_array;

Bytes sha256(const Toolbox& toolbox, ByteSpan data) {
  const Digest digest = toolbox.sha256(data);
  return Bytes(digest.begin(), digest.end());
}

class PublishedVectors : public testing::Test {
 protected:
  std::unique_ptr<Toolbox> toolbox_ = make_toolbox();
};

TEST_F(PublishedVectors, Fips180) {
  EXPECT_EQ(sha256(*toolbox_, as_bytes("abc")),
            hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  EXPECT_EQ(sha256(*toolbox_, {}),
            hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

TEST_F(PublishedVectors, Rfc4231Case2) {
  const Digest mac =
      toolbox_->hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"));
  EXPECT_EQ(to_hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(PublishedVectors, Rfc5869Case1) {
  const Secret prk = toolbox_->hkdf_extract(hex("000102030405060708090a0b0c"), Bytes(22, 0x0b));
  EXPECT_EQ(to_hex(prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  EXPECT_EQ(to_hex(toolbox_->hkdf_expand(prk, hex("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST_F(PublishedVectors, Rfc8032Test2) {
  const auto signer = toolbox_->signer(
      hex_array<32>("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  EXPECT_EQ(to_hex(signer->public_key()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const Bytes message = {0x72};
  Signature signature = signer->sign(message);
  EXPECT_EQ(to_hex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(toolbox_->verify_signature(signer->public_key(), message, signature));
  EXPECT_FALSE(toolbox_->verify_signature(signer->public_key(), {}, signature));
  signature[40] ^= 1;
  EXPECT_FALSE(toolbox_->verify_signature(signer->public_key(), message, signature));
}

// McGrew and Viega's test cases 13 and 14 (AES-256, zero key and nonce), through the interface.
TEST_F(PublishedVectors, GcmCases13And14) {
  const auto aead = toolbox_->aead(Secret{});
  EXPECT_EQ(to_hex(aead->seal(0, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(to_hex(aead->seal(0, {}, Bytes(16, 0))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST_F(PublishedVectors, AeadRoundTripAndRefusals) {
  const auto aead = toolbox_->aead(hex_array<32>(std::string(64, '5')));
  const Bytes aad = {1, 2, 3};
  const Bytes text = {4, 5, 6, 7};
  const Bytes sealed = aead->seal(77, aad, text);
  ASSERT_EQ(sealed.size(), text.size() + 16);
  ASSERT_TRUE(aead->open(77, aad, sealed).ok());
  EXPECT_EQ(aead->open(77, aad, sealed).value(), text);
  EXPECT_FALSE(aead->open(78, aad, sealed).ok());
  EXPECT_FALSE(aead->open(uint64_t{77} << 32, aad, sealed).ok());
  EXPECT_FALSE(aead->open(77, {}, sealed).ok());
  for (size_t i = 0; i < sealed.size(); ++i) {
    Bytes altered = sealed;
    altered[i] ^= 0x80;
    EXPECT_FALSE(aead->open(77, aad, altered).ok());
    EXPECT_FALSE(aead->open(77, aad, ByteSpan(sealed).first(i)).ok());
  }
}

TEST_F(PublishedVectors, NistSha256) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/nist.SHA256ShortMsg.rsp.gz");
  const auto records = test::nist_records(path, "MD");
  EXPECT_EQ(records.size(), 65u);
  for (const auto& r : records) {
    Bytes message = hex(r.at("Msg"));
    message.resize(std::stoul(r.at("Len")) / 8);
    EXPECT_EQ(to_hex(sha256(*toolbox_, message)), r.at("MD"));
  }
}

TEST_F(PublishedVectors, NistGcm) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/nist.gcmEncryptExtIV128.rsp.gz");
  const Cipher cipher(EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr));
  Gcm gcm(16);
  unsigned whole = 0;
  unsigned macs = 0;
  for (const auto& r : test::nist_records(path, "Tag")) {
    if (r.at("IVlen") != "96") continue;
    const Bytes key = hex(r.at("Key"));
    const Bytes iv = hex(r.at("IV"));
    const Bytes aad = hex(r.at("AAD"));
    Bytes text = hex(r.at("PT"));
    const Bytes sealed = gcm_seal(cipher.get(), key, iv, aad, text);
    const std::string tag = to_hex(ByteSpan(sealed).last(16));
    ASSERT_EQ(to_hex(ByteSpan(sealed).first(text.size())), r.at("CT"));
    ASSERT_EQ(tag.substr(0, r.at("Tag").size()), r.at("Tag"));
    ++whole;
    if (text.empty()) {
      const size_t cut = aad.size() / 3;
      const Tag mac = gcm.mac(key, iv, ByteSpan(aad).first(cut), ByteSpan(aad).subspan(cut));
      ASSERT_EQ(to_hex(mac).substr(0, r.at("Tag").size()), r.at("Tag"));
      ++macs;
    }
    gcm.crypt(key, iv, text, text.data());
    ASSERT_EQ(to_hex(text), r.at("CT"));
  }
  EXPECT_GT(whole, 2000u);
  EXPECT_GT(macs, 500u);
}

TEST_F(PublishedVectors, WycheproofGmac) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.aes_gmac_test.json.gz");
  unsigned checked = 0;
  test::each_wycheproof(path, [&](const auto& group, const auto& one) {
    if (group.at("ivSize") != 96) return;
    const Bytes key = hex(one.at("key").template get<std::string>());
    Gcm gcm(key.size());
    const Bytes message = hex(one.at("msg").template get<std::string>());
    const Tag tag = gcm.mac(key, hex(one.at("iv").template get<std::string>()), message, {});
    EXPECT_EQ(to_hex(tag) == one.at("tag"), one.at("result") == "valid");
    ++checked;
  });
  EXPECT_GT(checked, 200u);
}

TEST_F(PublishedVectors, WycheproofGcm) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.aes_gcm_test.json.gz");
  unsigned checked = 0;
  test::each_wycheproof(path, [&](const auto& group, const auto& one) {
    if (group.at("ivSize") != 96) return;
    const auto field = [&](const char* name) {
      return hex(one.at(name).template get<std::string>());
    };
    const std::string name = "AES-" + std::to_string(8 * field("key").size()) + "-GCM";
    const Cipher cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
    Bytes sealed = field("ct");
    const Bytes tag = field("tag");
    sealed.insert(sealed.end(), tag.begin(), tag.end());
    const auto opened = gcm_open(cipher.get(), field("key"), field("iv"), field("aad"), sealed);
    ASSERT_EQ(opened.has_value(), one.at("result") == "valid");
    EXPECT_TRUE(!opened || *opened == field("msg"));
    ++checked;
  });
  EXPECT_GT(checked, 100u);
}

TEST_F(PublishedVectors, WycheproofHmac) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.hmac_sha256_test.json.gz");
  test::each_wycheproof(path, [&](const auto&, const auto& one) {
    const Digest mac = toolbox_->hmac_sha256(hex(one.at("key").template get<std::string>()),
                                             hex(one.at("msg").template get<std::string>()));
    const std::string tag = one.at("tag");
    EXPECT_EQ(to_hex(mac).substr(0, tag.size()) == tag, one.at("result") == "valid");
  });
}

TEST_F(PublishedVectors, WycheproofHkdf) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.hkdf_sha256_test.json.gz");
  unsigned checked = 0;
  test::each_wycheproof(path, [&](const auto&, const auto& one) {
    if (one.at("result") != "valid") return;
    const Secret prk = toolbox_->hkdf_extract(hex(one.at("salt").template get<std::string>()),
                                              hex(one.at("ikm").template get<std::string>()));
    const Bytes info = hex(one.at("info").template get<std::string>());
    EXPECT_EQ(to_hex(toolbox_->hkdf_expand(prk, info, one.at("size").template get<size_t>())),
              one.at("okm"));
    ++checked;
  });
  EXPECT_GT(checked, 80u);
}

TEST_F(PublishedVectors, WycheproofEd25519) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.ed25519_test.json.gz");
  unsigned valid = 0;
  unsigned refused = 0;
  test::each_wycheproof(path, [&](const auto& group, const auto& one) {
    const Bytes signature = hex(one.at("sig").template get<std::string>());
    if (signature.size() != sizeof(Signature)) return;
    const auto key = hex_array<32>(group.at("publicKey").at("pk").template get<std::string>());
    Signature fixed;
    std::copy(signature.begin(), signature.end(), fixed.begin());
    const bool ok =
        toolbox_->verify_signature(key, hex(one.at("msg").template get<std::string>()), fixed);
    EXPECT_EQ(ok, one.at("result") == "valid");
    ++(ok ? valid : refused);
  });
  EXPECT_GT(valid, 50u);
  EXPECT_GT(refused, 30u);
}

TEST_F(PublishedVectors, RandomBytesDiffer) {
  std::array<uint8_t, 32> a{};
  std::array<uint8_t, 32> b{};
  toolbox_->random_bytes(a);
  toolbox_->random_bytes(b);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace chaincast::crypto::openssl
