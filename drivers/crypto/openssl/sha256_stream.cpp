// SPDX-License-Identifier: BSD-3-Clause
#define OPENSSL_SUPPRESS_DEPRECATED  // as in sha256.cpp
#include "crypto/openssl/sha256_stream.hpp"

#include <openssl/sha.h>

#include "base/assert.hpp"

namespace chaincast::crypto::openssl {

struct Sha256Stream::State {
  SHA256_CTX context;
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  CC_ASSERT(SHA256_Init(&state_->context) == 1);
}

Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::add(ByteSpan bytes) noexcept {
  CC_ASSERT(SHA256_Update(&state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256Stream::digest() const noexcept {
  SHA256_CTX copy = state_->context;
  Digest out;
  CC_ASSERT(SHA256_Final(out.data(), &copy) == 1);
  return out;
}

}  // namespace chaincast::crypto::openssl
