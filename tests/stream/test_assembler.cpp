// SPDX-License-Identifier: BSD-3-Clause
#include "stream/assembler.hpp"

#include <gtest/gtest.h>

#include "stream/node.hpp"

namespace chaincast::stream {
namespace {

constexpr uint8_t packed = 0xe0;  // first, last, packed (docs/wire.md)
constexpr uint8_t whole = 0xc0;

// A sink that takes one object at a time is offered each one until it takes it, and never a second
// time: not within a packed payload, and not of the next one.
TEST(Assembler, AFullSinkGetsEachPackedObjectOnce) {
  ReceiverCounters counters;
  Assembler assembler(1 << 20, counters);
  test::RecordingSink sink;
  const std::vector<Bytes> objects = {{1}, {}, {2, 3}, {4, 5, 6}, {7}, {8, 9}};
  const std::vector<Bytes> payloads = {{0, 1, 1, 0, 0, 0, 2, 2, 3}, {0, 3, 4, 5, 6, 0, 1, 7}};
  Seq seq = 0;
  for (const Bytes& payload : payloads) {
    assembler.take(seq++, packed, payload);
    sink.room = 0;
    while (!assembler.flush(sink)) {
      EXPECT_EQ(sink.room, 0u);
      EXPECT_FALSE(assembler.is_idle());
      sink.room = 1;
    }
    EXPECT_TRUE(assembler.is_idle());
  }
  assembler.take(seq, whole, objects.back());
  sink.room = 1;
  EXPECT_TRUE(assembler.flush(sink));
  sink.expect_objects(objects);
  EXPECT_EQ(counters.delivered_objects, 6u);
  EXPECT_EQ(counters.delivered_frames, 3u);
  EXPECT_EQ(counters.delivered_bytes, 9u);
}

}  // namespace
}  // namespace chaincast::stream
