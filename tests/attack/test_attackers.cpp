// SPDX-License-Identifier: BSD-3-Clause
// One test for each thing that an attacker of docs/security.md may try against the data path of a
// node; README.md says which test elsewhere covers the rest.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/line_rig.hpp"

namespace chaincast::test {
namespace {

using stage::Drop;

class Attack : public testing::Test {
 protected:
  Attack() : stream(rig.add_stream("s", wire::Suite::sha256_gmac)) {}

  std::vector<Bytes> make_frames(unsigned count) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < count; ++i) {
      frames.push_back(stream.next_frame(*rig.engine, be_payload(i)));
    }
    return frames;
  }
  static Bytes be_payload(uint64_t value) {
    Bytes out(32);
    store_be64(out.data(), value);
    return out;
  }
  void offer(uint32_t peer, const std::vector<Bytes>& frames) {
    rig.put(peer, 1, rig.stamp(peer, 1, frames, 1));
  }
  std::vector<Bytes> passed_on(uint32_t peer) {
    for (int i = 0; i < 4; ++i) rig.turn();
    return rig.take_frames(peer);
  }

  LineRig rig{RigConfig{.neighbours = 3, .receivers = {1, 2}}};
  RigStream& stream;
};

// ---- outsider -------------------------------------------------------------------------------

TEST_F(Attack, OutsiderInjects) {
  const std::vector<Bytes> frames = make_frames(1);
  Bytes guess = rig.stamp(0, 1, frames);
  store_be32(guess.data() + 4, 0x12345fff);
  rig.put(0, 1, guess);
  EXPECT_TRUE(passed_on(1).empty());
  EXPECT_EQ(rig.dropped(Drop::unknown_link), 1u);
  // Even one who knows the link id fails the check.
  guess = rig.stamp(0, 1, frames);
  store_be32(guess.data() + 12, 0);
  rig.put(0, 1, guess);
  EXPECT_TRUE(passed_on(1).empty());
  EXPECT_EQ(rig.dropped(Drop::bad_check), 1u);
  EXPECT_EQ(rig.dropped_total(), 2u);
}

TEST_F(Attack, OutsiderAlters) {
  const std::vector<Bytes> frames = make_frames(2);
  const Bytes good = rig.stamp(0, 1, frames);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes altered = good;
    altered[bit / 8] = static_cast<uint8_t>(altered[bit / 8] ^ (1u << bit % 8));
    rig.put(0, 1, altered);
    rig.turn();
    // The check covers the hop header and the tags; the rest of a frame is its own tag's business,
    // and the frame beside it passes.
    for (const Bytes& frame : rig.take_frames(1)) {
      ASSERT_TRUE(std::find(frames.begin(), frames.end(), frame) != frames.end()) << "bit " << bit;
    }
    rig.take_frames(2);
  }
  EXPECT_EQ(stream.stream->window->seconds(), 0u);
  EXPECT_LE(stream.stream->window->committed(), 2u);
}

TEST_F(Attack, OutsiderReplays) {
  const std::vector<Bytes> frames = make_frames(3);
  const Bytes datagram = rig.stamp(0, 1, frames);
  rig.put(0, 1, datagram);
  EXPECT_EQ(passed_on(1), frames);
  for (int i = 0; i < 100; ++i) rig.put(0, 1, datagram);
  EXPECT_TRUE(passed_on(1).empty());
  EXPECT_EQ(rig.dropped(Drop::replayed), 100u);
}

TEST_F(Attack, OutsiderSpoofsANeighbour) {
  const std::vector<Bytes> frames = make_frames(1);
  rig.put(rig.source_of(1, 1), rig.stamp(0, 1, frames));
  EXPECT_TRUE(passed_on(2).empty());
  EXPECT_EQ(rig.dropped(Drop::bad_source), 1u);
}

