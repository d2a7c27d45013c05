// SPDX-License-Identifier: BSD-3-Clause
#include "graph/deflate.hpp"

#include <zlib.h>

namespace chaincast::graph {

Bytes deflate_bytes(ByteSpan bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  Bytes out(size);
  const int code = compress2(out.data(), &size, bytes.data(), static_cast<uLong>(bytes.size()), 6);
  CC_ASSERT(code == Z_OK);
  out.resize(size);
  return out;
}

Result<Bytes> inflate_bytes(ByteSpan compressed, size_t expected_bytes) {
  Bytes out(expected_bytes);
  uLongf size = static_cast<uLongf>(expected_bytes);
  uLong used = static_cast<uLong>(compressed.size());
  const int code = uncompress2(out.data(), &size, compressed.data(), &used);
  if (code != Z_OK || size != expected_bytes || used != compressed.size()) {
    return error(ErrorCode::invalid,
                 "graph: its compressed form is damaged or not of the size it states; ask another "
                 "peer");
  }
  return out;
}

}  // namespace chaincast::graph
