// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "facts.hpp"
#include "graph/member.hpp"

namespace chaincast::graph {
namespace {

constexpr uint8_t self = 1, partner = 2;

// Node 1 is the member, node 2 its link partner. Who is `speaking` answers each ping.
struct Lab {
  explicit Lab(const MemberConfig& member_config = {}) : config(member_config) {
    member.start(now_ns);
    Attach attach;
    attach.record = facts.record(partner, 1, {self});
    hear(partner, attach);
    EXPECT_TRUE(member.is_linked(facts.id(partner)));
  }
  void hear(uint8_t from, Message message) {
    member.on_message({facts.id(from), {}}, message, now_ns, out);
    answer();
  }
  void hear_news(std::vector<RecordRef> records) {
    hear(partner, graph::News{std::move(records), {}});
    run_for(config.news_interval_ns);
  }
  void run_for(TimeNs ns) {
    const TimeNs until_ns = now_ns + ns;
    while (member.next_timer_ns() <= until_ns) {
      now_ns = std::max(now_ns, member.next_timer_ns());
      member.tick(now_ns, out);
      answer();
    }
    now_ns = until_ns;
  }
  void lose_session(uint8_t number) {
    speaking.erase(number);
    member.on_session_lost(facts.id(number), now_ns, out);
  }
  std::optional<Standing> standing(uint8_t number) const {
    const Entry* entry = member.view().find(ids.at(number));
    return entry ? std::optional(entry->standing) : std::nullopt;
  }
  bool knows(uint8_t number) const { return member.view().find(ids.at(number)) != nullptr; }
  uint64_t given_up() const { return member.counters().silent_given_up; }
  // Until the graph has been looked at, and what is noted then is due.
  void wait() {
    run_for(config.peering_idle_ns * 5 / 4 + 3 * ns_per_s);
    run_for(config.silent_ns + config.detection_ns);
  }

  TimeNs now_ns = ns_per_s;
  test::Facts facts;
  Analyst analyst;
  const MemberConfig config;
  std::map<uint8_t, NodeId> ids = [this] {
    std::map<uint8_t, NodeId> all;
    for (uint8_t number = 1; number < 10; ++number) all[number] = facts.id(number);
    return all;
  }();
  Member member{config, {}, facts.store, analyst, facts.authority, facts.signer(self), 1};
  Output out;
  std::set<uint8_t> speaking{partner};  // who answers pings
  std::map<uint8_t, unsigned> pinged;   // who does not, and how often

