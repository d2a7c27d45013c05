// SPDX-License-Identifier: BSD-3-Clause
// Descriptors and statements: what parses re-encodes to the same bytes and passes the maker's
// check.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/descriptor.hpp"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast;
  const ByteSpan bytes(data, size);
  if (const auto descriptor = wire::parse_descriptor(bytes); descriptor.ok()) {
    const Bytes again = wire::encode(*descriptor);
    CC_ASSERT(std::equal(again.begin(), again.end(), data, data + size));
    CC_ASSERT(wire::check_descriptor(*descriptor).ok());
  }
  if (const auto statement = wire::parse_statement(bytes); statement.ok()) {
    const Bytes again = wire::encode(*statement);
    CC_ASSERT(std::equal(again.begin(), again.end(), data, data + size));
  }
  return 0;
}
