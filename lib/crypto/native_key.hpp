// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a Signer is as well where libcrypto holds its key, for what is made of the same library
// (drivers/session/tls). The key stays the signer's. Control thread.
struct evp_pkey_st;  // libcrypto's EVP_PKEY

namespace chaincast::crypto {

class NativeKey {
 public:
  virtual ~NativeKey() = default;
  virtual evp_pkey_st* native_key() const = 0;
};

}  // namespace chaincast::crypto
