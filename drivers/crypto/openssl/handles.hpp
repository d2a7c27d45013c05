// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <openssl/evp.h>

#include <memory>

// Owning pointers of libcrypto objects. Private to the driver.
namespace chaincast::crypto::openssl {

struct Free {
  void operator()(EVP_MD* p) const { EVP_MD_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_CIPHER* p) const { EVP_CIPHER_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};

using Md = std::unique_ptr<EVP_MD, Free>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Free>;
using Cipher = std::unique_ptr<EVP_CIPHER, Free>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free>;
using Pkey = std::unique_ptr<EVP_PKEY, Free>;

}  // namespace chaincast::crypto::openssl
