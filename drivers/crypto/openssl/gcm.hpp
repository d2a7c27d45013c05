// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/openssl/handles.hpp"

// AES-GCM in the three shapes that chaincast uses, with libcrypto. Private to the driver; keys of
// other lengths than 32 bytes exist for the published vectors. Lengths below 2^31.
namespace chaincast::crypto::openssl {

// The whole AEAD: ciphertext, then the 16-byte tag. A context per call: any thread.
Bytes gcm_seal(const EVP_CIPHER* cipher, ByteSpan key, ByteSpan nonce, ByteSpan aad,
               ByteSpan plaintext);
// Nothing if the tag does not match.
std::optional<Bytes> gcm_open(const EVP_CIPHER* cipher, ByteSpan key, ByteSpan nonce, ByteSpan aad,
                              ByteSpan sealed);

// GMAC and GCM's cipher alone, over contexts that are reused: no allocation after construction,
// one key schedule while consecutive calls share a key. One thread at a time.
class Gcm {
 public:
  explicit Gcm(size_t key_bytes);
  ~Gcm();
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;

  // GMAC over `first` and `second` in a row (either may be empty). `nonce`: 12 bytes.
  Tag mac(ByteSpan key, ByteSpan nonce, ByteSpan first, ByteSpan second) noexcept;
  // Encrypts or decrypts (the same operation) input.size() bytes to `out`, which may be the input.
  void crypt(ByteSpan key, ByteSpan nonce, ByteSpan input, uint8_t* out) noexcept;

 private:
  struct Keyed {
    Cipher cipher;
    CipherContext context;
    std::array<uint8_t, 32> key{};
    bool ready = false;
  };
  static EVP_CIPHER_CTX* start(Keyed& keyed, ByteSpan key, const uint8_t* iv) noexcept;

  Keyed gcm_;
  Keyed ctr_;
};

}  // namespace chaincast::crypto::openssl
