// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "session/session.hpp"

// Sessions over TCP and TLS 1.3, with OpenSSL (docs/membership.md, "Sessions"; docs/security.md).
namespace chaincast::session::tls {

// Connections that may be half open at a time: dialled to this end, no hello yet.
inline constexpr size_t half_open_max = 256;
// Of them from one address; of IPv6, from one /64.
inline constexpr size_t half_open_per_source_max = 32;

// Listens at `config.listen`. `signer` is one of drivers/crypto/openssl, and outlives the result;
// it proves this end's key. Errors: `io` names the address; `invalid`: the card is too long, or
// `admits` is not set; `unsupported`: OpenSSL cannot, or the signer's key is not OpenSSL's.
// Thread: the caller's, for all calls; nothing blocks, nothing is raised (no SIGPIPE). Cost: a
// session takes each end 0.9 ms of processor time from dial to goodbye, 0.6 ms if it resumes; 1 GiB
// both of them 2.2 s. on_ready reads at most 2 MiB.
Result<std::unique_ptr<Sessions>> make_tls(const Config& config, const crypto::Signer& signer);

}  // namespace chaincast::session::tls
