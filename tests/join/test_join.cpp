// SPDX-License-Identifier: BSD-3-Clause
#include "join/join.hpp"

#include <gtest/gtest.h>

namespace chaincast::join {
namespace {

graph::Contact contact(uint8_t number) {
  graph::Contact out;
  out.id.bytes[0] = number;
  out.address.address[0] = number;
  return out;
}

std::vector<uint8_t> numbers(const std::vector<graph::Contact>& contacts) {
  std::vector<uint8_t> out;
  for (const graph::Contact& c : contacts) out.push_back(c.id.bytes[0]);
  return out;
}

TEST(Join, ContactsOfAMajorityComeFirst) {
  Random random(1);
  const std::vector<std::vector<graph::Contact>> answers = {
      {contact(1), contact(2), contact(3)}, {contact(3), contact(2)}, {contact(9), contact(3)}};
  const auto chosen = numbers(choose_contacts(answers, random));
  ASSERT_EQ(chosen.size(), 4u) << "filled up from the rest";
  EXPECT_EQ(chosen[0], 3);
  EXPECT_EQ(chosen[1], 2);
}

TEST(Join, ATrackerThatRepeatsItselfIsOneVoice) {
  Random random(1);
  const std::vector<std::vector<graph::Contact>> answers = {
      {contact(66), contact(66), contact(66), contact(66)}, {contact(1)}, {contact(1)}};
  EXPECT_EQ(numbers(choose_contacts(answers, random)).front(), 1);
}

TEST(Join, TheChoiceIsBounded) {
  Random random(1);
  std::vector<std::vector<graph::Contact>> answers(16);
  for (uint8_t tracker = 0; tracker < 16; ++tracker) {
    for (uint8_t i = 0; i < 15; ++i) {
      answers[tracker].push_back(contact(static_cast<uint8_t>(tracker * 15 + i)));
    }
  }
  EXPECT_EQ(choose_contacts(answers, random).size(), graph::contacts_max);
}

}  // namespace
}  // namespace chaincast::join
