// SPDX-License-Identifier: BSD-3-Clause
#include "dedup/window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "base/random.hpp"
#include "dedup/frames.hpp"
#include "dedup/slot.hpp"
#include "support/checksum.hpp"

namespace chaincast::dedup {
namespace {

using test::made_digest;
using test::made_frame;
using test::made_tag48;
using test::MadeFrame;

std::unique_ptr<Window> make_window(uint8_t log2, unsigned variants_max = 8,
                                    uint64_t signed_lead_max = 0) {
  WindowConfig config{.size_log2 = log2, .slot_bytes = 96, .variants_max = variants_max};
  config.signed_lead_max = signed_lead_max;
  auto window = Window::create(config, 1);
  EXPECT_TRUE(window.ok());
  return std::move(window.value());
}

CommitResult commit(Window& window, const MadeFrame& frame, Seq seq, bool second = true) {
  return window.commit(seq, frame.tag48, frame.digest, frame.bytes.data(), frame.length, second);
}

void expect_stored(const Window& window, Seq seq, unsigned place, const MadeFrame& frame) {
  std::array<uint8_t, 96> buffer{};
  const auto stored = window.read(seq, place, buffer.data());
  ASSERT_TRUE(stored) << "seq " << seq;
  EXPECT_EQ(stored->length, frame.length);
  EXPECT_EQ(stored->digest, frame.digest);
  EXPECT_TRUE(std::equal(buffer.begin(), buffer.begin() + frame.length, frame.bytes.begin()));
}

TEST(Window, RefusesSizesOutOfRange) {
  WindowConfig config;
  config.size_log2 = 9;
  EXPECT_FALSE(Window::create(config).ok());
  config.size_log2 = 21;
  EXPECT_FALSE(Window::create(config).ok());
  config = {.size_log2 = 10, .slot_bytes = 55};
  EXPECT_FALSE(Window::create(config).ok());
  config.slot_bytes = 1216;
  auto window = Window::create(config);
  ASSERT_TRUE(window.ok());
  EXPECT_GE((*window)->memory_bytes(), 1024u * (16 + 64 + 1216));
  EXPECT_EQ((*window)->memory_bytes(), Window::memory_bytes_of(config));
}

// A reader that was away while resolve() exchanged the variants finds its seq again, and would take
// half of each for a frame.
TEST(Slot, TellsASecondFillingForTheSameSeqFromTheFirst) {
  SlotMeta meta{};
  std::array<uint64_t, 12> bytes{};
  Slot slot(meta, bytes.data());
  const MadeFrame first = made_frame(5, 0), second = made_frame(5, 1);
  slot.write(5, first.digest, first.bytes.data(), first.length);
  const SlotMeta before = meta;
  slot.write(5, second.digest, second.bytes.data(), second.length);
  EXPECT_EQ(meta.ready, before.ready);
  EXPECT_NE(meta.length, before.length);
  Digest digest;
  std::array<uint8_t, 96> buffer{};
  EXPECT_EQ(slot.read(5, digest, buffer.data(), buffer.size()), second.length);
  EXPECT_EQ(digest, second.digest);
}

TEST(Window, CommitsOnceAndReadsBack) {
  auto window = make_window(6);
  const MadeFrame frame = made_frame(5, 0);
  EXPECT_EQ(window->probe(5, frame.tag48), Probe::fresh);
  EXPECT_EQ(commit(*window, frame, 5).outcome, Commit::committed);
  EXPECT_EQ(window->probe(5, frame.tag48), Probe::duplicate);
  EXPECT_EQ(commit(*window, frame, 5).outcome, Commit::duplicate);
  expect_stored(*window, 5, 0, frame);
  EXPECT_EQ(window->committed(), 1u);
  EXPECT_EQ(window->committed_end(), 6u);
  EXPECT_TRUE(window->has(5));
  EXPECT_FALSE(window->has(4));
}

TEST(Window, SumsWhatItCommitsWhereAsked) {
  const auto window = make_window(10);
  const MadeFrame first = made_frame(5, 0);
  const MadeFrame other = made_frame(6, 0);
  constexpr uint32_t untouched = 77;
  std::array<uint32_t, 2> sums = {untouched, untouched};
  const auto arrival = [](const MadeFrame& frame, Seq seq, uint32_t* sum) {
    return Arrival{seq, frame.tag48, &frame.digest, frame.bytes.data(), frame.length, true, sum};
  };
  std::array<CommitResult, 3> results;
  const std::array arrivals = {arrival(first, 5, &sums[0]), arrival(first, 5, &sums[1]),
                               arrival(other, 6, nullptr)};
  window->commit(arrivals, results.data());
  EXPECT_EQ(results[2].outcome, Commit::committed);
  const ByteSpan bytes(first.bytes.data(), first.length);
  EXPECT_EQ(static_cast<uint16_t>(~__builtin_bswap16(static_cast<uint16_t>(sums[0]))),
            test::naive_checksum(bytes));
  EXPECT_EQ(sums[1], untouched) << "a duplicate";
}

TEST(Window, SaysWhatCameAfterAHigherSeq) {
  auto window = make_window(6);
  for (const auto& [seq, is_reordered] : std::vector<std::pair<Seq, bool>>{
           {0, false}, {3, false}, {1, true}, {4, false}, {2, true}, {5, false}}) {
    EXPECT_EQ(commit(*window, made_frame(seq, 0), seq).is_reordered, is_reordered) << seq;
  }
  EXPECT_FALSE(commit(*window, made_frame(5, 1), 5).is_reordered) << "another variant of the last";
}

TEST(Window, KeepsTwoVariantsAndRefusesTheThird) {
  auto window = make_window(6);
  const MadeFrame a = made_frame(5, 0), b = made_frame(5, 1), c = made_frame(5, 2);
  commit(*window, a, 5);
  EXPECT_EQ(window->probe(5, b.tag48), Probe::conflict);
  EXPECT_EQ(commit(*window, b, 5, false).outcome, Commit::refused);
  EXPECT_EQ(commit(*window, b, 5).outcome, Commit::second);
  EXPECT_EQ(window->probe(5, b.tag48), Probe::duplicate);
  EXPECT_EQ(commit(*window, b, 5).outcome, Commit::duplicate);
  EXPECT_EQ(commit(*window, b, 5, false).outcome, Commit::duplicate);
  EXPECT_EQ(commit(*window, c, 5).outcome, Commit::refused);
  EXPECT_EQ(window->probe(5, c.tag48), Probe::conflict);
  expect_stored(*window, 5, 0, a);
  expect_stored(*window, 5, 1, b);
  EXPECT_EQ(window->seconds(), 1u);
  std::array<Seq, 4> seqs{};
  ASSERT_EQ(window->second_seqs(seqs), 1u);
  EXPECT_EQ(seqs[0], 5u);
}

// The frame that closes a gap moves next over all that waited, and the floor past itself.
bool want(Window& window, Seq seq, unsigned variant) {
  const Digest digest = made_digest(seq, variant);
  return window.want(seq, std::span<const uint8_t, 16>(digest.data(), 16));
}

TEST(Window, TheVariantThatIsResolvedTakesTheFirstPlace) {
  for (const unsigned place : {0u, 1u}) {
    auto window = make_window(6, 1);
    const MadeFrame frames[] = {made_frame(5, 0), made_frame(5, 1)};
    commit(*window, frames[0], 5);
    commit(*window, frames[1], 5);
    EXPECT_EQ(commit(*window, made_frame(6, 0), 6).outcome, Commit::committed);
    EXPECT_EQ(commit(*window, made_frame(6, 1), 6).outcome, Commit::refused) << "the table is full";
    ASSERT_TRUE(window->resolve(5, place));
    expect_stored(*window, 5, 0, frames[place]);
    std::array<uint8_t, 96> buffer;
    EXPECT_FALSE(window->read(5, 1, buffer.data()));
    for (const MadeFrame& frame : frames) {
      EXPECT_EQ(window->probe(5, frame.tag48), Probe::duplicate);
      EXPECT_EQ(commit(*window, frame, 5).outcome, Commit::duplicate);
    }
    EXPECT_EQ(commit(*window, made_frame(5, 2), 5).outcome, Commit::refused);
    EXPECT_EQ(commit(*window, made_frame(6, 1), 6).outcome, Commit::second) << "there is room";
  }
}

TEST(Window, KeepsThePlaceForTheFrameThatIsWanted) {
  for (const unsigned forgeries : {1u, 2u}) {
    auto window = make_window(6, 1);
    for (unsigned v = 1; v <= forgeries; ++v) commit(*window, made_frame(5, v), 5);
    ASSERT_TRUE(want(*window, 5, 0));
    ASSERT_TRUE(want(*window, 5, 0)) << "once more changes nothing";
    EXPECT_EQ(commit(*window, made_frame(5, 3), 5).outcome, Commit::refused);
    std::array<uint8_t, 96> buffer;
    EXPECT_FALSE(window->read(5, 1, buffer.data()));
    EXPECT_EQ(window->probe(5, made_tag48(5, 0)), Probe::conflict);
    commit(*window, made_frame(6, 0), 6);
    EXPECT_EQ(commit(*window, made_frame(6, 1), 6).outcome, Commit::refused)
        << "the place is taken";
    EXPECT_EQ(commit(*window, made_frame(5, 0), 5).outcome, Commit::second);
    EXPECT_EQ(commit(*window, made_frame(5, 0), 5).outcome, Commit::duplicate);
    expect_stored(*window, 5, 1, made_frame(5, 0));
    ASSERT_TRUE(window->resolve(5, 1));
    expect_stored(*window, 5, 0, made_frame(5, 0));
  }
}

TEST(Window, NothingIsResolvedOrWantedWhereItCannotBe) {
  auto window = make_window(4, 1);
  commit(*window, made_frame(2, 0), 2);
  commit(*window, made_frame(2, 1), 2);
  commit(*window, made_frame(3, 0), 3);
  EXPECT_FALSE(want(*window, 3, 1)) << "no room";
  EXPECT_FALSE(window->forget_second(3)) << "has none";
  ASSERT_TRUE(window->forget_second(2));
  EXPECT_TRUE(want(*window, 3, 1));
  EXPECT_EQ(window->probe(2, made_tag48(2, 1)), Probe::conflict) << "as if it had never come";
  window->skip_to(12);
  EXPECT_FALSE(window->resolve(2, 1)) << "below the floor";
  EXPECT_FALSE(want(*window, 2, 2)) << "below the floor";
  // What was kept below the floor is room again.
  commit(*window, made_frame(12, 0), 12);
  EXPECT_TRUE(want(*window, 12, 1));
  window->skip_to(30);
  commit(*window, made_frame(30, 0), 30);
  EXPECT_EQ(commit(*window, made_frame(30, 1), 30).outcome, Commit::second);
}

TEST(Window, OfAFinalFrameNoSecondVariantIsTaken) {
  auto window = make_window(6);
  for (Seq seq = 0; seq < 8; ++seq) commit(*window, made_frame(seq, 0), seq);
  window->mark_final(5);
  EXPECT_EQ(commit(*window, made_frame(5, 1), 5).outcome, Commit::refused);
  EXPECT_EQ(commit(*window, made_frame(6, 1), 6).outcome, Commit::second);
}

TEST(Window, AFrameIsThereUntilOneOfTheNextLapTakesItsPlace) {
  auto window = make_window(4);
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  for (Seq seq = 1; seq < 16; ++seq) commit(*window, made_frame(seq, 0), seq);
  commit(*window, made_frame(0, 0), 0);
  window->advance();
  EXPECT_EQ(window->floor(), 8u);
  EXPECT_TRUE(window->has(0));
  expect_stored(*window, 0, 0, made_frame(0, 0));
  commit(*window, made_frame(16, 0), 16);
  EXPECT_FALSE(window->has(0));
  EXPECT_TRUE(window->has(16));
}

TEST(Window, SideTableIsReusedAsTheWindowPasses) {
  auto window = make_window(4, 2);
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  for (Seq seq = 0; seq < 1000; ++seq) {
    commit(*window, made_frame(seq, 0), seq);
    if (seq % 8 == 0) {
      EXPECT_EQ(commit(*window, made_frame(seq, 1), seq).outcome, Commit::second);
      expect_stored(*window, seq, 1, made_frame(seq, 1));
    }
    window->advance();
  }
  commit(*window, made_frame(1000, 0), 1000);
  commit(*window, made_frame(1001, 0), 1001);
  EXPECT_EQ(commit(*window, made_frame(1000, 1), 1000).outcome, Commit::second);
  EXPECT_EQ(commit(*window, made_frame(1001, 1), 1001).outcome, Commit::refused);
}

TEST(Window, StaleAndAheadLeaveNoTrace) {
  auto window = make_window(4);
  EXPECT_EQ(window->probe(16, 1), Probe::ahead);
  EXPECT_EQ(window->probe(~Seq{0}, 1), Probe::ahead);
  EXPECT_EQ(commit(*window, made_frame(16, 0), 16).outcome, Commit::ahead);
  window->skip_to(100);
  EXPECT_EQ(window->floor(), 92u);
  EXPECT_EQ(window->probe(91, 1), Probe::stale);
  EXPECT_EQ(commit(*window, made_frame(91, 0), 91).outcome, Commit::stale);
  EXPECT_EQ(commit(*window, made_frame(107, 0), 107).outcome, Commit::committed);
  EXPECT_EQ(commit(*window, made_frame(108, 0), 108).outcome, Commit::ahead);
  EXPECT_EQ(window->committed(), 1u);
}

TEST(Window, MovesOnlyOverUnbrokenLinks) {
  auto window = make_window(6);
  commit(*window, made_frame(0, 0), 0);
  window->advance();
  EXPECT_EQ(window->next(), 0u) << "no anchor, and the link of seq 0 names the descriptor";
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  EXPECT_EQ(window->next(), 1u);
  commit(*window, made_frame(2, 0), 2);
  window->advance();
  EXPECT_EQ(window->next(), 1u);
  commit(*window, made_frame(1, 0), 1);
  window->advance();
  EXPECT_EQ(window->next(), 3u);
}

TEST(Window, AContradictedFrameStopsUntilTheOtherVariantComes) {
  auto window = make_window(6);
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  commit(*window, made_frame(0, 0), 0);
  commit(*window, made_frame(1, 1), 1);  // forged, links to the true frame 0
  window->advance();
  EXPECT_EQ(window->next(), 2u);
  const CommitResult next = commit(*window, made_frame(2, 0), 2);
  EXPECT_TRUE(next.contradicts_previous);
  EXPECT_FALSE(next.previous_is_final);
  window->advance();
  EXPECT_EQ(window->next(), 2u);
  const CommitResult truth = commit(*window, made_frame(1, 0), 1);
  EXPECT_EQ(truth.outcome, Commit::second);
  EXPECT_FALSE(truth.contradicts_next);
  EXPECT_FALSE(truth.contradicts_previous);
  window->advance();
  EXPECT_EQ(window->next(), 3u);
  window->mark_final(2);
  EXPECT_TRUE(commit(*window, made_frame(3, 0, 7), 3).previous_is_final);
  window->advance();
  EXPECT_EQ(window->next(), 3u);
  window->skip_to(4);
  commit(*window, made_frame(4, 0, 5), 4);
  window->advance();
  EXPECT_EQ(window->next(), 5u) << "after a skip linking goes on with whatever is committed";
}

TEST(Window, TheLaterOfTwoFindsTheContradiction) {
  auto window = make_window(6);
  commit(*window, made_frame(8, 0, 3), 8);
  const CommitResult before = commit(*window, made_frame(7, 0), 7);
  EXPECT_TRUE(before.contradicts_next);
  EXPECT_FALSE(before.contradicts_previous);
  EXPECT_TRUE(commit(*window, made_frame(9, 0, 1), 9).contradicts_previous);
}

// A burst of forged and true frames, in any order and with gaps, over what is here already: each is
// judged by its neighbours as they stand when all of it is committed.
TEST(Window, ABurstIsJudgedAsItsFramesAreOneByOne) {
  Random random(31);
  uint64_t found = 0;
  for (unsigned round = 0; round < 300; ++round) {
    auto window = make_window(6);
    std::map<Seq, MadeFrame> here;
    std::vector<Seq> burst;
    for (Seq seq = 0; seq < 20; ++seq) {
      if (random.chance(0.2)) continue;
      // Forged itself, or linking to a forgery of the one before.
      here[seq] = made_frame(seq, random.chance(0.2) ? 1 : 0, random.chance(0.2) ? 1 : 0);
      if (random.chance(0.3)) {
        commit(*window, here[seq], seq);
      } else {
        burst.push_back(seq);
      }
    }
    for (unsigned swaps = static_cast<unsigned>(random.below(4)); swaps > 0; --swaps) {
      std::swap(burst[random.below(burst.size())], burst[random.below(burst.size())]);
    }
    std::vector<Arrival> arrivals;
    for (const Seq seq : burst) {
      const MadeFrame& frame = here[seq];
      arrivals.push_back({seq, frame.tag48, &frame.digest, frame.bytes.data(), frame.length, true});
    }
    std::vector<CommitResult> results(arrivals.size());
    window->commit(arrivals, results.data());
    const auto fits = [&](Seq seq) {  // unless both are here and do not
      if (!here.contains(seq) || !here.contains(seq - 1)) return true;
      return std::equal(here[seq].bytes.begin() + wire::frame_offset_link,
                        here[seq].bytes.begin() + wire::frame_offset_link + 16,
                        here[seq - 1].digest.begin());
    };
    for (size_t i = 0; i < burst.size(); ++i) {
      ASSERT_EQ(results[i].contradicts_previous, !fits(burst[i])) << round << ", " << burst[i];
      ASSERT_EQ(results[i].contradicts_next, !fits(burst[i] + 1)) << round << ", " << burst[i];
      found += results[i].contradicts_previous ? 1u : 0u;
    }
  }
  EXPECT_GT(found, 100u);
}

TEST(Window, WithoutDigestsNextMovesOverWhatIsCommitted) {
  WindowConfig config{.size_log2 = 6, .slot_bytes = 96, .links_by_digest = false};
  auto window = std::move(Window::create(config, 1).value());
  for (Seq seq : {Seq{0}, Seq{1}, Seq{3}}) {
    const MadeFrame frame = made_frame(seq, 0, 5);
    EXPECT_FALSE(commit(*window, frame, seq).contradicts_previous);
  }
  window->advance();
  EXPECT_EQ(window->next(), 2u);
}

TEST(Window, AMembersOwnChainCannotPushItBeyondTheSignedLead) {
  auto window = make_window(4, 8, 4);
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  for (Seq seq = 0; seq < 40; ++seq) {
    commit(*window, made_frame(seq, 0), seq);
    window->advance();
  }
  EXPECT_EQ(window->next(), 16u);
  EXPECT_EQ(window->floor(), 0u);
  window->mark_signed(9);
  EXPECT_EQ(window->floor(), 6u);
}

TEST(Window, GenerationsWrapWithoutAMistake) {
  auto window = make_window(1, 2);
  window->anchor(0, made_digest(Seq{0} - 1, 0));
  for (Seq seq = 0; seq < 2 * 0x10010 * 2; ++seq) {
    const MadeFrame frame = made_frame(seq, 0);
    ASSERT_EQ(window->probe(seq, frame.tag48), Probe::fresh) << seq;
    ASSERT_EQ(commit(*window, frame, seq).outcome, Commit::committed) << seq;
    ASSERT_EQ(commit(*window, frame, seq).outcome, Commit::duplicate) << seq;
    window->advance();
    ASSERT_EQ(window->next(), seq + 1);
  }
}

// A jump by exactly the period of the generation must not make an old word look current.
TEST(Window, AJumpByAWholePeriodForgetsTheOldWords) {
  auto window = make_window(4);
  const MadeFrame frame = made_frame(3, 0);
  commit(*window, frame, 3);
  commit(*window, made_frame(3, 1), 3);
  const Seq same_word = 3 + (uint64_t{0xffff} << 4);
  window->skip_to(same_word);
  EXPECT_EQ(window->probe(same_word, frame.tag48), Probe::fresh);
  EXPECT_FALSE(window->has(same_word));
  MadeFrame later = made_frame(same_word, 0);
  EXPECT_EQ(commit(*window, later, same_word).outcome, Commit::committed);
  EXPECT_EQ(commit(*window, made_frame(same_word, 1), same_word).outcome, Commit::second);
}

// The window as a map, with the rules in the plainest form.
struct Model {
  uint64_t size = 0;
  size_t variants_max = 0;
  Seq next = 0;
  Seq anchor_seq = 0;
  bool anchored_free = false;
  bool anchored = false;
  std::map<Seq, std::vector<MadeFrame>> seen;
  std::map<Seq, bool> side;  // seqs whose second variant holds storage

