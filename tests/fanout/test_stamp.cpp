// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/stamp.hpp"

#include "fanout/world.hpp"
#include "support/random.hpp"

namespace chaincast::test {
namespace {

// RFC 768: a computed zero is sent as all ones, zero would say "no checksum".
TEST(Stamp, UdpChecksumIsNeverZero) {
  port::Destination to;
  to.header_bytes = 42;
  to.l2_bytes = 14;
  to.l3_bytes = 20;
  to.header[14] = 0x45;
  const fanout::HeaderPlan plan(to, false, false);
  unsigned all_ones = 0;
  for (uint32_t sum = 0; sum <= 0xffff; ++sum) {
    std::array<uint8_t, 128> buffer{};
    plan.write(buffer.data() + 112, 16, {}, sum);
    uint16_t checksum;
    std::memcpy(&checksum, buffer.data() + 112 - 16 - 2, 2);
    EXPECT_NE(checksum, 0);
    all_ones += checksum == 0xffff ? 1 : 0;
  }
  // ~0xffff = 0 is replaced, ~0 cannot occur because the protocol number is in the sum.
  EXPECT_EQ(all_ones, 1u);
}

TEST(Stamp, WritesNothingBehindTheHeadersAndLittleBefore) {
  Random random(3);
  for (const unsigned l2 : {14u, 18u}) {
    for (const unsigned l3 : {20u, 40u}) {
      port::Destination to;
      to.l2_bytes = static_cast<uint8_t>(l2);
      to.l3_bytes = static_cast<uint8_t>(l3);
      to.header_bytes = static_cast<uint8_t>(l2 + l3 + 8);
      const fanout::HeaderPlan plan(to, false, false);
      std::array<uint8_t, 256> buffer;
      buffer.fill(0xa5);
      plan.write(buffer.data() + 128, 1000, {}, 0);
      EXPECT_GE(plan.reach_bytes(), plan.total_bytes());
      EXPECT_LE(plan.reach_bytes(), fanout::HeaderPlan::reach_max_bytes);
      for (size_t i = 0; i < 128 - plan.reach_bytes(); ++i) EXPECT_EQ(buffer[i], 0xa5) << i;
      for (size_t i = 128; i < buffer.size(); ++i) EXPECT_EQ(buffer[i], 0xa5) << i;
    }
  }
}

}  // namespace
}  // namespace chaincast::test
