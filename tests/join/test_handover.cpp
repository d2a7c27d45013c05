// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "graph/message.hpp"
#include "join/handover.hpp"

namespace chaincast::join {
namespace {

Endpoint endpoint(bool is_ipv6, uint16_t port) {
  Endpoint out;
  out.is_ipv6 = is_ipv6;
  out.port = port;
  out.address[0] = 192;
  if (is_ipv6) out.address[15] = 9;
  return out;
}

Bytes card_of(size_t endpoints) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(endpoints));
  for (size_t i = 0; i < endpoints; ++i) wire::put_endpoint(out, endpoint(false, 7000));
  return out.take();
}

TEST(Handover, CardsComeBackAndEveryCutOrAddedByteIsRefused) {
  const Card card{{endpoint(false, 7000), endpoint(true, 1), endpoint(false, 65'535)}};
  const Bytes bytes = encode(card);
  const auto parsed = parse_card(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, card);
  for (size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_FALSE(parse_card(ByteSpan(bytes).first(length)).ok()) << length;
  }
  ByteWriter longer;
  longer.bytes(bytes).u8(0);
  EXPECT_FALSE(parse_card(longer.take()).ok());
  EXPECT_TRUE(parse_card({}).value().data.empty());
}

TEST(Handover, ACardIsBoundedAndKnowsItsFamilies) {
  EXPECT_TRUE(parse_card(card_of(card_endpoints_max)).ok());
  EXPECT_FALSE(parse_card(card_of(card_endpoints_max + 1)).ok());
  EXPECT_FALSE(parse_card(Bytes{1, 5, 0, 1, 1, 2, 3, 4}).ok());
  EXPECT_TRUE(parse_card(Bytes{1, 4, 0, 1, 1, 2, 3, 4}).ok());
}

TEST(Handover, AGrantHasOneLengthTwoKindsAndNoGraphMessagesType) {
  Grant grant;
  grant.resource.bytes.fill(3);
  grant.secret.kind = identity::SecretFile::Kind::relay;
  grant.secret.secret.fill(9);
  const Bytes bytes = encode(grant);
  EXPECT_EQ(bytes.size(), grant_bytes);
  ASSERT_TRUE(is_grant(bytes));
  EXPECT_EQ(parse_grant(bytes).value(), grant);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(parse_grant(ByteSpan(bytes).first(length)).ok()) << length;
  }
  Bytes other = bytes;
  other[2 + 16] = 3;
  EXPECT_FALSE(parse_grant(other).ok());
  EXPECT_GT(grant_type, std::variant_size_v<graph::Message>);
}

}  // namespace
}  // namespace chaincast::join
