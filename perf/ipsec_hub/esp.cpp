// SPDX-License-Identifier: BSD-3-Clause
#include "ipsec_hub/esp.hpp"

#include <openssl/evp.h>

#include <cstring>

#include "base/assert.hpp"
#include "base/random.hpp"
#include "crypto/crypto.hpp"
#include "support/checksum.hpp"

namespace chaincast::bench::ipsec {

const char* to_string(Transform transform) {
  switch (transform) {
    case Transform::gcm256:
      return "aes256-gcm";
    case Transform::gcm128:
      return "aes128-gcm";
    case Transform::gmac256:
      return "null-aes256-gmac";
  }
  return "?";
}

Association make_association(uint32_t number) {
  Association out;
  out.spi = 0x1000 + number;
  Random random(number + 1);
  for (uint8_t& byte : out.key) byte = static_cast<uint8_t>(random.next());
  for (uint8_t& byte : out.salt) byte = static_cast<uint8_t>(random.next());
  return out;
}

void fill_inner(uint8_t* inner, unsigned inner_bytes, uint64_t number) {
  CC_ASSERT(inner_bytes >= inner_bytes_min);
  std::memset(inner, 0, inner_number_offset);
  inner[0] = 0x45;
  store_be16(inner + 2, static_cast<uint16_t>(inner_bytes));
  inner[8] = 64;
  inner[9] = 17;
  store_be32(inner + 12, 0xc0a80001);
  store_be32(inner + 16, 0xc0a80002);
  store_be16(inner + 10, test::naive_checksum({inner, 20}));
  store_be16(inner + 20, 2000);
  store_be16(inner + 22, 2000);
  store_be16(inner + 24, static_cast<uint16_t>(inner_bytes - 20));
  store_be64(inner + inner_number_offset, number);
  Random random(number);
  unsigned at = inner_bytes_min;
  for (; at + 8 <= inner_bytes; at += 8) store_be64(inner + at, random.next());
  for (; at < inner_bytes; ++at) inner[at] = static_cast<uint8_t>(random.next());
}

namespace {

// Authenticates and decrypts by EVP; false where the tag is wrong.
bool open_evp(const EVP_CIPHER* cipher, const uint8_t* key, const uint8_t* nonce, ByteSpan aad,
              ByteSpan sealed, ByteSpan tag, Bytes& out) {
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free);
  Bytes copy(tag.begin(), tag.end());
  int bytes = 0;
  out.resize(sealed.size() + 16);
  EVP_DecryptInit_ex(context.get(), cipher, nullptr, key, nonce);
  EVP_DecryptUpdate(context.get(), nullptr, &bytes, aad.data(), static_cast<int>(aad.size()));
  if (!sealed.empty()) {
    EVP_DecryptUpdate(context.get(), out.data(), &bytes, sealed.data(),
                      static_cast<int>(sealed.size()));
  }
  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(copy.size()),
                      copy.data());
  const bool is_good = EVP_DecryptFinal_ex(context.get(), out.data() + out.size() - 16, &bytes) > 0;
  out.resize(sealed.size());
  return is_good;
}

// The inner packet of a payload with a well-formed trailer, or nothing.
Bytes without_trailer(const Bytes& payload) {
  if (payload.size() < trailer_bytes_min || payload.back() != 4) return {};
  const size_t pad = payload[payload.size() - 2];
  if (payload.size() < pad + trailer_bytes_min) return {};
  const size_t inner = payload.size() - trailer_bytes_min - pad;
  for (size_t i = 0; i < pad; ++i) {
    if (payload[inner + i] != i + 1) return {};
  }
  return {payload.begin(), payload.begin() + static_cast<ptrdiff_t>(inner)};
}

}  // namespace

