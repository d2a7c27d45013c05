// SPDX-License-Identifier: BSD-3-Clause
#include "feed/datagram.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace chaincast::feed {
namespace {

// Written by hand from docs/rest.md.
TEST(FeedDatagram, BytesAreAsDocumented) {
  const Answer answer{0x0102030405060708, 9, Answer::Refusal::too_long};
  EXPECT_EQ(to_hex(encode(answer)),
            "63636131"
            "00000001"
            "0102030405060708"
            "0000000000000009");
  const Request request{0x1112131415161718, 0x21222324, 0x31323334, 7, 1000};
  EXPECT_EQ(to_hex(encode(request)),
            "63637231"
            "21222324"
            "1112131415161718"
            "0000000000000007"
            "31323334"
            "03e8"
            "0000");
}

TEST(FeedDatagram, BothComeBack) {
  const Answer answer{1, 2, Answer::Refusal::stream};
  const Request request{1, 2, 3, 4, hold_max_ms};
  EXPECT_EQ(encode(answer).size(), answer_bytes);
  EXPECT_EQ(encode(request).size(), request_bytes);
  EXPECT_EQ(parse_answer(encode(answer)), answer);
  EXPECT_EQ(parse_request(encode(request)), request);
}

TEST(FeedDatagram, AnythingElseIsRefused) {
  const Bytes answer = encode(Answer{1, 2, Answer::Refusal::none}), request = encode(Request{});
  EXPECT_FALSE(parse_request(answer).has_value());
  EXPECT_FALSE(parse_answer(request).has_value());
  for (size_t cut = 0; cut < request.size(); ++cut) {
    EXPECT_FALSE(parse_request(ByteSpan(request).first(cut)).has_value()) << cut;
    const size_t part = std::min(cut, answer.size() - 1);
    EXPECT_FALSE(parse_answer(ByteSpan(answer).first(part)).has_value()) << part;
  }
  Bytes longer = request;
  longer.push_back(0);
  EXPECT_FALSE(parse_request(longer).has_value());
  Bytes reserved = request;
  reserved.back() = 1;
  EXPECT_FALSE(parse_request(reserved).has_value());
  EXPECT_FALSE(parse_request(encode(Request{0, 0, 0, 0, hold_max_ms + 1})).has_value());
  Bytes reason = answer;
  reason[7] = 3;
  EXPECT_FALSE(parse_answer(reason).has_value());
}

}  // namespace
}  // namespace chaincast::feed
