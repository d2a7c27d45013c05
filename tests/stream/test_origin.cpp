// SPDX-License-Identifier: BSD-3-Clause
#include "stream/origin.hpp"

#include <gtest/gtest.h>

#include "stream/fixture.hpp"
#include "wire/object.hpp"

namespace chaincast::stream {
namespace {

using test::Crypto;
using test::Emitted;
using test::poll_all;
using test::small_descriptor;

constexpr wire::Suite all_suites[] = {wire::Suite::sha256_gmac, wire::Suite::sha256_gcm,
                                      wire::Suite::sha256_gmac_ct, wire::Suite::sha256_gcm_ct,
                                      wire::Suite::gmac};

class OriginTest : public testing::Test {
 protected:
  Crypto crypto_;
  Random random_{1};
};

TEST_F(OriginTest, DescriptorIsSignedAndEachIncarnationIsItsOwn) {
  const auto first = crypto_.origin(small_descriptor());
  const auto second = crypto_.origin(small_descriptor());
  EXPECT_NE(first->id(), second->id());
  const auto checked =
      check_descriptor(first->encoded_descriptor(), first->descriptor().network, *crypto_.toolbox);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->id, first->id());
  EXPECT_EQ(checked->digest, crypto_.toolbox->sha256(first->encoded_descriptor()));
  EXPECT_EQ(checked->descriptor.origin, crypto_.signer->public_key());
}

TEST_F(OriginTest, AlteredOrForeignDescriptorsAreRefused) {
  const auto origin = crypto_.origin(small_descriptor());
  const Bytes& good = origin->encoded_descriptor();
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(check_descriptor(bad, origin->descriptor().network, *crypto_.toolbox).ok()) << i;
  }
  EXPECT_FALSE(check_descriptor(good, {}, *crypto_.toolbox).ok());
}

// Follows the chain by the documented rules, with nothing of the origin's own state.
void check_chain(Crypto& crypto, const Origin& origin, std::vector<Emitted> frames) {
  const auto key = crypto.key(origin);
  Digest previous = origin.descriptor_digest();
  Digest statement_hash{};
  uint64_t index = 0;
  Seq covered = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    const wire::FrameHeader h = frames[i].header();
    ASSERT_EQ(h.seq, i);
    ASSERT_EQ(h.stream, origin.id());
    ASSERT_TRUE(std::equal(h.link.begin(), h.link.end(), previous.begin()));
    crypto::FrameJob job{key.get(), frames[i].frame.data(),
                         static_cast<uint16_t>(frames[i].frame.size())};
    crypto.engine->verify({&job, 1});
    ASSERT_TRUE(job.ok);
    ASSERT_EQ(job.digest, frames[i].digest);
    if (frames[i].kind() == wire::Kind::statement) {
      Bytes payload(frames[i].payload().size());
      ASSERT_TRUE(crypto.engine->open(*key, job.frame, job.frame_bytes, payload.data()));
      const auto s = wire::parse_statement(payload);
      ASSERT_TRUE(s.ok()) << s.error().message;
      EXPECT_TRUE(check_statement(*s, origin.descriptor(), *crypto.toolbox));
      EXPECT_EQ(s->index, index++);
      EXPECT_EQ(s->previous, statement_hash);
      EXPECT_EQ(s->first_seq, covered);
      EXPECT_EQ(s->last_seq, i - 1);
      EXPECT_EQ(s->last_digest, previous);
      statement_hash = crypto.toolbox->sha256(payload);
      covered = i;
    }
    previous = job.digest;
  }
  EXPECT_GT(index, 0u);
}

TEST_F(OriginTest, FramesAreChainedAndStatedInEverySuite) {
  for (const wire::Suite suite : all_suites) {
    const auto origin = crypto_.origin(small_descriptor(suite));
    std::vector<Emitted> frames;
    for (TimeNs now = 0; now < 200 * ns_per_ms; now += ns_per_ms) {
      ASSERT_TRUE(origin->publish(test::random_bytes(random_, random_.below(1500))).value());
      for (Emitted& f : poll_all(*origin, now)) frames.push_back(std::move(f));
    }
    origin->end(200 * ns_per_ms, [&](ByteSpan frame, const Digest& digest) {
      frames.push_back({Bytes(frame.begin(), frame.end()), digest});
    });
    check_chain(crypto_, *origin, std::move(frames));
    EXPECT_FALSE(origin->publish(Bytes(1)).ok());
    EXPECT_TRUE(wire::parse_statement(origin->newest_statement())->flags &
                wire::statement_flag_end);
  }
}

TEST_F(OriginTest, SmallObjectsShareAFrameAndLargeOnesAreCut) {
  const auto origin = crypto_.origin(small_descriptor());
  std::vector<Bytes> objects;
  constexpr size_t lengths[] = {80, 80, 80, 80, 80, 80, 80, 1300, 511, 512, 0, 0};
  for (size_t bytes : lengths) objects.push_back(test::random_bytes(random_, bytes));
  for (const Bytes& object : objects) ASSERT_TRUE(origin->publish(object).value());
  const auto frames = poll_all(*origin, 0);
  std::vector<uint8_t> kinds;
  std::vector<size_t> sizes;
  for (const Emitted& f : frames) {
    kinds.push_back(f.header().kind);
    sizes.push_back(f.payload().size());
  }
  // 6 x 82 fit into 512; the seventh stands alone, for the next object is too large to share.
  const std::vector<uint8_t> expected = {0xe0, 0xc0, 0x80, 0x00, 0x40, 0xc0, 0xc0, 0xe0, 0xc2};
  EXPECT_EQ(kinds, expected);
  EXPECT_EQ(sizes, (std::vector<size_t>{492, 80, 512, 512, 276, 511, 512, 4,
                                        origin->newest_statement().size()}));
}

