// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

// Compression of whole graphs: zlib's format (RFC 1950). Pure; any thread.
namespace chaincast::graph {

Bytes deflate_bytes(ByteSpan bytes);
// `invalid` for a damaged stream, and for one that inflates to anything but `expected_bytes`; never
// allocates more than that.
Result<Bytes> inflate_bytes(ByteSpan compressed, size_t expected_bytes);

}  // namespace chaincast::graph
