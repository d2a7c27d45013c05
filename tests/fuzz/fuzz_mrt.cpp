// SPDX-License-Identifier: BSD-3-Clause
// MRT files, compressed ones included: whatever comes out can be encoded and parsed again.
#include "fuzz.hpp"
#include "route/mrt.hpp"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast;
  constexpr int records_max = 1000;  // a compressed bomb is not what this looks for
  route::MrtReader reader(route::memory_source(ByteSpan(data, size)));
  std::vector<wire::RouteRecord> records;
  uint64_t prefixes = 0;
  for (int i = 0; i < records_max && reader.next(records); ++i) {
    for (const wire::RouteRecord& record : records) prefixes += record.prefixes.size();
    const auto again = wire::parse_route_update(wire::encode(records));
    CC_ASSERT(again.ok());
    CC_ASSERT(*again == records);
  }
  CC_ASSERT(reader.counts().prefix_changes() == prefixes);
  route::describe(reader.counts());
  return 0;
}
