// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <memory>

#include "base/random.hpp"
#include "port/packets.hpp"

namespace chaincast::port {
namespace {

uint16_t checksum_of(uint32_t sum) {
  const uint16_t field = finish_sum(sum);
  return load_be16(reinterpret_cast<const uint8_t*>(&field));
}

TEST(Checksum, MatchesTheExampleOfRfc1071) {
  const Bytes words = *from_hex("0001f203f4f5f6f7");
  EXPECT_EQ(checksum_of(sum_bytes(words.data(), words.size())), static_cast<uint16_t>(~0xddf2));
}

TEST(Checksum, AgreesWithTheDefinitionAtEverySizeAndAlignment) {
  Random random(1);
  for (size_t size = 0; size <= 300; ++size) {
    for (size_t shift = 0; shift < 4; ++shift) {
      // An exact-size heap copy, so that the address sanitizer sees a read past the end.
      const auto bytes = std::make_unique<uint8_t[]>(size + shift);
      for (size_t i = 0; i < size + shift; ++i) bytes[i] = static_cast<uint8_t>(random.next());
      ASSERT_EQ(checksum_of(sum_bytes(bytes.get() + shift, size)),
                test::naive_checksum({bytes.get() + shift, size}))
          << size << " bytes at offset " << shift;
    }
  }
}

TEST(Checksum, KeepsEveryCarryOfLargeAndExtremeInput) {
  for (const size_t size :
       {size_t{65535}, size_t{65536 * 32}, size_t{65536 * 32 + 33}, size_t{5'000'001}}) {
    const Bytes ones(size, 0xff);
    ASSERT_EQ(checksum_of(sum_bytes(ones.data(), size)), test::naive_checksum(ones)) << size;
  }
  EXPECT_EQ(sum_bytes(Bytes(100, 0).data(), 100), 0u);
}

TEST(Checksum, PiecesAddUpAtEvenAndOddOffsets) {
  Random random(2);
  for (int round = 0; round < 1000; ++round) {
    const Bytes bytes = test::random_bytes(random, 1 + random.below(600));
    const size_t cut = random.below(bytes.size() + 1);
    const uint32_t head = sum_bytes(bytes.data(), cut);
    uint32_t tail = sum_bytes(bytes.data() + cut, bytes.size() - cut);
    if (cut % 2 == 1) tail = sum_at_odd_offset(tail);
    ASSERT_EQ(checksum_of(head + tail), test::naive_checksum(bytes)) << cut;
  }
}

TEST(Checksum, UdpZeroIsSentAsOnes) {
  EXPECT_EQ(finish_udp_sum(0xffff), 0xffff);
  EXPECT_EQ(finish_sum(0xffff), 0);
  EXPECT_EQ(finish_udp_sum(0x1234), static_cast<uint16_t>(~0x1234));
}

}  // namespace
}  // namespace chaincast::port