 private:
  // An answer says nothing of the graph, as zeros do.
  void answer() {
    Output said;
    std::swap(said, out);
    for (const Output::Send& send : said.sends) {
      const auto* ping = std::get_if<Ping>(send.message.get());
      if (!ping) continue;
      const bool is_probe = ping->digest == Digest{};  // for a link
      for (const auto& [number, id] : ids) {
        if (id != send.to.id) continue;
        if (!speaking.contains(number) && !is_probe) ++pinged[number];
        if (speaking.contains(number)) {
          member.on_message(send.to, Pong{ping->nonce, {}}, now_ns, out);
        }
      }
    }
  }
};

TEST(Silent, TwoThatStateOnlyEachOtherAreGivenUpTogether) {
  Lab lab;
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  lab.run_for(lab.config.silent_ns);
  EXPECT_TRUE(lab.knows(3) && lab.knows(4)) << "before their time";
  lab.wait();
  EXPECT_FALSE(lab.knows(3) || lab.knows(4));
  EXPECT_TRUE(lab.knows(partner));
  EXPECT_EQ(lab.given_up(), 2u);
}

// What the far end does not state is no link: it may have given that one up just before.
TEST(Silent, AStatedLinkThatTheOtherEndDoesNotStateHoldsNobody) {
  Lab lab;
  lab.hear_news({lab.facts.record(3, 1, {partner, 4}), lab.facts.record(4, 1, {3, 5}),
                 lab.facts.record(5, 1, {4})});
  lab.wait();
  EXPECT_EQ(lab.given_up(), 3u);
}

TEST(Silent, WhomLinksReachFromHereIsNot) {
  Lab lab;
  lab.hear_news({lab.facts.record(partner, 2, {self, 3}), lab.facts.record(3, 1, {partner, 4}),
                 lab.facts.record(4, 1, {3})});
  lab.run_for(1000 * ns_per_s);
  EXPECT_TRUE(lab.knows(3) && lab.knows(4));
  EXPECT_EQ(lab.given_up(), 0u);
}

TEST(Silent, NobodyIsGivenUpWhileOneOfThemAnswers) {
  Lab lab;
  lab.speaking.insert(4);
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  lab.run_for(300 * ns_per_s);
  EXPECT_TRUE(lab.knows(3) && lab.knows(4));
  EXPECT_LE(lab.pinged[3], 300 * ns_per_s / lab.config.silent_ns);
  lab.speaking.erase(4);
  lab.wait();
  EXPECT_EQ(lab.given_up(), 2u);
}

TEST(Silent, ANewRecordOfOneBeginsTheTimeOfAllAnew) {
  Lab lab;
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  for (uint64_t counter = 2; counter < 20; ++counter) {
    lab.run_for(lab.config.silent_ns / 2);
    lab.hear_news({lab.facts.record(3, counter, {4})});
  }
  EXPECT_TRUE(lab.knows(3) && lab.knows(4));
  lab.wait();
  EXPECT_EQ(lab.given_up(), 2u);
}

TEST(Silent, WhatWasGivenUpIsNotTaughtAgain) {
  Lab lab;
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  lab.wait();
  const Digest before = lab.member.digest();
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  EXPECT_EQ(lab.member.digest(), before);
  EXPECT_FALSE(lab.knows(3) || lab.knows(4));
}

// As after a partition: records that have not changed meanwhile are taken again.
TEST(Silent, WhoSpeaksBringsBackAllThatHungTogetherWithIt) {
  Lab lab;
  const RecordRef three = lab.facts.record(3, 1, {4});
  lab.hear_news({three, lab.facts.record(4, 1, {3, 5}), lab.facts.record(5, 1, {4})});
  lab.wait();
  ASSERT_EQ(lab.given_up(), 3u);
  lab.hear(5, Ping{1, {}, false});
  lab.hear_news({three});
  EXPECT_TRUE(lab.knows(3));
}

TEST(Silent, NewsThatOneIsLinkedAgainBringsBackTheOthersInTheSameMessage) {
  Lab lab;
  const RecordRef three = lab.facts.record(3, 1, {4});
  lab.hear_news({three, lab.facts.record(4, 1, {3})});
  lab.wait();
  ASSERT_EQ(lab.given_up(), 2u);
  lab.hear_news(
      {three, lab.facts.record(4, 2, {partner, 3}), lab.facts.record(partner, 2, {self, 4})});
  EXPECT_TRUE(lab.knows(3) && lab.knows(4));
  const uint64_t given_up = lab.given_up();
  lab.run_for(300 * ns_per_s);
  EXPECT_EQ(lab.given_up(), given_up);
}

// What a node signed just before it died comes by others, and is no answer to the suspicion.
TEST(Silent, ANewerRecordOfTheDeadIsAccusedAsWell) {
  Lab lab;
  lab.lose_session(partner);
  EXPECT_EQ(lab.standing(partner), Standing::dead);
  lab.hear(9, graph::News{{lab.facts.record(partner, 2, {self})}, {}});
  lab.run_for(lab.config.news_interval_ns);
  EXPECT_EQ(lab.standing(partner), Standing::alive) << "it may be one";
  lab.run_for(lab.config.detection_ns);
  EXPECT_EQ(lab.standing(partner), Standing::dead);
}

TEST(Silent, WhoStatedTheLinkTooLateToBeAccusedOfItIsAccusedThen) {
  Lab lab;
  Attach attach;
  attach.record = lab.facts.record(3, 1, {});
  lab.hear(3, attach);
  lab.lose_session(3);
  EXPECT_EQ(lab.standing(3), Standing::alive);
  lab.hear(9, graph::News{{lab.facts.record(3, 2, {self})}, {}});
  lab.run_for(lab.config.detection_ns + lab.config.news_interval_ns);
  EXPECT_EQ(lab.standing(3), Standing::dead);
}

TEST(Silent, WhoAnswersIsAccusedOnceAndWhoAnswersOthersAloneTwice) {
  for (const bool answers_here : {true, false}) {
    Lab lab;
    lab.lose_session(partner);
    for (uint64_t counter = 2; counter < 10; ++counter) {
      const RecordRef record = lab.facts.record(partner, counter, {self});
      lab.hear(answers_here ? partner : uint8_t{9}, graph::News{{record}, {}});
      lab.run_for(lab.config.detection_ns);
    }
    EXPECT_EQ(lab.member.counters().accusations, answers_here ? 1u : 2u);
    EXPECT_EQ(lab.standing(partner), Standing::alive);
  }
}

// A partition may last longer than the dead are remembered.
TEST(Silent, WhatWasGivenUpIsPingedForAsLongAsItIsKept) {
  Lab lab;
  lab.hear_news({lab.facts.record(3, 1, {4}), lab.facts.record(4, 1, {3})});
  lab.run_for(2 * lab.config.forget_ns);
  ASSERT_EQ(lab.given_up(), 2u);
  lab.pinged.clear();
  lab.run_for(100 * ns_per_s);
  EXPECT_GT(lab.pinged[3], 0u);
  EXPECT_GT(lab.pinged[4], 0u);
}

TEST(Silent, AComponentThatCannotBeKeptIsNotGivenUpInPart) {
  MemberConfig config;
  config.remembered_max = 3;
  Lab lab(config);
  // Looked at in the order of ids: the chain of four first.
  std::vector<uint8_t> by_id{3, 4, 5, 6, 7, 8};
  std::sort(by_id.begin(), by_id.end(),
            [&](uint8_t a, uint8_t b) { return lab.ids.at(a) < lab.ids.at(b); });
  const auto [a, b, c, d, e, f] =
      std::tie(by_id[0], by_id[1], by_id[2], by_id[3], by_id[4], by_id[5]);
  lab.hear_news({lab.facts.record(a, 1, {b}), lab.facts.record(b, 1, {a, c}),
                 lab.facts.record(c, 1, {b, d}), lab.facts.record(d, 1, {c}),
                 lab.facts.record(e, 1, {f}), lab.facts.record(f, 1, {e})});
  lab.run_for(300 * ns_per_s);
  EXPECT_TRUE(lab.knows(a) && lab.knows(b) && lab.knows(c) && lab.knows(d));
  EXPECT_FALSE(lab.knows(e) || lab.knows(f));
  // What comes later takes the place of what was given up first.
  lab.hear_news({lab.facts.record(d, 2, {}), lab.facts.record(c, 2, {b})});
  lab.run_for(300 * ns_per_s);
  EXPECT_EQ(lab.given_up(), 6u);
  EXPECT_FALSE(lab.knows(a) || lab.knows(b) || lab.knows(c) || lab.knows(d));
}

}  // namespace
}  // namespace chaincast::graph
