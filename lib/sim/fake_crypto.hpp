// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "crypto/crypto.hpp"

namespace chaincast::sim {

// Keyed mixing in place of hashes, tags and signatures, so that thousands of streams run in a
// second. The rules of the suites are kept: what is covered, what is chained, who can make it.
// Random bytes are seeded. Not for anything but simulation. One thread; a hash costs about 1 ns per
// eight bytes.
std::unique_ptr<crypto::Toolbox> make_fake_crypto(uint64_t seed);

}  // namespace chaincast::sim
