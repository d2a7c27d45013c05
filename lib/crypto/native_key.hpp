// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The key of a Signer as libcrypto holds it, for what is made of the same library. The key stays
// the signer's; control thread; costs nothing.
struct evp_pkey_st;  // EVP_PKEY

namespace chaincast::crypto {

// What a Signer is as well where its key is libcrypto's (drivers/crypto/openssl); found by
// dynamic_cast, and asked for by drivers/session/tls.
class NativeKey {
 public:
  virtual ~NativeKey() = default;
  virtual evp_pkey_st* native_key() const = 0;
};

}  // namespace chaincast::crypto
