// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <numeric>

#include "gen/stamp.hpp"

namespace chaincast::gen {
namespace {

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aau);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43u);
  Bytes rising(32);
  std::iota(rising.begin(), rising.end(), uint8_t{0});
  EXPECT_EQ(crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, PiecesMakeTheWhole) {
  Bytes bytes(100);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  const ByteSpan all(bytes);
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all));
  }
}

TEST(Stamp, ReadsWhatWasWritten) {
  for (const size_t size : {32u, 33u, 64u, 9'000u}) {
    for (const auto clock : {StampClock::monotonic, StampClock::realtime}) {
      Bytes object(size, 0xa5);
      const Stamp written{clock, 0xdeadbeef, 1ull << 40, 123'456'789'012'345};
      write_stamp(written, object);
      Stamp read;
      EXPECT_EQ(read_stamp(object, read), StampState::good);
      EXPECT_EQ(read, written);
    }
  }
}

// Byte by byte as the header documents it.
TEST(Stamp, LayoutIsAsDocumented) {
  Bytes object(33, 7);
  write_stamp({StampClock::realtime, 0x01020304, 5, 6}, object);
  EXPECT_EQ(to_hex(ByteSpan(object).first(28)),
            "43434752"
            "01020304"
            "0000000000000005"
            "0000000000000006"
            "00000021");
  EXPECT_EQ(object[32], 7);
}

TEST(Stamp, EveryFlippedBitIsSeen) {
  Bytes object(80, 3);
  write_stamp({StampClock::monotonic, 1, 2, 3}, object);
  for (size_t bit = 0; bit < object.size() * 8; ++bit) {
    Bytes flipped = object;
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    Stamp read;
    EXPECT_NE(read_stamp(flipped, read), StampState::good) << bit;
  }
}

TEST(Stamp, CutAndLengthenedObjectsAreCorruptAndShortOnesHaveNone) {
  Bytes object(80, 0);
  write_stamp({}, object);
  Stamp read;
  for (size_t size = 0; size < 32; ++size) {
    EXPECT_EQ(read_stamp(ByteSpan(object).first(size), read), StampState::none);
  }
  for (size_t size = 32; size < 80; ++size) {
    EXPECT_EQ(read_stamp(ByteSpan(object).first(size), read), StampState::corrupt);
  }
  object.push_back(0);
  EXPECT_EQ(read_stamp(object, read), StampState::corrupt);
  EXPECT_EQ(read_stamp(Bytes(100, 'x'), read), StampState::none);
}

}  // namespace
}  // namespace chaincast::gen
