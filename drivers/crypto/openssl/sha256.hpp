// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace chaincast::crypto::openssl {

// SHA-256 of one message in two parts, without allocation. libcrypto picks SHA-NI where the cpu
// has it. Any thread.
void sha256(ByteSpan first, ByteSpan second, Digest& out) noexcept;

}  // namespace chaincast::crypto::openssl
