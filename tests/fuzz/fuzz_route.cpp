// SPDX-License-Identifier: BSD-3-Clause
// Route update payloads: what parses is canonical, records of unknown types apart.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/route.hpp"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast;
  const auto records = wire::parse_route_update(ByteSpan(data, size));
  if (!records.ok()) return 0;
  const Bytes again = wire::encode(*records);
  CC_ASSERT(again.size() <= size);
  if (again.size() == size) CC_ASSERT(std::equal(again.begin(), again.end(), data));
  if (records->empty()) return 0;
  const auto twice = wire::parse_route_update(again);
  CC_ASSERT(twice.ok());
  CC_ASSERT(*twice == *records);
  return 0;
}
