// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "dedup/frames.hpp"
#include "dedup/window.hpp"

// Four workers offer the same frames to one window, as four lcores that hear four neighbours would.
namespace chaincast::dedup {
namespace {

using test::made_digest;
using test::made_frame;
using test::MadeFrame;

constexpr unsigned workers = 4;
constexpr uint64_t races_wanted = 500;
constexpr unsigned rounds_max = 40;

struct Tally {
  uint64_t committed = 0, seconds = 0, duplicates = 0, stale = 0;
  uint64_t races = 0;  // duplicates that were none a moment before
  uint64_t resolved = 0;
};

// Frame `seq` links to the true one before it.
void offer(Window& window, Seq seq, unsigned variant, Tally& tally) {
  const MadeFrame frame = made_frame(seq, variant);
  if (window.probe(seq, frame.tag48) == Probe::duplicate) {
    ++tally.duplicates;
    return;
  }
  for (;;) {
    const CommitResult result =
        window.commit(seq, frame.tag48, frame.digest, frame.bytes.data(), frame.length, true);
    if (result.outcome == Commit::committed) ++tally.committed;
    if (result.outcome == Commit::second) ++tally.seconds;
    if (result.outcome == Commit::duplicate) {
      ++tally.duplicates;
      ++tally.races;
    }
    if (result.outcome == Commit::stale) ++tally.stale;
    window.advance();
    // Ahead of a slower worker: the frame would be repaired; here it is offered again.
    if (result.outcome != Commit::ahead && result.outcome != Commit::refused) return;
    std::this_thread::yield();
  }
}

// Every `forged_every`th frame (0: none) has a forged twin that half of the workers offer first.
struct Load {
  Seq frames = 0;
  unsigned forged_every = 0;
  bool resolves = false;  // the origin's word ends conflicts all the while
};

void work(Window& window, const Load& load, unsigned worker, Tally& tally) {
  for (Seq seq = 0; seq < load.frames; ++seq) {
    if (load.forged_every == 0 || seq % load.forged_every != 0) {
      offer(window, seq, 0, tally);
    } else {
      offer(window, seq, worker % 2, tally);
      offer(window, seq, 1 - worker % 2, tally);
    }
  }
}

// Reads all the while, checks every frame it gets against what that frame must be.
void read_along(const Window& window, const std::atomic<bool>& done) {
  std::array<uint8_t, 96> buffer{};
  while (!done.load(std::memory_order_acquire)) {
    const Seq seq = window.next();
    for (Seq at = seq > 8 ? seq - 8 : 0; at < seq + 8; ++at) {
      for (unsigned place = 0; place < 2; ++place) {
        const auto stored = window.read(at, place, buffer.data());
        if (!stored) continue;
        const MadeFrame a = made_frame(at, 0), b = made_frame(at, 1);
        const MadeFrame& frame = stored->digest == a.digest ? a : b;
        EXPECT_EQ(stored->digest, frame.digest);
        EXPECT_EQ(stored->length, frame.length);
        EXPECT_TRUE(std::equal(buffer.begin(), buffer.begin() + frame.length, frame.bytes.begin()));
      }
    }
  }
}

// What control does once the origin's word is known: it resolves the forged seqs as they come.
uint64_t resolve_along(Window& window, const Load& load, const std::atomic<bool>& done) {
  std::array<uint8_t, 96> buffer{};
  uint64_t resolved = 0;
  Seq seq = 0;
  while (!done.load(std::memory_order_acquire)) {
    for (const Seq end = window.next(); seq < end; seq += load.forged_every) {
      const auto first = window.read(seq, 0, buffer.data());
      if (!first || !window.read(seq, 1, buffer.data())) continue;
      if (!window.resolve(seq, first->digest == made_digest(seq, 0) ? 0 : 1)) continue;
      ++resolved;
      const auto kept = window.read(seq, 0, buffer.data());
      if (!kept) continue;  // the window has moved on
      EXPECT_EQ(kept->digest, made_digest(seq, 0));
      EXPECT_FALSE(window.read(seq, 1, buffer.data()));
    }
    std::this_thread::yield();
  }
  return resolved;
}

Tally hammer(Window& window, const Load& load) {
  window.anchor(0, made_digest(Seq{0} - 1, 0));
  std::array<Tally, workers> tallies;
  std::atomic<bool> done{false};
  Tally sum;
  std::thread reader([&] { read_along(window, done); });
  std::thread control([&] {
    if (load.resolves) sum.resolved = resolve_along(window, load, done);
  });
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < workers; ++w)
    threads.emplace_back([&, w] { work(window, load, w, tallies[w]); });
  for (std::thread& t : threads) t.join();
  done.store(true, std::memory_order_release);
  reader.join();
  control.join();
  for (const Tally& t : tallies) {
    sum.committed += t.committed;
    sum.seconds += t.seconds;
    sum.duplicates += t.duplicates;
    sum.stale += t.stale;
    sum.races += t.races;
  }
  return sum;
}

// On a busy machine one worker may be done before the others begin: again with a new window, until
// they have met.
void until_they_meet(const WindowConfig& config, const Load& load,
                     const std::function<void(const Tally&)>& check = {}) {
  uint64_t races = 0;
  for (unsigned round = 0; round < rounds_max && races < races_wanted; ++round) {
    auto window = std::move(Window::create(config, 1).value());
    const Tally sum = hammer(*window, load);
    races += sum.races;
    EXPECT_EQ(sum.committed, load.frames);
    EXPECT_EQ(window->next(), load.frames);
    EXPECT_EQ(window->committed(), load.frames + sum.seconds);
    if (check) check(sum);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(DedupRace, EveryFrameIsCommittedExactlyOnce) {
  until_they_meet({.size_log2 = 8, .slot_bytes = 96}, {.frames = 40'000});
}

TEST(DedupRace, ForgeriesAreKeptBesideTheTruth) {
  constexpr Load load{.frames = 40'000, .forged_every = 100};
  until_they_meet({.size_log2 = 8, .slot_bytes = 96}, load, [&](const Tally& sum) {
    EXPECT_LE(sum.seconds, load.frames / load.forged_every);
    EXPECT_GT(sum.seconds, 0u);
    const uint64_t offers = workers * (load.frames + load.frames / load.forged_every);
    EXPECT_EQ(sum.committed + sum.seconds + sum.duplicates + sum.stale, offers);
  });
}

// The twin that comes second is offered by several at once, too.
TEST(DedupRace, EveryTwinIsKeptAtMostOnce) {
  constexpr Load load{.frames = 40'000, .forged_every = 2};
  until_they_meet({.size_log2 = 5, .slot_bytes = 96, .variants_max = 32}, load,
                  [&](const Tally& sum) { EXPECT_LE(sum.seconds, load.frames / 2); });
}

TEST(DedupRace, ConflictsAreResolvedUnderTraffic) {
  uint64_t resolved = 0;
  until_they_meet({.size_log2 = 6, .slot_bytes = 96},
                  {.frames = 40'000, .forged_every = 20, .resolves = true}, [&](const Tally& sum) {
                    EXPECT_LE(sum.seconds, 2'000u);
                    EXPECT_LE(sum.resolved, sum.seconds);
                    resolved += sum.resolved;
                  });
  EXPECT_GT(resolved, 0u);
}

// The ring in its tightest form: laps follow each other within a few frames.
TEST(DedupRace, SlowWritersOfAnEarlierLapAreNeverMixedUp) {
  until_they_meet({.size_log2 = 3, .slot_bytes = 96}, {.frames = 20'000, .forged_every = 100});
}

// Two neighbours committed at the same instant: at least one of them sees that they disagree.
TEST(DedupRace, OneOfTwoRacersFindsTheContradiction) {
  constexpr Seq pairs = 4'000;
  auto window = std::move(Window::create({.size_log2 = 14, .slot_bytes = 96}, 1).value());
  std::array<std::vector<uint8_t>, 2> found;
  std::atomic<Seq> turn[2] = {0, 0};
  const auto run = [&](unsigned side) {
    found[side].resize(pairs);
    for (Seq i = 0; i < pairs; ++i) {
      turn[side].store(i, std::memory_order_release);
      while (turn[1 - side].load(std::memory_order_acquire) < i) std::this_thread::yield();
      const Seq seq = 4 * i + side;
      const MadeFrame frame = made_frame(seq, 0, side == 1 ? 9 : 0);
      const CommitResult result =
          window->commit(seq, frame.tag48, frame.digest, frame.bytes.data(), frame.length, true);
      found[side][i] = result.contradicts_next || result.contradicts_previous;
    }
    turn[side].store(pairs, std::memory_order_release);
  };
  std::thread first(run, 0), second(run, 1);
  first.join();
  second.join();
  for (Seq i = 0; i < pairs; ++i) EXPECT_TRUE(found[0][i] || found[1][i]) << i;
}

// A stopped worker between its claim and its copy cannot be staged from outside; skips make laps
// collide instead, and every frame that is read back must still be whole.
TEST(DedupRace, SkipsUnderTraffic) {
  auto window = std::move(Window::create({.size_log2 = 4, .slot_bytes = 96}, 1).value());
  std::atomic<bool> done{false};
  std::atomic<uint64_t> committed{0};
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      while (!done.load(std::memory_order_acquire)) {
        const Seq base = window->floor();
        for (Seq seq = base; seq < base + 16; ++seq) {
          const MadeFrame frame = made_frame(seq, (seq + w) % 2);
          const Commit outcome =
              window->commit(seq, frame.tag48, frame.digest, frame.bytes.data(), frame.length, true)
                  .outcome;
          if (outcome == Commit::committed || outcome == Commit::second)
            committed.fetch_add(1, std::memory_order_relaxed);
        }
        window->advance();
      }
    });
  }
  std::thread reader([&] { read_along(*window, done); });
  for (unsigned i = 0; i < 3'000; ++i) {
    window->skip_to(window->next() + 1 + i % 40);
    window->mark_final(window->next());
  }
  done.store(true, std::memory_order_release);
  for (std::thread& t : threads) t.join();
  reader.join();
  EXPECT_EQ(window->committed(), committed.load());
}

}  // namespace
}  // namespace chaincast::dedup
