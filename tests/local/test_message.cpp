// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "local/message.hpp"

namespace chaincast::local {
namespace {

TEST(Message, IsTypeLengthAndBody) {
  const Bytes body = {1, 2, 3};
  EXPECT_EQ(message(Type::publish, body), (Bytes{0x02, 0, 0, 0, 3, 1, 2, 3}));
  const Header header = load_header(message(Type::subscribe_ring, body).data());
  EXPECT_EQ(header.type, Type::subscribe_ring);
  EXPECT_EQ(header.body_bytes, 3u);
}

// Every type that a client may send has a bound, and no other type is taken.
TEST(Message, OnlyRequestsAreTaken) {
  for (unsigned type = 0; type < 256; ++type) {
    const auto bound = request_bytes_max(static_cast<uint8_t>(type), 1'000);
    EXPECT_EQ(bound.has_value(), type >= 0x01 && type <= 0x08) << type;
    EXPECT_LE(bound.value_or(0), command_bytes_max);
  }
}

TEST(Message, NamesAreCutAndReadBack) {
  for (const size_t length : {0u, 1u, 255u, 256u, 1'000u}) {
    ByteWriter writer;
    put_name(writer, std::string(length, 'n'));
    ByteReader reader(writer.buffer());
    EXPECT_EQ(get_name(reader).size(), std::min<size_t>(length, name_bytes_max));
    EXPECT_TRUE(reader.finished());
  }
}

TEST(Message, ANameThatIsCutShortIsNotOk) {
  const Bytes body = {5, 'a', 'b'};
  ByteReader reader(body);
  EXPECT_EQ(get_name(reader), "");
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace chaincast::local
