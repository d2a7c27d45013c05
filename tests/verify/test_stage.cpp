// SPDX-License-Identifier: BSD-3-Clause
#include "verify/stage.hpp"

#include <gtest/gtest.h>

#include "crypto/openssl/toolbox.hpp"
#include "rcu/rcu.hpp"
#include "support/stream_rig.hpp"

namespace chaincast::verify {
namespace {

class VerifyTest : public testing::TestWithParam<wire::Suite> {
 protected:
  void add(const Bytes& frame) {
    stage::Frame& f = burst_.frames[burst_.frame_count++];
    f = {};
    f.bytes = frame.data();
    f.length = static_cast<uint16_t>(frame.size());
    f.stream = &rig_.stream();
    f.key = f.stream->key_of(0);
    burst_.datagrams[0].frames_kept = static_cast<uint16_t>(burst_.frame_count);
  }
  // What the next frame's link has to name (docs/wire.md).
  Digest digest_of(const Bytes& frame) const {
    if (GetParam() == wire::Suite::gmac) {
      Digest tag{};
      std::copy_n(frame.begin() + wire::frame_offset_tag, 16, tag.begin());
      return tag;
    }
    ByteWriter hashed;
    hashed.bytes(ByteSpan(frame).first(wire::frame_hashed_header_bytes));
    hashed.bytes(ByteSpan(frame).subspan(wire::frame_header_bytes));
    return toolbox_->sha256(hashed.take());
  }

  rcu::Reader reader_;
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<crypto::FrameEngine> engine_ = toolbox_->reference_engine();
  test::StreamRig rig_{*toolbox_, *engine_, GetParam()};
  stage::Burst::Drops drops_;
  stage::Burst burst_{drops_};
  Verify verify_{*engine_};
};

TEST_P(VerifyTest, GoodFramesStayAndOneFlippedBitDropsExactlyItsFrame) {
  std::vector<Bytes> frames;
  for (Seq seq = 0; seq < 40; ++seq) frames.push_back(rig_.frame(seq, seq * 7));
  for (size_t i = 3; i < frames.size(); i += 5) frames[i][wire::frame_offset_seq + 7] ^= 0x80;
  frames[4].back() ^= 1;
  for (const Bytes& frame : frames) add(frame);
  verify_.process(burst_);
  EXPECT_EQ(burst_.frame_count, 31u);
  EXPECT_EQ(drops_.read(stage::Drop::tag), 9u);
  EXPECT_EQ(rig_.stream().bad_tags.load(), 9u);
}

TEST_P(VerifyTest, StrictFramesGetTheirDigestAndCutThroughOnesNone) {
  const Bytes frame = rig_.frame(1, 50);
  add(frame);
  verify_.process(burst_);
  ASSERT_EQ(burst_.frame_count, 1u);
  const bool is_cut_through = GetParam() == wire::Suite::sha256_gmac_ct;
  EXPECT_EQ(burst_.frames[0].digest, is_cut_through ? Digest{} : digest_of(frame));
}

TEST_P(VerifyTest, ASecondVariantGetsItsDigestInEverySuite) {
  const Bytes frame = rig_.frame(1, 50);
  add(frame);
  burst_.frames[0].is_conflict = true;
  verify_.process(burst_);
  ASSERT_EQ(burst_.frame_count, 1u);
  EXPECT_EQ(burst_.frames[0].digest, digest_of(frame));
}

INSTANTIATE_TEST_SUITE_P(Suites, VerifyTest,
                         testing::Values(wire::Suite::sha256_gmac, wire::Suite::sha256_gmac_ct,
                                         wire::Suite::gmac));

}  // namespace
}  // namespace chaincast::verify
