// SPDX-License-Identifier: BSD-3-Clause
#include "classify/stage.hpp"

#include <gtest/gtest.h>

#include "crypto/openssl/toolbox.hpp"
#include "rcu/rcu.hpp"
#include "support/eal.hpp"
#include "support/stream_rig.hpp"

namespace chaincast::classify {
namespace {

using stage::Drop;

class ClassifyTest : public testing::Test {
 protected:
  void SetUp() override { pool_ = test::make_pool(255, 16384); }
  void TearDown() override { rte_mempool_free(pool_); }

  void add(const Bytes& datagram) {
    stage::Datagram& d = burst_.datagrams[burst_.datagram_count++];
    d = {};
    d.mbuf = rte_pktmbuf_alloc(pool_);
    char* data = rte_pktmbuf_append(d.mbuf, static_cast<uint16_t>(datagram.size()));
    ASSERT_NE(data, nullptr);
    std::memcpy(data, datagram.data(), datagram.size());
    d.data = reinterpret_cast<const uint8_t*>(data);
    d.bytes = static_cast<uint16_t>(datagram.size());
    d.frame_count = datagram[2];
    d.hops = 3;
  }
  bool next() { return process(burst_, cursor_, rig_.table); }

  rcu::Reader reader_;
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<crypto::FrameEngine> engine_ = toolbox_->reference_engine();
  test::StreamRig rig_{*toolbox_, *engine_};
  stage::Burst::Drops drops_;
  stage::Burst burst_{drops_};
  Cursor cursor_;
  rte_mempool* pool_ = nullptr;
};

TEST_F(ClassifyTest, FieldsAreThoseOfTheFrame) {
  const Bytes frame = rig_.frame(42, 100);
  add(test::StreamRig::datagram({frame, rig_.frame(43, 7)}));
  ASSERT_TRUE(next());
  ASSERT_EQ(burst_.frame_count, 2u);
  const stage::Frame& f = burst_.frames[0];
  EXPECT_EQ(f.stream, &rig_.stream());
  EXPECT_EQ(f.seq, 42u);
  EXPECT_EQ(f.length, frame.size());
  EXPECT_EQ(f.tag48, wire::tag48(frame.data() + wire::frame_offset_tag));
  EXPECT_EQ(Bytes(f.bytes, f.bytes + f.length), frame);
  EXPECT_EQ(burst_.datagrams[0].frames_kept, 2);
  EXPECT_EQ(rig_.stream().shares[0].received.read(), 2u);
  EXPECT_EQ(rig_.stream().shares[0].hops_max.read(), 3u);
  EXPECT_FALSE(next());
  burst_.release();
}

TEST_F(ClassifyTest, EachUnknownIsCountedByItsReason) {
  Bytes stream = rig_.frame(1, 10);
  stream[wire::frame_offset_stream] ^= 1;
  Bytes epoch = rig_.frame(2, 10);
  epoch[wire::frame_offset_epoch + 3] = 9;
  Bytes suite = rig_.frame(3, 10);
  suite[wire::frame_offset_suite] = static_cast<uint8_t>(wire::Suite::gmac);
  add(test::StreamRig::datagram({stream, epoch, suite, rig_.frame(4, 1161), rig_.frame(5, 1160)}));
  ASSERT_TRUE(next());
  EXPECT_EQ(drops_.read(Drop::unknown_stream), 1u);
  EXPECT_EQ(drops_.read(Drop::unknown_epoch), 1u);
  EXPECT_EQ(drops_.read(Drop::bad_suite), 1u);
  EXPECT_EQ(drops_.read(Drop::oversized), 1u);
  ASSERT_EQ(burst_.frame_count, 1u);
  EXPECT_EQ(burst_.frames[0].seq, 5u);
  burst_.release();
}

// What one header led to holds for neighbours that say the same, and for no other.
TEST_F(ClassifyTest, RunsOfNeighboursAreJudgedAndCountedEachByItsOwnHeader) {
  Bytes stranger = rig_.frame(1, 10);
  stranger[wire::frame_offset_stream + 7] ^= 1;
  Bytes early = rig_.frame(2, 10);
  early[wire::frame_offset_epoch] = 1;
  Bytes other = rig_.frame(3, 10);
  other[wire::frame_offset_suite] ^= 1;
  const Bytes good = rig_.frame(4, 10);
  add(test::StreamRig::datagram({good, stranger, stranger, good, early, early, good, other, good}));
  add(test::StreamRig::datagram({good}));
  burst_.datagrams[1].hops = 7;
  add(test::StreamRig::datagram({stranger}));
  burst_.datagrams[2].hops = 9;
  ASSERT_TRUE(next());
  EXPECT_EQ(drops_.read(Drop::unknown_stream), 3u);
  EXPECT_EQ(drops_.read(Drop::unknown_epoch), 2u);
  EXPECT_EQ(drops_.read(Drop::bad_suite), 1u);
  ASSERT_EQ(burst_.frame_count, 5u);
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_EQ(burst_.frames[i].seq, 4u);
    EXPECT_EQ(burst_.frames[i].key, rig_.stream().key_of(0));
  }
  EXPECT_EQ(rig_.stream().shares[0].received.read(), 8u);
  EXPECT_EQ(rig_.stream().shares[0].hops_max.read(), 7u);
  burst_.release();
}

// 64 datagrams of 12 frames hold 768 frames; a round takes 21 of them, for 22 have 264.
TEST_F(ClassifyTest, ARoundTakesWholeDatagrams) {
  Seq seq = 0;
  for (int d = 0; d < 64; ++d) {
    std::vector<Bytes> frames;
    for (int i = 0; i < 12; ++i) frames.push_back(rig_.frame(seq++, 4));
    add(test::StreamRig::datagram(frames));
  }
  std::vector<Seq> seen;
  unsigned rounds = 0;
  while (next()) {
    ++rounds;
    ASSERT_EQ(burst_.frame_count, rounds < 4 ? 252u : 12u);
    const stage::Frame& last = burst_.frames[burst_.frame_count - 1];
    int of_last = 0;
    for (unsigned i = 0; i < burst_.frame_count; ++i) {
      seen.push_back(burst_.frames[i].seq);
      of_last += burst_.frames[i].datagram == last.datagram ? 1 : 0;
    }
    EXPECT_EQ(of_last, burst_.datagrams[last.datagram].frame_count);
  }
  EXPECT_EQ(rounds, 4u);
  ASSERT_EQ(seen.size(), seq);
  for (Seq i = 0; i < seq; ++i) EXPECT_EQ(seen[i], i);
  burst_.release();
}

// Cut in its payload, in its header and in front of it. The memory behind a cut still holds the
// rest, which the buffer's last user left there: nothing may be read beyond the datagram's end.
TEST_F(ClassifyTest, EveryTruncationKeepsTheWholeFramesOnly) {
  const Bytes first = rig_.frame(1, 10);
  const Bytes datagram = test::StreamRig::datagram({first, rig_.frame(2, 10)});
  add(datagram);
  ASSERT_TRUE(next());
  EXPECT_EQ(burst_.frame_count, 2u);
  burst_.release();
  uint64_t truncated = 0;
  for (size_t bytes = datagram.size() - 1; bytes >= wire::hop_header_bytes; --bytes) {
    SCOPED_TRACE(bytes);
    add(Bytes(datagram.begin(), datagram.begin() + static_cast<ptrdiff_t>(bytes)));
    cursor_ = {};
    ASSERT_TRUE(next());
    ASSERT_EQ(burst_.frame_count, bytes < wire::hop_header_bytes + first.size() ? 0u : 1u);
    EXPECT_EQ(drops_.read(Drop::truncated), ++truncated);
    burst_.release();
  }
}

}  // namespace
}  // namespace chaincast::classify