TEST_F(OriginTest, SmallObjectsWaitForCompanyUpToTheLimit) {
  const auto origin = crypto_.origin(small_descriptor(), 0, 5 * ns_per_ms);
  ASSERT_TRUE(origin->publish(Bytes(100)).value());
  EXPECT_TRUE(poll_all(*origin, 0).empty());
  EXPECT_EQ(origin->next_timer_ns(), 5 * ns_per_ms);
  ASSERT_TRUE(origin->publish(Bytes(100)).value());
  EXPECT_TRUE(poll_all(*origin, 4 * ns_per_ms).empty());
  const auto frames = poll_all(*origin, 5 * ns_per_ms);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload().size(), 204u);
  ASSERT_TRUE(origin->publish(Bytes(300)).value());
  ASSERT_TRUE(origin->publish(Bytes(300)).value());
  EXPECT_EQ(poll_all(*origin, 6 * ns_per_ms).size(), 1u) << "the first has no room to wait for";
}

TEST_F(OriginTest, StatementsComeAfterKFramesAtLeastTApartAndWhenIdle) {
  const auto origin = crypto_.origin(small_descriptor());
  for (unsigned i = 0; i < 100; ++i) ASSERT_TRUE(origin->publish(Bytes(512)).value());
  std::vector<unsigned> statements;
  unsigned at = 0;
  for (unsigned i = 0; i < 10; ++i) {
    for (const Emitted& f : poll_all(*origin, i * ns_per_ms, 10)) {
      if (f.kind() == wire::Kind::statement) statements.push_back(at);
      ++at;
    }
  }
  EXPECT_EQ(statements, std::vector<unsigned>{16}) << "the next is due after T, not after K";
  auto frames = poll_all(*origin, 11 * ns_per_ms);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.front().kind(), wire::Kind::statement);
  EXPECT_EQ(origin->next_timer_ns(), 21 * ns_per_ms);
  frames = poll_all(*origin, 21 * ns_per_ms);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].kind(), wire::Kind::statement);
  EXPECT_TRUE(poll_all(*origin, 10 * ns_per_s).empty());
  EXPECT_EQ(origin->next_timer_ns(), 21 * ns_per_ms + 10 * ns_per_s);
  EXPECT_EQ(poll_all(*origin, 21 * ns_per_ms + 10 * ns_per_s).size(), 1u);
}

TEST_F(OriginTest, AQuarterOfTheWindowIsNeverLeftUnsigned) {
  wire::Descriptor descriptor = small_descriptor();
  descriptor.statement_interval_ms = 10'000;
  const auto origin = crypto_.origin(descriptor);
  for (unsigned i = 0; i < 2000; ++i) ASSERT_TRUE(origin->publish(Bytes(512)).value());
  unsigned unsigned_frames = 0, statements = 0;
  for (const Emitted& f : poll_all(*origin, 0)) {
    const bool is_statement = f.kind() == wire::Kind::statement;
    statements += is_statement ? 1 : 0;
    unsigned_frames = is_statement ? 0 : unsigned_frames + 1;
    EXPECT_LE(unsigned_frames, 256u);
  }
  EXPECT_EQ(statements, 8u);
}

TEST_F(OriginTest, NothingIsStatedBeforeTheFirstFrame) {
  const auto origin = crypto_.origin(small_descriptor());
  EXPECT_TRUE(poll_all(*origin, 100 * ns_per_s).empty());
  EXPECT_EQ(origin->next_timer_ns(), time_never);
}

TEST_F(OriginTest, TheDeclaredRateIsKept) {
  wire::Descriptor descriptor = small_descriptor();
  descriptor.rate_frames_per_s = 1000;
  const auto origin = crypto_.origin(descriptor);
  for (unsigned i = 0; i < 5000; ++i) ASSERT_TRUE(origin->publish(Bytes(512)).value());
  size_t emitted = 0;
  for (TimeNs now = 0; now <= 2 * ns_per_s; now += ns_per_ms / 2)
    emitted += poll_all(*origin, now).size();
  EXPECT_GE(emitted, 2000u);
  EXPECT_LE(emitted, 2000u + 64u + 1u);
}

TEST_F(OriginTest, TheQueueIsBounded) {
  const auto origin = crypto_.origin(small_descriptor());
  const Bytes object(1u << 20);
  unsigned taken = 0;
  while (origin->publish(object).value()) ++taken;
  EXPECT_EQ(taken, 7u);
  EXPECT_FALSE(origin->publish(Bytes((1u << 20) + 1)).ok());
  size_t before = origin->queued_bytes();
  poll_all(*origin, 0, 3000);
  EXPECT_LT(origin->queued_bytes(), before);
}

TEST_F(OriginTest, AConfidentialStreamNeedsItsSecret) {
  crypto::StreamSecrets half = crypto_.secrets;
  half.has_encrypt = false;
  EXPECT_FALSE(Origin::create({small_descriptor(wire::Suite::sha256_gcm)}, *crypto_.toolbox,
                              *crypto_.signer, *crypto_.engine, half, 0)
                   .ok());
  wire::Descriptor bad = small_descriptor();
  bad.resource = "Not Allowed";
  EXPECT_FALSE(
      Origin::create({bad}, *crypto_.toolbox, *crypto_.signer, *crypto_.engine, crypto_.secrets, 0)
          .ok());
}

}  // namespace
}  // namespace chaincast::stream
