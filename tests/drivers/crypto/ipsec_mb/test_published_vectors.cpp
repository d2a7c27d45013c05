// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <intel-ipsec-mb.h>

#include "crypto/ipsec_mb/hasher.hpp"
#include "crypto/vectors.hpp"

// The library itself, called in the shapes that the engine uses, against published vectors.
namespace chaincast::crypto::ipsec_mb {
namespace {

using test::hex;

struct Case {
  Bytes key;
  Bytes iv;
  Bytes aad;
  Bytes text;
};

class MbVectors : public testing::Test {
 protected:
  void SetUp() override { init_mb_mgr_auto(manager_.get(), nullptr); }

  // Ciphertext, then tag. 128- and 256-bit keys.
  Bytes encrypt(const Case& c) {
    IMB_MGR* mb = manager_.get();
    alignas(64) gcm_key_data key;
    gcm_context_data context;
    Bytes out(c.text.size() + 16);
    uint8_t* tag = out.data() + c.text.size();
    uint8_t none[1] = {};
    const uint8_t* text = c.text.empty() ? none : c.text.data();
    const uint8_t* aad = c.aad.empty() ? none : c.aad.data();
    if (c.key.size() == 16) {
      IMB_AES128_GCM_PRE(mb, c.key.data(), &key);
      IMB_AES128_GCM_ENC(mb, &key, &context, out.data(), text, c.text.size(), c.iv.data(), aad,
                         c.aad.size(), tag, 16);
    } else {
      IMB_AES256_GCM_PRE(mb, c.key.data(), &key);
      IMB_AES256_GCM_ENC(mb, &key, &context, out.data(), text, c.text.size(), c.iv.data(), aad,
                         c.aad.size(), tag, 16);
    }
    return out;
  }

  // The init, update, update, finalize form.
  Bytes gmac_in_two(const Case& c, size_t cut) {
    IMB_MGR* mb = manager_.get();
    alignas(64) gcm_key_data key;
    gcm_context_data context;
    Bytes tag(16);
    IMB_AES256_GCM_PRE(mb, c.key.data(), &key);
    IMB_AES256_GMAC_INIT(mb, &key, &context, c.iv.data(), c.iv.size());
    if (cut > 0) IMB_AES256_GMAC_UPDATE(mb, &key, &context, c.aad.data(), cut);
    if (cut < c.aad.size()) {
      IMB_AES256_GMAC_UPDATE(mb, &key, &context, c.aad.data() + cut, c.aad.size() - cut);
    }
    IMB_AES256_GMAC_FINALIZE(mb, &key, &context, tag.data(), tag.size());
    return tag;
  }

  Manager manager_{alloc_mb_mgr(0)};
};

TEST_F(MbVectors, NistGcm) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/nist.gcmEncryptExtIV128.rsp.gz");
  unsigned checked = 0;
  for (const auto& r : test::nist_records(path, "Tag")) {
    if (r.at("IVlen") != "96") continue;
    const std::string out =
        to_hex(encrypt({hex(r.at("Key")), hex(r.at("IV")), hex(r.at("AAD")), hex(r.at("PT"))}));
    const std::string expected = r.at("CT") + r.at("Tag");
    ASSERT_EQ(out.substr(0, expected.size()), expected);
    ++checked;
  }
  EXPECT_GT(checked, 2000u);
}

TEST_F(MbVectors, WycheproofGmac) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.aes_gmac_test.json.gz");
  unsigned checked = 0;
  test::each_wycheproof(path, [&](const auto& group, const auto& one) {
    if (group.at("ivSize") != 96 || group.at("keySize") == 192) return;
    const Case c{hex(one.at("key").template get<std::string>()),
                 hex(one.at("iv").template get<std::string>()),
                 hex(one.at("msg").template get<std::string>()),
                 {}};
    const bool valid = one.at("result") == "valid";
    EXPECT_EQ(to_hex(encrypt(c)) == one.at("tag"), valid);
    if (c.key.size() == 32) {
      EXPECT_EQ(to_hex(gmac_in_two(c, std::min<size_t>(40, c.aad.size()))) == one.at("tag"), valid);
    }
    ++checked;
  });
  EXPECT_GT(checked, 100u);
}

TEST_F(MbVectors, WycheproofGcm) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/wycheproof.aes_gcm_test.json.gz");
  unsigned checked = 0;
  test::each_wycheproof(path, [&](const auto& group, const auto& one) {
    if (group.at("ivSize") != 96 || group.at("keySize") == 192) return;
    const auto field = [&](const char* name) {
      return hex(one.at(name).template get<std::string>());
    };
    const Bytes out = encrypt({field("key"), field("iv"), field("aad"), field("msg")});
    const std::string expected =
        one.at("ct").template get<std::string>() + one.at("tag").template get<std::string>();
    EXPECT_EQ(to_hex(out) == expected, one.at("result") == "valid");
    ++checked;
  });
  EXPECT_GT(checked, 50u);
}

TEST_F(MbVectors, NistSha256OnTheLanes) {
  CC_DATA_FILE_OR_SKIP(path, "crypto/nist.SHA256ShortMsg.rsp.gz");
  const auto records = test::nist_records(path, "MD");
  std::vector<Bytes> messages;
  std::vector<Digest> digests(records.size());
  for (const auto& r : records) {
    messages.push_back(hex(r.at("Msg")));
    const size_t bytes = std::stoul(r.at("Len")) / 8;
    IMB_JOB* job = IMB_GET_NEXT_JOB(manager_.get());
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = messages.back().data();
    job->dst = messages.back().data();
    job->msg_len_to_cipher_in_bytes = 0;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = bytes;
    job->auth_tag_output = digests[messages.size() - 1].data();
    job->auth_tag_output_len_in_bytes = sizeof(Digest);
    IMB_SUBMIT_JOB_NOCHECK(manager_.get());
  }
  while (IMB_FLUSH_JOB(manager_.get()) != nullptr) {
  }
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(to_hex(digests[i]), records[i].at("MD"));
}

}  // namespace
}  // namespace chaincast::crypto::ipsec_mb
