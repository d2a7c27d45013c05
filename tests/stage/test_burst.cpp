// SPDX-License-Identifier: BSD-3-Clause
#include "stage/burst.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/eal.hpp"

namespace chaincast::stage {
namespace {

TEST(DropText, EveryReasonHasANameOfItsOwnAndHelp) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < drop_count; ++i) {
    const DropText& text = drop_text(static_cast<Drop>(i));
    EXPECT_FALSE(text.name.empty()) << i;
    EXPECT_FALSE(text.help.empty()) << text.name;
    EXPECT_TRUE(names.insert(text.name).second) << text.name;
  }
  // The names stand in the order of the enumeration.
  EXPECT_EQ(drop_text(Drop::rx_not_ip).name, "rx_not_ip");
  EXPECT_EQ(drop_text(Drop::stopped).name, "stopped");
  EXPECT_EQ(drop_text(Drop::unknown_stream).name, "unknown_stream");
  EXPECT_EQ(drop_text(Drop::peer_gone).name, "peer_gone");
  EXPECT_EQ(drop_text(Drop::foreign_full).unit, "packet");
  EXPECT_EQ(drop_text(Drop::truncated).unit, "datagram");
  EXPECT_EQ(drop_text(Drop::unknown_stream).unit, "frame");
  EXPECT_EQ(drop_text(Drop::rate).unit, "copy");
}

class BurstTest : public testing::Test {
 protected:
  void SetUp() override { pool_ = test::make_pool(255); }
  void TearDown() override {
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  void fill(Burst& burst, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      burst.datagrams[i] = {};
      burst.datagrams[i].mbuf = rte_pktmbuf_alloc(pool_);
      burst.datagrams[i].bytes = static_cast<uint16_t>(i);
      burst.datagrams[i].frames_kept = 1;
      burst.frames[i] = {};
      burst.frames[i].datagram = static_cast<uint8_t>(i);
      burst.frames[i].seq = i;
    }
    burst.datagram_count = count;
    burst.frame_count = count;
  }
  rte_mempool* pool_ = nullptr;
  Burst::Drops drops_;
};

TEST_F(BurstTest, FilteredDatagramsAreCountedAndFreedInOrder) {
  Burst burst(drops_);
  fill(burst, 10);
  burst.frame_count = 0;
  burst.filter_datagrams([](const Datagram& d) {
    return d.bytes % 3 == 0 ? Drop::bad_check : d.bytes == 1 ? handed_over : Drop::count_;
  });
  EXPECT_EQ(drops_.read(Drop::bad_check), 4u);
  ASSERT_EQ(burst.datagram_count, 5u);
  EXPECT_EQ(rte_mempool_in_use_count(pool_), 5u);
  for (unsigned i = 1; i < burst.datagram_count; ++i) {
    EXPECT_LT(burst.datagrams[i - 1].bytes, burst.datagrams[i].bytes);
  }
  burst.release();
}

TEST_F(BurstTest, FilteredFramesKeepOrderAndTheirDatagramsCount) {
  Burst burst(drops_);
  fill(burst, 8);
  burst.filter_frames(
      [&](unsigned i) { return burst.frames[i].seq % 2 == 0 ? Drop::duplicate : Drop::count_; });
  EXPECT_EQ(drops_.read(Drop::duplicate), 4u);
  ASSERT_EQ(burst.frame_count, 4u);
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(burst.frames[i].seq, 2 * i + 1);
    EXPECT_EQ(burst.datagrams[2 * i].frames_kept, 0);
    EXPECT_EQ(burst.datagrams[2 * i + 1].frames_kept, 1);
  }
  burst.release();
  EXPECT_EQ(burst.datagram_count, 0u);
}

}  // namespace
}  // namespace chaincast::stage
