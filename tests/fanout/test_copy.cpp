// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/copy.hpp"

#include "fanout/world.hpp"

// Where copies lie: the forms that fanout::Copier chooses from, seen through the whole stage.
namespace chaincast::test {
namespace {

TEST(Fanout, OneReceiverGetsTheHeadersInTheHeadroom) {
  for (const bool shared : {false, true}) {
    World world;
    PeerKind kind;
    kind.shared_segments = shared;
    kind.is_ipv6 = true;
    world.add_peer(0, kind);
    world.add_peer(1, kind);
    const auto frame = world.frame(1300);
    rte_mbuf* received = world.arrive(0, 1, {frame});
    world.port(1).holds = true;
    world.process();
    ASSERT_EQ(world.port(1).sent.size(), 1u);
    EXPECT_EQ(world.port(1).sent[0].segments, 1u);
    EXPECT_EQ(rte_mempool_avail_count(world.headers), world.headers->size);
    EXPECT_EQ(rte_mempool_avail_count(world.payloads), world.payloads->size);
    EXPECT_EQ(rte_mbuf_refcnt_read(received), 1) << "only the port's reference is left";
    EXPECT_EQ(world.take(1), bytes_of({frame}));
  }
}

// A batch of them at once; where the headroom of one is too small, each by itself, and that one
// with a buffer for its headers.
TEST(Fanout, OneReceiverGetsManyInTheirHeadroomWhereAllHaveEnough) {
  for (const bool has_room : {true, false}) {
    World world;
    world.add_peer(0);
    world.add_peer(1);
    std::vector<TestFrame> frames;
    for (unsigned i = 0; i < 20; ++i) {
      frames.push_back(world.frame(1300 + i));
      world.arrive(0, 1, {frames.back()}, has_room || i != 7 ? 170 : 20);
    }
    world.port(1).holds = true;
    world.process();
    EXPECT_TRUE(world.port(0).sent.empty());
    EXPECT_EQ(rte_mempool_avail_count(world.headers), world.headers->size - (has_room ? 0 : 1));
    EXPECT_EQ(rte_mempool_avail_count(world.payloads), world.payloads->size);
    EXPECT_EQ(world.take(1), bytes_of(frames));
  }
}

TEST(Fanout, ABufferThatSomebodyElseHoldsIsNotTouched) {
  World world;
  world.add_peer(0);
  world.add_peer(1);
  const auto frame = world.frame(700);
  rte_mbuf* received = world.arrive(0, 1, {frame});
  const auto* data = rte_pktmbuf_mtod(received, const uint8_t*);
  const Bytes before(data - 100, data + received->data_len);
  rte_mbuf_refcnt_update(received, 1);
  world.process();
  EXPECT_EQ(rte_pktmbuf_mtod(received, const uint8_t*), data);
  EXPECT_EQ(Bytes(data - 100, data + received->data_len), before);
  EXPECT_EQ(world.take(1), bytes_of({frame}));
  rte_pktmbuf_free(received);
}

TEST(Fanout, CopybreakDecidesBetweenCopyAndShare) {
  World world;
  PeerKind kind;
  kind.copybreak_bytes = 256;
  for (uint32_t p : {0u, 1u, 2u}) world.add_peer(p, kind);
  for (const unsigned payload : {256u - 72, 256u - 71}) {
    world.arrive(0, 1, {world.frame(payload)});
    world.process();
  }
  EXPECT_EQ(world.port(1).sent[0].segments, 1u);
  EXPECT_EQ(world.port(1).sent[1].segments, 2u);
  EXPECT_EQ(world.take(1), world.take(2));
}

// What the driver receives into is not taken whole, and what is too long for it lies elsewhere.
TEST(Fanout, LinearCopiesLieWhereTheDriverSendsFromWhileHalfOfThatIsFree) {
  rte_mempool* const own = test::make_pool(64, 1024);
  const auto used = [&] { return rte_mempool_in_use_count(own); };
  {
    World world;
    PeerKind kind;
    kind.shared_segments = false;
    kind.send_pool = own;
    world.add_peer(0);
    world.add_peer(1, kind);
    world.add_peer(2, kind);
    world.port(1).holds = world.port(2).holds = true;
    std::vector<TestFrame> frames = {world.frame(80), world.frame(1300)};
    for (const TestFrame& frame : frames) world.arrive(0, 1, {frame});
    world.process();
    EXPECT_EQ(used(), 2u) << "one short copy a peer";
    EXPECT_EQ(world.payloads->size - rte_mempool_avail_count(world.payloads), 2u);
    for (unsigned i = 0; i < 50; ++i) {
      frames.push_back(world.frame(90));
      world.arrive(0, 1, {frames.back()});
      world.process();
    }
    EXPECT_GE(used(), 30u);
    EXPECT_LE(used(), own->size / 2 + 2);
    EXPECT_EQ(world.take(1), bytes_of(frames));
    EXPECT_EQ(world.take(2), bytes_of(frames));
  }
  EXPECT_EQ(used(), 0u);
  rte_mempool_free(own);
}

TEST(Fanout, LinearReadersOutliveSharedCopies) {
  World world;
  PeerKind linear;
  linear.shared_segments = false;
  world.add_peer(0);
  world.add_peer(1);
  world.add_peer(2, linear);
  std::vector<TestFrame> frames = {world.frame(80), world.frame(90)};
  world.arrive(0, 1, {frames[0]});
  world.arrive(0, 1, {frames[1]});
  world.process();
  EXPECT_EQ(world.take(1), bytes_of(frames));
  EXPECT_EQ(world.take(2), bytes_of(frames));
}

}  // namespace
}  // namespace chaincast::test