TEST_F(Attack, OutsiderFloods) {
  // Hellos cost control a bounded mailbox, junk costs a look-up, and good frames pass all the same.
  std::vector<Bytes> good;
  Bytes hello(16 + 130);
  hello[0] = wire::version;
  hello[1] = wire::hop_flag_hello;
  for (unsigned i = 0; i < 3000; ++i) {
    rig.put(0, 1, hello);
    Bytes junk = rig.stamp(1, 1, {});
    store_be32(junk.data() + 4, 0xdead0000u + i);
    junk[2] = 1;
    rig.put(1, 1, junk);
    if (i % 10 == 0) {
      const std::vector<Bytes> frames = make_frames(1);
      good.insert(good.end(), frames.begin(), frames.end());
      offer(0, frames);
    }
    if (i % 20 == 0) rig.turn();
  }
  for (int i = 0; i < 200; ++i) rig.turn();
  EXPECT_EQ(rig.take_frames(1), good);
  EXPECT_EQ(rig.dropped(Drop::unknown_link), 3000u);
  const unsigned taken = rig.take_control();
  EXPECT_EQ(taken + rig.dropped(Drop::hello_limit), 3000u);
  EXPECT_LE(taken, node::control_ring_entries);
}

TEST_F(Attack, OutsiderReflects) {
  offer(0, make_frames(2));
  for (int i = 0; i < 2; ++i) rig.turn();
  // What the node itself sent comes back from where it was sent to.
  const auto sent = rig.port.sent;
  rig.port.sent.clear();
  ASSERT_FALSE(sent.empty());
  for (const auto& [port, datagram] : sent) rig.put(rig.source_of(1, 1), datagram);
  EXPECT_TRUE(passed_on(1).empty());
  EXPECT_EQ(rig.dropped(Drop::unknown_link), sent.size());
}

// ---- relay ----------------------------------------------------------------------------------

TEST_F(Attack, RelayAlters) {
  const std::vector<Bytes> frames = make_frames(1);
  for (size_t bit = 0; bit < frames[0].size() * 8; ++bit) {
    Bytes altered = frames[0];
    altered[bit / 8] = static_cast<uint8_t>(altered[bit / 8] ^ (1u << bit % 8));
    offer(0, {altered});  // behind a link check of its own
    ASSERT_TRUE(passed_on(1).empty()) << "bit " << bit;
  }
  EXPECT_EQ(rig.dropped_total(), frames[0].size() * 8);
  EXPECT_EQ(stream.stream->window->committed(), 0u);
  offer(0, frames);
  EXPECT_EQ(passed_on(1), frames) << "no forgery has marked the frame as seen";
}

TEST_F(Attack, RelayDrops) {
  const std::vector<Bytes> frames = make_frames(20);
  for (size_t i = 0; i < frames.size(); ++i) {
    if (i % 3 != 0) offer(0, {frames[i]});
  }
  for (const Bytes& frame : frames) offer(1, {frame});
  std::vector<Bytes> got = passed_on(2);
  std::sort(got.begin(), got.end());
  std::vector<Bytes> wanted = frames;
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(got, wanted) << "each once, from whoever has it";
  EXPECT_EQ(stream.stream->window->next(), frames.size());
}

TEST_F(Attack, RelayDelays) {
  const std::vector<Bytes> frames = make_frames(1500);
  // Held back a little: the frame still has its place.
  for (size_t i = 1; i < 200; ++i) offer(0, {frames[i]});
  passed_on(1);
  EXPECT_EQ(stream.stream->window->next(), 0u);
  offer(0, {frames[0]});
  EXPECT_EQ(passed_on(1), std::vector<Bytes>{frames[0]});
  EXPECT_EQ(stream.stream->window->next(), 200u);
  // Held back for longer than the window: stale, and passed on by nobody.
  for (size_t i = 200; i < frames.size(); ++i) {
    offer(1, {frames[i]});
    if (i % 64 == 0) rig.turn();
  }
  passed_on(2);
  rig.take_frames(1);
  offer(0, {frames[0], frames[1]});
  EXPECT_TRUE(passed_on(2).empty());
  EXPECT_EQ(rig.dropped(Drop::stale), 2u);
}

// ---- member ---------------------------------------------------------------------------------

