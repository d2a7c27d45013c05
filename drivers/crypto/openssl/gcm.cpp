// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/openssl/gcm.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <string>

#include "base/assert.hpp"

namespace chaincast::crypto::openssl {
namespace {

constexpr size_t tag_bytes = 16;
constexpr size_t nonce_bytes = 12;

// Feeds `input`, as associated data where `out` is null. An empty update would mean "final".
int update(EVP_CIPHER_CTX* context, uint8_t* out, ByteSpan input) {
  CC_ASSERT(input.size() <= INT_MAX);
  int n = 0;
  if (input.empty()) return 1;
  return EVP_CipherUpdate(context, out, &n, input.data(), static_cast<int>(input.size()));
}

}  // namespace

Bytes gcm_seal(const EVP_CIPHER* cipher, ByteSpan key, ByteSpan nonce, ByteSpan aad,
               ByteSpan plaintext) {
  CC_ASSERT(nonce.size() == nonce_bytes);
  const CipherContext context(EVP_CIPHER_CTX_new());
  Bytes out(plaintext.size() + tag_bytes);
  uint8_t* const tag = out.data() + plaintext.size();
  int n = 0;
  int ok = EVP_EncryptInit_ex2(context.get(), cipher, key.data(), nonce.data(), nullptr);
  ok &= update(context.get(), nullptr, aad);
  ok &= update(context.get(), out.data(), plaintext);
  ok &= EVP_EncryptFinal_ex(context.get(), tag, &n);
  ok &= EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag);
  CC_ASSERT(ok == 1);
  return out;
}

std::optional<Bytes> gcm_open(const EVP_CIPHER* cipher, ByteSpan key, ByteSpan nonce, ByteSpan aad,
                              ByteSpan sealed) {
  CC_ASSERT(nonce.size() == nonce_bytes);
  if (sealed.size() < tag_bytes) return std::nullopt;
  const ByteSpan ciphertext = sealed.first(sealed.size() - tag_bytes);
  uint8_t tag[tag_bytes];
  std::memcpy(tag, sealed.data() + ciphertext.size(), tag_bytes);
  const CipherContext context(EVP_CIPHER_CTX_new());
  Bytes out(ciphertext.size());
  int n = 0;
  int ok = EVP_DecryptInit_ex2(context.get(), cipher, key.data(), nonce.data(), nullptr);
  ok &= update(context.get(), nullptr, aad);
  ok &= update(context.get(), out.data(), ciphertext);
  ok &= EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag);
  CC_ASSERT(ok == 1);
  uint8_t none[tag_bytes];
  if (EVP_DecryptFinal_ex(context.get(), none, &n) == 1) return out;
  ERR_clear_error();
  OPENSSL_cleanse(out.data(), out.size());
  return std::nullopt;
}

Gcm::Gcm(size_t key_bytes) {
  const std::string aes = "AES-" + std::to_string(8 * key_bytes);
  for (Keyed* keyed : {&gcm_, &ctr_}) {
    const std::string name = aes + (keyed == &gcm_ ? "-GCM" : "-CTR");
    keyed->cipher.reset(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
    keyed->context.reset(EVP_CIPHER_CTX_new());
    CC_ASSERT(keyed->cipher && keyed->context);
    CC_ASSERT(EVP_EncryptInit_ex2(keyed->context.get(), keyed->cipher.get(), nullptr, nullptr,
                                  nullptr) == 1);
  }
}

Gcm::~Gcm() {
  OPENSSL_cleanse(gcm_.key.data(), gcm_.key.size());
  OPENSSL_cleanse(ctr_.key.data(), ctr_.key.size());
}

Tag Gcm::mac(ByteSpan key, ByteSpan nonce, ByteSpan first, ByteSpan second) noexcept {
  CC_ASSERT(nonce.size() == nonce_bytes);
  EVP_CIPHER_CTX* context = start(gcm_, key, nonce.data());
  Tag out;
  uint8_t none[tag_bytes];
  int n = 0;
  int ok = update(context, nullptr, first);
  ok &= update(context, nullptr, second);
  ok &= EVP_EncryptFinal_ex(context, none, &n);
  ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, out.data());
  CC_ASSERT(ok == 1);
  return out;
}

void Gcm::crypt(ByteSpan key, ByteSpan nonce, ByteSpan input, uint8_t* out) noexcept {
  CC_ASSERT(nonce.size() == nonce_bytes);
  // SP 800-38D: block 1 makes the tag, the text starts at block 2.
  uint8_t counter_block[16] = {};
  std::memcpy(counter_block, nonce.data(), nonce_bytes);
  counter_block[15] = 2;
  CC_ASSERT(update(start(ctr_, key, counter_block), out, input) == 1);
}

// Compares key bytes, not addresses: a new key may live where a freed one did.
EVP_CIPHER_CTX* Gcm::start(Keyed& keyed, ByteSpan key, const uint8_t* iv) noexcept {
  CC_ASSERT(key.size() <= keyed.key.size());
  const bool same = keyed.ready && CRYPTO_memcmp(key.data(), keyed.key.data(), key.size()) == 0;
  CC_ASSERT(EVP_EncryptInit_ex2(keyed.context.get(), nullptr, same ? nullptr : key.data(), iv,
                                nullptr) == 1);
  std::copy(key.begin(), key.end(), keyed.key.begin());
  keyed.ready = true;
  return keyed.context.get();
}

}  // namespace chaincast::crypto::openssl
