// SPDX-License-Identifier: BSD-3-Clause
// The low-level functions are deprecated in OpenSSL 3, yet EVP allocates at every start of a hash.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/ipsec_mb/one_shot.hpp"

#include <openssl/sha.h>

#include "base/assert.hpp"

namespace chaincast::crypto::ipsec_mb {

void sha256_one_shot(ByteSpan first, ByteSpan second, Digest& out) noexcept {
  SHA256_CTX context;
  int ok = SHA256_Init(&context);
  ok &= SHA256_Update(&context, first.data(), first.size());
  ok &= SHA256_Update(&context, second.data(), second.size());
  ok &= SHA256_Final(out.data(), &context);
  CC_ASSERT(ok == 1);
}

}  // namespace chaincast::crypto::ipsec_mb