TEST_F(Attack, MemberForgesUnderTheGroupKey) {
  const std::vector<Bytes> truth = make_frames(1);
  const auto forge = [&](uint8_t salt) {
    Bytes forged = truth[0];
    forged.back() = static_cast<uint8_t>(forged.back() ^ salt);
    rig.engine->seal(*stream.key, forged.data(), static_cast<uint16_t>(forged.size()));
    return forged;
  };
  // The forgery wins the race; the truth is spread all the same, once; a third variant is not.
  offer(0, {forge(1)});
  EXPECT_EQ(passed_on(2), std::vector<Bytes>{forge(1)});
  offer(1, truth);
  EXPECT_EQ(passed_on(2), truth);
  offer(0, {forge(2)});
  EXPECT_TRUE(passed_on(2).empty());
  EXPECT_EQ(rig.dropped(Drop::conflict), 1u);
  offer(0, truth);
  offer(1, {forge(1)});
  EXPECT_TRUE(passed_on(2).empty());
  EXPECT_EQ(rig.dropped(Drop::duplicate), 2u);
}

TEST_F(Attack, MemberSpendsTheConflictBudgetOnly) {
  const std::vector<Bytes> truth = make_frames(200);
  for (size_t i = 0; i < 100; ++i) offer(0, {truth[i]});
  passed_on(1);
  rig.take_frames(2);
  for (size_t i = 0; i < 100; ++i) {
    Bytes forged = truth[i];
    forged.back() = static_cast<uint8_t>(forged.back() ^ 1);
    rig.engine->seal(*stream.key, forged.data(), static_cast<uint16_t>(forged.size()));
    offer(0, {forged});
  }
  EXPECT_EQ(passed_on(2).size(), 16u) << "as many second variants as the budget of a tick";
  EXPECT_EQ(rig.dropped(Drop::conflict), 84u);
  rig.take_frames(1);
  for (size_t i = 100; i < 200; ++i) offer(1, {truth[i]});
  EXPECT_EQ(passed_on(2), std::vector<Bytes>(truth.begin() + 100, truth.end()));
}

TEST_F(Attack, MemberCannotPushTheWindowAheadOfTheOrigin) {
  // The window may run 512 frames ahead of what the origin signed.
  RigStream& other = rig.add_stream("t", wire::Suite::sha256_gmac, {}, 512);
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 4000; ++i) {
    frames.push_back(other.next_frame(*rig.engine, be_payload(i)));
    offer(0, {frames.back()});
    if (i % 64 == 0) rig.turn();
  }
  passed_on(1);
  EXPECT_EQ(other.stream->window->floor(), 0u);
  EXPECT_GT(rig.dropped(Drop::ahead), 0u);
  offer(1, {frames[0]});
  passed_on(1);
  EXPECT_EQ(rig.dropped(Drop::stale), 0u) << "the origin's frames keep their place";
}

TEST_F(Attack, MemberContradictsAFinalFrame) {
  const std::vector<Bytes> frames = make_frames(2);
  offer(0, {frames[0]});
  passed_on(1);
  rig.take_frames(2);
  stream.stream->window->mark_final(0);
  Bytes forged = frames[1];
  forged[wire::frame_offset_link] ^= 1;
  rig.engine->seal(*stream.key, forged.data(), static_cast<uint16_t>(forged.size()));
  offer(0, {forged});
  EXPECT_TRUE(passed_on(2).empty());
  EXPECT_EQ(rig.dropped(Drop::bad_link), 1u);
  offer(1, {frames[1]});
  EXPECT_EQ(passed_on(2), std::vector<Bytes>{frames[1]});
}

// ---- hardware -------------------------------------------------------------------------------

TEST_F(Attack, HardwareFlipsABitInEverySuite) {
  for (unsigned suite = 1; suite <= 5; ++suite) {
    RigStream& other = rig.add_stream("h" + std::to_string(suite), static_cast<wire::Suite>(suite));
    const Bytes frame = other.next_frame(*rig.engine, be_payload(suite));
    Bytes flipped = frame;
    flipped[wire::frame_header_bytes + 5] ^= 0x10;
    const uint64_t before = rig.dropped(Drop::tag);
    offer(0, {flipped});
    EXPECT_TRUE(passed_on(1).empty()) << suite;
    EXPECT_EQ(rig.dropped(Drop::tag), before + 1);
    offer(0, {frame});
    EXPECT_EQ(passed_on(1), std::vector<Bytes>{frame}) << suite;
  }
}

}  // namespace
}  // namespace chaincast::test
