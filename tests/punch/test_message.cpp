// SPDX-License-Identifier: BSD-3-Clause
#include "punch/message.hpp"

#include <gtest/gtest.h>

#include "graph/message.hpp"
#include "names.hpp"

namespace chaincast::punch {
namespace {

std::vector<Message> examples() {
  Endpoint v6 = at(1, 7);
  v6.is_ipv6 = true;
  std::vector<Message> out;
  out.emplace_back(Register{});
  out.emplace_back(Offer{{at(1, 7100), at(1, 7101)}});
  out.emplace_back(Offer{});
  out.emplace_back(Candidates{Mapping::dependent, {at(2, 1), v6}, {at(3, 65'535)}});
  out.emplace_back(Carry{Carry::Kind::open, false, node(1), 0xdeadbeef, 0, {}});
  out.emplace_back(Carry{Carry::Kind::data, true, node(2), 1, 0, {1, 2, 3}});
  out.emplace_back(Carry{Carry::Kind::credit, true, node(2), 1, 77, {}});
  out.emplace_back(Carry{Carry::Kind::close, false, node(2), 1, 0, {}});
  out.emplace_back(RelayRequest{node(9)});
  out.emplace_back(RelayGrant{node(9), at(1, 7102)});
  out.emplace_back(RelayGrant{node(9), std::nullopt});
  return out;
}

TEST(PunchMessage, WhatIsEncodedParsesToTheSame) {
  for (const Message& message : examples()) {
    const Bytes bytes = encode(message);
    ASSERT_TRUE(is_message(bytes));
    const auto parsed = parse_message(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(*parsed, message) << message.index();
  }
}

// docs/wire.md, "Behind a NAT".
TEST(PunchMessage, TheBytesAreThoseOfTheSpecification) {
  EXPECT_EQ(to_hex(encode(Register{})), "0141");
  EXPECT_EQ(to_hex(encode(Offer{{at(1, 7100)}})), "014201041bbccb007101");
  EXPECT_EQ(to_hex(encode(Carry{Carry::Kind::data, true, node(2), 1, 0, {0xab}})),
            "01440201" + to_hex(node(2).bytes) + "00000001ab");
  EXPECT_EQ(to_hex(encode(RelayGrant{node(9), at(1, 7102)})),
            "0146" + to_hex(node(9).bytes) + "01041bbecb007101");
}

TEST(PunchMessage, WhatIsCutOffOrLeftOverIsRefused) {
  for (const Message& message : examples()) {
    Bytes bytes = encode(message);
    const auto* carry = std::get_if<Carry>(&message);
    const bool has_rest = carry != nullptr && carry->kind == Carry::Kind::data;
    for (size_t size = 0; size < bytes.size(); ++size) {
      const bool is_shorter_data = has_rest && size > 24;
      EXPECT_EQ(parse_message(ByteSpan(bytes).first(size)).ok(), is_shorter_data) << size;
    }
    bytes.push_back(0);
    EXPECT_EQ(parse_message(bytes).ok(), has_rest);
  }
  Bytes carry = encode(Carry{Carry::Kind::open, false, node(1), 1, 0, {}});
  carry[2] = 5;
  EXPECT_FALSE(parse_message(carry).ok());
  Bytes long_data =
      encode(Carry{Carry::Kind::data, false, node(1), 1, 0, Bytes(carried_bytes_max, 1)});
  EXPECT_TRUE(parse_message(long_data).ok());
  long_data.push_back(1);
  EXPECT_FALSE(parse_message(long_data).ok());
  EXPECT_FALSE(is_message(Bytes{graph::message_version, 64}));
  EXPECT_FALSE(is_message(Bytes{graph::message_version, 71}));
}

}  // namespace
}  // namespace chaincast::punch
