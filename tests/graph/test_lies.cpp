// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "facts.hpp"
#include "graph/member.hpp"

// Who is named for passing nothing on. tests/sim/test_liars.cpp has whole networks.
namespace chaincast::graph {
namespace {

constexpr uint8_t self = 1, quiet = 2, other = 3, subject = 4;

// Node 1 is the member; 2 and 3 are its link partners, and speak with it all the while.
struct Lab {
  Lab() {
    member.start(now_ns);
    for (const uint8_t partner : {quiet, other}) {
      Attach attach;
      attach.record = facts.record(partner, 1, {self});
      hear(partner, attach);
    }
  }
  void hear(uint8_t from, const Message& message) {
    member.on_message({facts.id(from), {}}, message, now_ns, out);
  }
  // A second in which both ping, and some bring what the subject says.
  void bring(uint64_t counter, std::vector<uint8_t> links, std::vector<uint8_t> by) {
    const RecordRef record = facts.record(subject, counter, std::move(links));
    for (const uint8_t partner : {quiet, other}) hear(partner, Ping{now_ns, {}, true});
    for (const uint8_t partner : by) hear(partner, graph::News{{record}, {}});
    for (unsigned i = 0; i < 10; ++i, now_ns += 100 * ns_per_ms) member.tick(now_ns, out);
  }
  bool is_named(uint8_t number) {
    return std::any_of(member.liars().begin(), member.liars().end(), [&](const Liar& liar) {
      return liar.node == facts.id(number) && liar.lie == Lie::withholding;
    });
  }

  TimeNs now_ns = ns_per_s;
  test::Facts facts;
  Analyst analyst;
  MemberConfig config;
  Member member{config, {}, facts.store, analyst, facts.authority, facts.signer(self), 1};
  Output out;
};

TEST(Lies, APartnerThatBringsNothingOfItsPartnersIsNamed) {
  Lab lab;
  lab.hear(other, graph::News{{lab.facts.record(quiet, 2, {self, subject})}, {}});
  uint64_t counter = 1;
  // The first seconds of a link do not count.
  while (counter <= lab.config.withheld_min) lab.bring(counter++, {quiet, other}, {other});
  EXPECT_FALSE(lab.is_named(quiet)) << "too few to say so";
  while (counter <= 2 * lab.config.withheld_min) lab.bring(counter++, {quiet, other}, {other});
  EXPECT_TRUE(lab.is_named(quiet));
  EXPECT_FALSE(lab.is_named(other));
  EXPECT_FALSE(lab.member.is_linked(lab.facts.id(quiet))) << "a liar is no link partner";
}

TEST(Lies, OneThatIsLaterThanOthersIsNot) {
  Lab lab;
  lab.hear(other, graph::News{{lab.facts.record(quiet, 2, {self, subject})}, {}});
  for (uint64_t counter = 1; counter < 200; ++counter) {
    lab.bring(counter, {quiet, other}, {other, quiet});
  }
  EXPECT_TRUE(lab.member.liars().empty());
}

TEST(Lies, NorOneThatTheSubjectAloneCallsItsPartner) {
  Lab lab;
  for (uint64_t counter = 1; counter < 200; ++counter) {
    lab.bring(counter, {quiet, other}, {other});
  }
  EXPECT_TRUE(lab.member.liars().empty());
}

}  // namespace
}  // namespace chaincast::graph
