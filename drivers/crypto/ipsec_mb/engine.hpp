// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "crypto/crypto.hpp"

// The data plane's FrameEngine over Intel ipsec-mb: GMAC and GCM with VAES, SHA-256 on up to
// sixteen AVX-512 lanes; bursts go through lanes of this project where the processor has them.
//
// Whole groups of sixteen messages go to the lanes. What is left over goes there too if it is more
// than the crossover, else through SHA-NI two at a time, because a flush of the lanes costs the
// same for one message as for sixteen. The crossover is measured at construction, for short and
// for long frames.
namespace chaincast::crypto::ipsec_mb {

// SHA-256 of one message in two parts: no allocation, any thread.
using Sha256 = void (*)(ByteSpan first, ByteSpan second, Digest& out) noexcept;

// Who works on bursts where the processor has AVX-512 and VAES: this project's own lanes
// (crypto/sha256_lanes.hpp, crypto/gmac_lanes.hpp), or ipsec-mb's, as on every other processor.
enum class Lanes : uint8_t { own, ipsec_mb };

// `sha256` hashes messages that are alone: libcrypto's (openssl::sha256) is faster there than
// ipsec-mb is, 943 against 1421 ns for 1448 bytes on a Xeon with SHA-NI.
// Allocates two managers and 64 staging buffers (4 MiB of address space, touched as far as frames
// are long) and measures the crossover: about 5 ms, at most 20. One engine per thread; keys are
// good for every engine of the process.
// Errors: `unsupported` where the cpu lacks AES-NI, PCLMULQDQ, AVX2 or BMI2 (names it and the
// remedy) or the library refuses.
Result<std::unique_ptr<FrameEngine>> make_engine(Sha256 sha256, Lanes lanes = Lanes::own);

}  // namespace chaincast::crypto::ipsec_mb