Bytes open_reference(Transform transform, const Association& association, ByteSpan packet) {
  if (packet.size() < before_payload_bytes + icv_bytes) return {};
  const ByteSpan ip = packet.subspan(14);
  if (test::naive_checksum(ip.first(20)) != 0 || load_be16(ip.data() + 2) != ip.size() ||
      ip[9] != 50) {
    return {};
  }
  const ByteSpan esp = packet.subspan(outer_bytes);
  if (load_be32(esp.data()) != association.spi || load_be32(esp.data() + 4) == 0) return {};
  std::array<uint8_t, 12> nonce;
  std::memcpy(nonce.data(), association.salt.data(), 4);
  std::memcpy(nonce.data() + 4, esp.data() + esp_bytes, 8);
  const ByteSpan tag = esp.last(icv_bytes);
  const ByteSpan sealed =
      esp.subspan(esp_bytes + iv_bytes, esp.size() - esp_bytes - iv_bytes - icv_bytes);
  Bytes payload;
  if (transform == Transform::gmac256) {
    const ByteSpan aad = esp.first(esp.size() - icv_bytes);
    if (!open_evp(EVP_aes_256_gcm(), association.key.data(), nonce.data(), aad, {}, tag, payload)) {
      return {};
    }
    payload.assign(sealed.begin(), sealed.end());
  } else {
    const EVP_CIPHER* cipher =
        transform == Transform::gcm256 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    if (!open_evp(cipher, association.key.data(), nonce.data(), esp.first(esp_bytes), sealed, tag,
                  payload)) {
      return {};
    }
  }
  return without_trailer(payload);
}

Manager make_manager() {
  Manager manager(alloc_mb_mgr(0));
  CC_ASSERT(manager != nullptr);
  init_mb_mgr_auto(manager.get(), nullptr);
  CC_ASSERT(imb_get_errno(manager.get()) == 0);
  return manager;
}

Sa::Sa(IMB_MGR* manager, Transform transform, const Association& association)
    : manager_(manager), transform_(transform), spi_(association.spi), salt_(association.salt) {
  if (transform == Transform::gcm128) {
    IMB_AES128_GCM_PRE(manager, association.key.data(), &key_);
  } else {
    IMB_AES256_GCM_PRE(manager, association.key.data(), &key_);
  }
}

void Sa::seal(uint8_t* packet, const uint8_t* payload, unsigned payload_bytes) noexcept {
  ++seq_;
  store_be32(packet, spi_);
  store_be32(packet + 4, seq_);
  store_be64(packet + 8, seq_);
  alignas(16) std::array<uint8_t, 12> nonce;
  std::memcpy(nonce.data(), salt_.data(), 4);
  std::memcpy(nonce.data() + 4, packet + esp_bytes, 8);
  uint8_t* const out = packet + esp_bytes + iv_bytes;
  uint8_t* const icv = out + payload_bytes;
  switch (transform_) {
    case Transform::gcm256:
      IMB_AES256_GCM_ENC(manager_, &key_, &context_, out, payload, payload_bytes, nonce.data(),
                         packet, esp_bytes, icv, icv_bytes);
      return;
    case Transform::gcm128:
      IMB_AES128_GCM_ENC(manager_, &key_, &context_, out, payload, payload_bytes, nonce.data(),
                         packet, esp_bytes, icv, icv_bytes);
      return;
    case Transform::gmac256:
      std::memcpy(out, payload, payload_bytes);
      IMB_AES256_GCM_ENC(manager_, &key_, &context_, out, out, 0, nonce.data(), packet,
                         esp_bytes + iv_bytes + payload_bytes, icv, icv_bytes);
      return;
  }
}

bool Sa::open(const uint8_t* packet, uint8_t* payload, unsigned payload_bytes) noexcept {
  alignas(16) std::array<uint8_t, 12> nonce;
  std::memcpy(nonce.data(), salt_.data(), 4);
  std::memcpy(nonce.data() + 4, packet + esp_bytes, 8);
  const uint8_t* const in = packet + esp_bytes + iv_bytes;
  std::array<uint8_t, icv_bytes> tag;
  switch (transform_) {
    case Transform::gcm256:
      IMB_AES256_GCM_DEC(manager_, &key_, &context_, payload, in, payload_bytes, nonce.data(),
                         packet, esp_bytes, tag.data(), tag.size());
      break;
    case Transform::gcm128:
      IMB_AES128_GCM_DEC(manager_, &key_, &context_, payload, in, payload_bytes, nonce.data(),
                         packet, esp_bytes, tag.data(), tag.size());
      break;
    case Transform::gmac256:
      IMB_AES256_GCM_DEC(manager_, &key_, &context_, payload, in, 0, nonce.data(), packet,
                         esp_bytes + iv_bytes + payload_bytes, tag.data(), tag.size());
      break;
  }
  return std::memcmp(tag.data(), in + payload_bytes, icv_bytes) == 0;
}

}  // namespace chaincast::bench::ipsec
