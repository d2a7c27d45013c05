// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "graph/facts.hpp"

namespace chaincast::graph {
namespace {

TEST(Record, WhatIsSignedIsWhatTravels) {
  test::Facts facts;
  const RecordRef record = facts.record(1, 5, {2, 3});
  const auto back = check_record(wire::encode(record->said), facts.authority);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ((*back)->said, record->said);
  EXPECT_EQ((*back)->id, facts.id(1));
  EXPECT_EQ((*back)->digest, record->digest);
  EXPECT_EQ(record->bytes, wire::encode(record->said).size());
}

TEST(Record, AnyFlippedBitIsRefused) {
  test::Facts facts;
  const Bytes good = wire::encode(facts.record(1, 5, {2})->said);
  for (size_t byte = 0; byte < good.size(); ++byte) {
    Bytes bad = good;
    bad[byte] ^= static_cast<uint8_t>(1u << (byte % 8));
    EXPECT_FALSE(check_record(bad, facts.authority).ok()) << "byte " << byte;
  }
  const Bytes accusation = wire::encode(facts.accusation(2, 1, 5, 0, {3})->said);
  ASSERT_TRUE(check_accusation(accusation, facts.authority).ok());
  for (size_t byte = 0; byte < accusation.size(); ++byte) {
    Bytes bad = accusation;
    bad[byte] ^= 0x10;
    EXPECT_FALSE(check_accusation(bad, facts.authority).ok()) << "byte " << byte;
  }
}

TEST(Record, AnotherNetworkAndKeysNotAdmittedAreRefused) {
  test::Facts facts;
  const RecordRef record = facts.record(1, 5);
  const Bytes encoded = wire::encode(record->said);
  const Authority elsewhere{*facts.toolbox, facts.admission, Digest{8}};
  EXPECT_EQ(check_record(encoded, elsewhere).error().code, ErrorCode::refused);
  facts.admission.refused.insert(record->said.key);
  EXPECT_EQ(check_record(encoded, facts.authority).error().code, ErrorCode::refused);
}

TEST(Record, AMajorityOfPartnersMakesDead) {
  test::Facts facts;
  const RecordRef subject = facts.record(1, 5, {2, 3, 4, 5});
  std::vector<AccusationRef> accusations;
  const Standing expected[] = {Standing::alive, Standing::suspected, Standing::suspected,
                               Standing::dead};
  for (size_t accusers = 0; accusers < 4; ++accusers) {
    EXPECT_EQ(standing_of(*subject, accusations), expected[accusers]) << accusers;
    accusations.push_back(facts.accusation(static_cast<uint8_t>(accusers + 2), 1, 5));
  }
}

TEST(Record, PartnersThatTheOthersCallDeadNeedNotSpeak) {
  test::Facts facts;
  const RecordRef subject = facts.record(1, 5, {2, 3, 4, 5});
  const auto a2 = facts.accusation(2, 1, 5, 1, {4, 5});
  const auto a3 = facts.accusation(3, 1, 5, 1, {4, 5});
  EXPECT_EQ(standing_of(*subject, {a2}), Standing::suspected) << "one voice excuses nobody";
  EXPECT_EQ(standing_of(*subject, {a2, a3}), Standing::dead);
  EXPECT_EQ(standing_of(*facts.record(1, 5, {2, 3, 4, 5}, true), {}), Standing::left);
}

}  // namespace
}  // namespace chaincast::graph
