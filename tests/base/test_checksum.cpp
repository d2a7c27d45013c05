// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.hpp"

#include <gtest/gtest.h>

#include "support/checksum.hpp"
#include "support/random.hpp"

namespace chaincast::test {
namespace {

// What the sum would be stored as: the checksum, in network byte order.
uint16_t checksum_of(uint32_t sum) {
  return static_cast<uint16_t>(~__builtin_bswap16(static_cast<uint16_t>(sum)));
}

TEST(InternetSum, IsRfc1071sForEveryLengthAndAlignment) {
  Random random(7);
  const Bytes bytes = random_bytes(random, 4096);
  for (size_t offset = 0; offset < 33; ++offset) {
    for (size_t length = 0; length < 200; ++length) {
      const ByteSpan part(bytes.data() + offset, length);
      for (const auto sum : {internet_sum, internet_sum_avx2}) {
        EXPECT_EQ(checksum_of(sum(part.data(), length)), naive_checksum(part));
      }
    }
  }
}

TEST(InternetSum, KeepsEveryCarry) {
  for (const size_t length : {64u, 1400u, 1401u, 9000u, 65535u}) {
    const Bytes ones(length, 0xff);
    for (const auto sum : {internet_sum, internet_sum_avx2}) {
      EXPECT_EQ(checksum_of(sum(ones.data(), length)), naive_checksum(ones));
    }
  }
}

TEST(InternetSum, OfPartsAddsUpWhereverTheyMeet) {
  Random random(8);
  const Bytes bytes = random_bytes(random, 301);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const uint32_t head = internet_sum(bytes.data(), cut);
    uint32_t tail = internet_sum(bytes.data() + cut, bytes.size() - cut);
    if (cut % 2 != 0) tail = internet_sum_at_odd(tail);
    EXPECT_EQ(checksum_of(fold_internet_sum(head + tail)), naive_checksum(bytes)) << cut;
  }
}

}  // namespace
}  // namespace chaincast::test
