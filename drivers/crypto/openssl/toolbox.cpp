// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/openssl/toolbox.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "crypto/frame_rules.hpp"
#include "crypto/native_key.hpp"
#include "crypto/openssl/gcm.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/reference_engine.hpp"

namespace chaincast::crypto::openssl {
namespace {

int length_of(ByteSpan bytes) {
  CC_ASSERT(bytes.size() <= INT_MAX);
  return static_cast<int>(bytes.size());
}

class GcmAead final : public Aead {
 public:
  explicit GcmAead(const Secret& key)
      : cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)), key_(key) {
    CC_ASSERT(cipher_);
  }
  ~GcmAead() override { OPENSSL_cleanse(key_.data(), key_.size()); }

  Bytes seal(uint64_t counter, ByteSpan aad, ByteSpan plaintext) const override {
    return gcm_seal(cipher_.get(), key_, nonce_from(counter), aad, plaintext);
  }

  Result<Bytes> open(uint64_t counter, ByteSpan aad, ByteSpan sealed) const override {
    std::optional<Bytes> out = gcm_open(cipher_.get(), key_, nonce_from(counter), aad, sealed);
    if (out) return std::move(*out);
    return error(ErrorCode::refused,
                 "sealed message: its tag does not match (altered, or made with another key)");
  }

 private:
  static Nonce nonce_from(uint64_t counter) {
    Nonce nonce{};
    store_be64(nonce.data() + 4, counter);
    return nonce;
  }

  Cipher cipher_;
  Secret key_;
};

class Ed25519Signer final : public Signer, public NativeKey {
 public:
  explicit Ed25519Signer(const Secret& seed)
      : key_(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size())) {
    CC_ASSERT(key_);
    size_t length = public_key_.size();
    CC_ASSERT(EVP_PKEY_get_raw_public_key(key_.get(), public_key_.data(), &length) == 1);
  }

  const PublicKey& public_key() const override { return public_key_; }
  evp_pkey_st* native_key() const override { return key_.get(); }

  Signature sign(ByteSpan message) const override {
    const MdContext context(EVP_MD_CTX_new());
    Signature out;
    size_t length = out.size();
    int ok = EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get());
    ok &= EVP_DigestSign(context.get(), out.data(), &length, message.data(), message.size());
    CC_ASSERT(ok == 1 && length == out.size());
    return out;
  }

 private:
  Pkey key_;
  PublicKey public_key_{};
};

class OpensslToolbox final : public Toolbox {
 public:
  OpensslToolbox() : sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)) { CC_ASSERT(sha256_); }

  Digest sha256(ByteSpan data) const override {
    Digest out;
    CC_ASSERT(EVP_Digest(data.data(), data.size(), out.data(), nullptr, sha256_.get(), nullptr) ==
              1);
    return out;
  }

  Digest hmac_sha256(ByteSpan key, ByteSpan data) const override {
    Digest out;
    CC_ASSERT(HMAC(sha256_.get(), key.data(), length_of(key), data.data(), data.size(), out.data(),
                   nullptr) != nullptr);
    return out;
  }

  Secret hkdf_extract(ByteSpan salt, ByteSpan input) const override {
    return hmac_sha256(salt, input);
  }

  Bytes hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const override {
    CC_ASSERT(length <= 255 * sizeof(Digest));
    Bytes out;
    Bytes message;
    Digest block{};
    for (uint8_t round = 1; out.size() < length; ++round) {
      message.assign(block.begin(), round == 1 ? block.begin() : block.end());
      message.insert(message.end(), info.begin(), info.end());
      message.push_back(round);
      block = hmac_sha256(prk, message);
      const size_t take = std::min(block.size(), length - out.size());
      out.insert(out.end(), block.data(), block.data() + take);
    }
    OPENSSL_cleanse(message.data(), message.size());
    OPENSSL_cleanse(block.data(), block.size());
    return out;
  }

  bool verify_signature(const PublicKey& key, ByteSpan message,
                        const Signature& signature) const override {
    const Pkey pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
    const MdContext context(EVP_MD_CTX_new());
    const bool ok =
        pkey && context &&
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
        EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                         message.size()) == 1;
    if (!ok) ERR_clear_error();
    return ok;
  }

  std::unique_ptr<Aead> aead(const Secret& key) const override {
    return std::make_unique<GcmAead>(key);
  }
  std::unique_ptr<Signer> signer(const Secret& seed) const override {
    return std::make_unique<Ed25519Signer>(seed);
  }

  // Continuing without randomness would repeat keys, so its absence ends the process.
  void random_bytes(std::span<uint8_t> out) const override {
    CC_ASSERT(RAND_priv_bytes(out.data(), length_of(out)) == 1);
  }

  std::unique_ptr<FrameEngine> reference_engine() const override { return make_reference_engine(); }

 private:
  Md sha256_;
};

}  // namespace

std::unique_ptr<Toolbox> make_toolbox() {
  return std::make_unique<OpensslToolbox>();
}

}  // namespace chaincast::crypto::openssl
