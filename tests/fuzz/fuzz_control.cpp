// SPDX-License-Identifier: BSD-3-Clause
// Plaintext control messages and hellos: what parses re-encodes to the same bytes.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/control.hpp"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast;
  const ByteSpan bytes(data, size);
  if (const auto message = wire::parse_control(bytes); message.ok()) {
    const Bytes again = wire::encode(*message);
    const bool padded = std::holds_alternative<wire::MtuProbe>(*message);
    CC_ASSERT(padded ? again.size() <= size : again.size() == size);
    CC_ASSERT(std::equal(again.begin(), again.end(), data));
  }
  if (const auto hello = wire::parse_hello(bytes); hello.ok()) {
    const Bytes again = wire::encode(*hello);
    CC_ASSERT(std::equal(again.begin(), again.end(), data, data + size));
    CC_ASSERT(wire::hello_authenticated_bytes(bytes).size() == size - 32);
  }
  return 0;
}