  Seq floor() const { return next > size / 2 ? next - size / 2 : 0; }
  bool links(Seq seq, const MadeFrame& frame) const {
    const uint8_t* link = frame.bytes.data() + wire::frame_offset_link;
    const auto names = [&](const Digest& d) { return std::equal(d.begin(), d.begin() + 16, link); };
    if (seq == anchor_seq) {
      return anchored_free || (anchored && names(made_digest(seq - 1, 0)));
    }
    const auto before = seen.find(seq - 1);
    return before != seen.end() && std::any_of(before->second.begin(), before->second.end(),
                                               [&](const MadeFrame& f) { return names(f.digest); });
  }
  void advance() {
    for (auto at = seen.find(next); at != seen.end(); at = seen.find(next)) {
      if (std::none_of(at->second.begin(), at->second.end(),
                       [&](const MadeFrame& f) { return links(at->first, f); })) {
        return;
      }
      ++next;
    }
  }
  Commit commit(Seq seq, const MadeFrame& frame) {
    if (seq < floor()) return Commit::stale;
    if (seq - floor() >= size) return Commit::ahead;
    auto& variants = seen[seq];
    for (const MadeFrame& v : variants)
      if (v.tag48 == frame.tag48) return Commit::duplicate;
    if (variants.size() >= 2) return Commit::refused;
    if (variants.size() == 1) {
      std::erase_if(side, [&](const auto& s) { return s.first < floor(); });
      if (side.size() >= variants_max) return Commit::refused;
      side[seq] = true;
    }
    variants.push_back(frame);
    return variants.size() == 1 ? Commit::committed : Commit::second;
  }
};

// Frames to commit in one call.
struct Together {
  std::deque<MadeFrame> frames;  // stay where they are
  std::vector<Arrival> arrivals;
  std::vector<Commit> expected;

