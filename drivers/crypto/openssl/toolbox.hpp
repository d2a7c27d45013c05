// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "crypto/crypto.hpp"

// All of lib/crypto's interfaces over OpenSSL 3's libcrypto, and the scalar reference that every
// other engine is held against.
namespace chaincast::crypto::openssl {

// Thread-safe and stateless as Toolbox demands; algorithms are fetched once, here. Aborts where
// libcrypto cannot provide one of them: nothing could run without it.
// Its signatures, MACs and AEADs allocate, so they belong on control threads; the engines of
// reference_engine() allocate in make_key and at construction only.
std::unique_ptr<Toolbox> make_toolbox();

}  // namespace chaincast::crypto::openssl