  void add(Seq seq, const MadeFrame& made) {
    const MadeFrame& frame = frames.emplace_back(made);
    arrivals.push_back({seq, frame.tag48, &frame.digest, frame.bytes.data(), frame.length, true});
  }
  std::vector<Commit> commit(Window& window) const {
    std::vector<CommitResult> results(arrivals.size());
    window.commit(arrivals, results.data());
    std::vector<Commit> outcomes;
    for (const CommitResult& result : results) outcomes.push_back(result.outcome);
    return outcomes;
  }
};

void run_model(uint64_t seed, unsigned steps) {
  Random random(seed);
  const uint8_t log2 = static_cast<uint8_t>(2 + random.below(5));
  Model model;
  model.size = uint64_t{1} << log2;
  model.variants_max = 1 + random.below(4);
  auto window = make_window(log2, static_cast<unsigned>(model.variants_max));
  uint64_t committed = 0;
  for (unsigned step = 0; step < steps; ++step) {
    const uint64_t action = random.below(100);
    if (action < 90) {
      // Some at once, which has to be the same as one by one.
      Together together;
      for (uint64_t left = random.chance(0.3) ? 1 + random.below(12) : 1; left > 0; --left) {
        const Seq base = model.floor() > 3 ? model.floor() - 3 : 0;
        const Seq seq =
            action < 60 ? model.next + random.below(3) : base + random.below(model.size + 6);
        const unsigned variant = static_cast<unsigned>(random.chance(0.1) ? random.below(3) : 0);
        const unsigned parent = static_cast<unsigned>(random.chance(0.03) ? random.below(3) : 0);
        // One frame per (seq, variant): its parent is part of its identity.
        const unsigned name = variant * 4 + parent;
        together.add(seq, made_frame(seq, name, parent * 5));
        together.expected.push_back(model.commit(seq, together.frames.back()));
      }
      for (const Commit outcome : together.expected) {
        committed += outcome == Commit::committed || outcome == Commit::second ? 1 : 0;
      }
      ASSERT_EQ(together.commit(*window), together.expected) << "seed " << seed;
    } else if (action < 96) {
      window->advance();
      model.advance();
    } else {
      const Seq to = model.next + random.below(action == 99 ? 3 * model.size : 4);
      const bool free = random.chance(0.5);
      if (free ? to > model.next : to >= model.next) {
        model.next = model.anchor_seq = to;
        model.anchored_free = free;
        model.anchored = true;
      }
      if (free) window->skip_to(to);
      if (!free) window->anchor(to, made_digest(to - 1, 0));
      model.advance();
      if (free) window->advance();
    }
    ASSERT_EQ(window->next(), model.next) << "seed " << seed << " step " << step;
    ASSERT_EQ(window->floor(), model.floor());
    ASSERT_EQ(window->committed(), committed);
  }
  for (const auto& [seq, variants] : model.seen) {
    if (seq < model.floor() || variants.empty()) continue;
    expect_stored(*window, seq, 0, variants[0]);
    if (variants.size() == 2) expect_stored(*window, seq, 1, variants[1]);
  }
}

TEST(Window, AgreesWithAMapOnRandomOperations) {
  for (uint64_t seed = 1; seed <= 300 && !testing::Test::HasFatalFailure(); ++seed) {
    run_model(seed, 2000);
  }
}

}  // namespace
}  // namespace chaincast::dedup
