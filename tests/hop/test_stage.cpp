// SPDX-License-Identifier: BSD-3-Clause
#include "hop/stage.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "support/eal.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"

namespace chaincast::hop {
namespace {

using stage::Drop;

constexpr TimeNs now = 5 * ns_per_s;

class Sink final : public ControlSink {
 public:
  bool take(const stage::Datagram& datagram, const RxLane* lane) noexcept override {
    if (room == 0) return false;
    --room;
    taken.push_back({Bytes(datagram.data, datagram.data + datagram.bytes), lane});
    return true;
  }
  struct Taken {
    Bytes bytes;
    const RxLane* lane;
  };
  unsigned room = 100;
  std::vector<Taken> taken;
};

class Stage : public testing::Test {
 protected:
  static void SetUpTestSuite() { pool_ = test::make_pool(511); }
  static void TearDownTestSuite() { rte_mempool_free(pool_); }

  Stage() {
    available_ = rte_mempool_avail_count(pool_);
    for (int i = 0; i < 3; ++i) add_lane(static_cast<uint8_t>(i));
    burst_.now_ns = now;
  }
  ~Stage() override {
    burst_.release();
    EXPECT_EQ(rte_mempool_avail_count(pool_), available_);  // nothing leaked, nothing freed twice
  }

  RxLane& add_lane(uint8_t number) {
    auto lane = std::make_unique<RxLane>();
    lane->link_id = table_->allocate(0x12345678u * (number + 1u));
    lane->peer = number + 10u;
    lane->lane = number;
    lane->source.address = {192, 0, 2, number};
    lane->source.port = 7000;
    std::array<uint8_t, 16> key{};
    key[0] = number;
    lane->key = crypto::expand_link_key(key);
    table_->install(lane.get());
    lanes_.push_back(std::move(lane));
    return *lanes_.back();
  }

  // Frames with these payload sizes; check and counter as the peer would stamp them.
  Bytes data(const RxLane& lane, uint64_t counter, const std::vector<uint16_t>& payloads,
             uint8_t hops = 0) {
    Bytes out(wire::hop_header_bytes);
    uint32_t tag_xor = 0;
    for (const uint16_t payload : payloads) {
      wire::FrameHeader frame;
      frame.payload_bytes = payload;
      frame.seq = ++frames_made_;
      frame.tag.fill(static_cast<uint8_t>(frames_made_ * 29));
      frame.tag[3] = static_cast<uint8_t>(payload);
      tag_xor ^= wire::tag_words_xor(frame.tag.data());
      const size_t at = out.size();
      out.resize(at + wire::frame_header_bytes + payload, 0x5a);
      wire::store_frame_header(out.data() + at, frame);
    }
    stamp(out, lane, counter, static_cast<uint8_t>(payloads.size()), hops, tag_xor);
    return out;
  }
  Bytes control(const RxLane& lane, uint64_t counter) {
    Bytes out(wire::control_overhead_bytes + 9, 0x33);
    out[out.size() - 1] = static_cast<uint8_t>(counter);
    stamp(out, lane, counter, 0, 0, wire::tag_words_xor(out.data() + out.size() - 16));
    return out;
  }
  static Bytes hello() {
    const auto header = wire::hello_hop_header();
    Bytes out(header.begin(), header.end());
    out.resize(out.size() + wire::hello_bytes_min);
    return out;
  }
  static void stamp(Bytes& out, const RxLane& lane, uint64_t counter, uint8_t frames, uint8_t hops,
                    uint32_t tag_xor) {
    wire::HopHeader hop{
        wire::version, 0, frames, hops, lane.link_id, static_cast<uint32_t>(counter), 0};
    const std::array<uint8_t, 16> block = check_block(hop, counter, tag_xor);
    crypto::link_checks(lane.key, {&block, 1}, &hop.check);
    wire::store_hop_header(out.data(), hop);
  }

  void put(const Bytes& bytes, const Endpoint& source) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    ASSERT_NE(mbuf, nullptr);
    auto* at =
        reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes.size())));
    ASSERT_NE(at, nullptr);
    std::copy(bytes.begin(), bytes.end(), at);
    stage::Datagram& datagram = burst_.datagrams[burst_.datagram_count++];
    datagram = {};
    datagram.mbuf = mbuf;
    datagram.data = at;
    datagram.bytes = static_cast<uint16_t>(bytes.size());
    datagram.source = source;
  }
  // One datagram alone: kept or the reason.
  Drop fate(const Bytes& bytes, const Endpoint& source) {
    burst_.release();
    std::array<uint64_t, stage::drop_count> before;
    for (size_t i = 0; i < stage::drop_count; ++i) before[i] = drops_.read(static_cast<Drop>(i));
    put(bytes, source);
    process(burst_, *table_, sink_);
    if (burst_.datagram_count == 1) return Drop::count_;
    for (size_t i = 0; i < stage::drop_count; ++i) {
      if (drops_.read(static_cast<Drop>(i)) != before[i]) return static_cast<Drop>(i);
    }
    return stage::handed_over;
  }
  uint64_t dropped() const {
    uint64_t sum = 0;
    for (size_t i = 0; i < stage::drop_count; ++i) sum += drops_.read(static_cast<Drop>(i));
    return sum;
  }

  static inline rte_mempool* pool_ = nullptr;
  unsigned available_ = 0;
  uint64_t frames_made_ = 0;
  stage::Burst::Drops drops_;
  stage::Burst burst_{drops_};
  std::unique_ptr<LaneTable> table_ = std::make_unique<LaneTable>();
  std::vector<std::unique_ptr<RxLane>> lanes_;
  Sink sink_;
};

TEST_F(Stage, AdmitsDataOfSeveralLanesAndFillsItsFields) {
  for (uint64_t counter = 1; counter <= 5; ++counter) {
    for (const auto& lane : lanes_) put(data(*lane, counter, {10, 0, 300}, 7), lane->source);
  }
  process(burst_, *table_, sink_);
  ASSERT_EQ(burst_.datagram_count, 15u);
  EXPECT_EQ(burst_.datagrams[4].peer, 11u);
  EXPECT_EQ(burst_.datagrams[4].frame_count, 3);
  EXPECT_EQ(burst_.datagrams[4].hops, 7);
  EXPECT_EQ(dropped(), 0u);
  EXPECT_EQ(lanes_[1]->datagrams.read(), 5u);
  EXPECT_EQ(lanes_[1]->bytes.read(), 5 * (16 + 3 * 56 + 310u));
  EXPECT_EQ(lanes_[1]->last_heard_ns.load(), now);
  EXPECT_EQ(lanes_[1]->lost.read(), 0u);
}

// The lanes of a link share it; hellos and control messages are not held to it.
TEST_F(Stage, ALinkDeliversFramesWithinItsBudget) {
  const auto budget = std::make_shared<rate::Bucket>();
  budget->configure(1'000'000, 8'000);
  lanes_[1]->budget = lanes_[2]->budget = budget;  // bulk: 7,000 bytes of the 8,000
  const auto send = [&](unsigned lane, uint64_t counter) {
    return fate(data(*lanes_[lane], counter, {928}), lanes_[lane]->source);  // 1,000 bytes
  };
  uint64_t counter = 0;
  for (unsigned i = 0; i < 7; ++i) EXPECT_EQ(send(1 + i % 2, ++counter), Drop::count_) << i;
  EXPECT_EQ(send(1, ++counter), Drop::link_budget);
  EXPECT_EQ(send(2, counter), Drop::link_budget);
  EXPECT_EQ(fate(control(*lanes_[1], ++counter), lanes_[1]->source), stage::handed_over);
  EXPECT_EQ(send(0, counter), Drop::count_);  // another link
  // It was heard, whatever became of it; so it is neither lost nor new when it comes again.
  EXPECT_EQ(lanes_[1]->lost.read() + lanes_[2]->lost.read(), 7u);
  EXPECT_EQ(send(2, counter - 1), Drop::replayed);
  burst_.now_ns += 2 * ns_per_ms;  // 2,000 bytes
  EXPECT_EQ(send(1, ++counter), Drop::count_);
  EXPECT_EQ(send(2, counter), Drop::count_);
  EXPECT_EQ(send(2, counter + 1), Drop::link_budget);
}

TEST_F(Stage, NamesEachFault) {
  const RxLane& lane = *lanes_[0];
  const Bytes good = data(lane, 1, {100, 20});
  Bytes bad = good;
  bad.resize(15);
  EXPECT_EQ(fate(bad, lane.source), Drop::truncated);
  bad = good;
  bad[0] = 2;
  EXPECT_EQ(fate(bad, lane.source), Drop::bad_version);
  EXPECT_EQ(fate(data(lane, 1, {1}, 33), lane.source), Drop::too_many_hops);
  bad = good;
  bad[4] ^= 1;
  EXPECT_EQ(fate(bad, lane.source), Drop::unknown_link);
  EXPECT_EQ(fate(good, lanes_[1]->source), Drop::bad_source);
  Endpoint other_port = lane.source;
  ++other_port.port;
  EXPECT_EQ(fate(good, other_port), Drop::bad_source);
  bad = good;
  bad[2] = 3;  // a frame more than there is
  EXPECT_EQ(fate(bad, lane.source), Drop::truncated);
  bad[2] = 1;  // one less
  EXPECT_EQ(fate(bad, lane.source), Drop::trailing);
  EXPECT_EQ(lane.bad_source.read(), 2u);
  EXPECT_EQ(lane.datagrams.read(), 0u);
  EXPECT_EQ(fate(good, lane.source), Drop::count_);
}

TEST_F(Stage, TakesHopsUpToThirtyTwo) {
  EXPECT_EQ(fate(data(*lanes_[0], 1, {1}, 32), lanes_[0]->source), Drop::count_);
}

// Every bit that the check covers; whatever fails leaves the lane as it was.
TEST_F(Stage, AFlippedBitFailsTheCheckAndChangesNothing) {
  RxLane& lane = *lanes_[0];
  const Bytes good = data(lane, 3, {40});
  for (size_t bit = 0; bit < 8 * (16 + 56); ++bit) {
    const size_t byte = bit / 8;
    const bool in_tag = byte >= 16 + 40;
    const bool checked = byte == 1 || byte == 3 || (byte >= 8 && byte < 16) || in_tag;
    if (!checked) continue;
    Bytes bad = good;
    bad[byte] = static_cast<uint8_t>(bad[byte] ^ (1u << (bit % 8)));
    const Drop reason = fate(bad, lane.source);
    ASSERT_TRUE(reason == Drop::bad_check || reason == Drop::too_many_hops) << byte;
  }
  EXPECT_EQ(lane.replay.highest(), 0u);
  EXPECT_EQ(lane.last_heard_ns.load(), 0u);
  EXPECT_EQ(lane.datagrams.read() + lane.lost.read(), 0u);
  EXPECT_GT(lane.bad_check.read(), 100u);
  EXPECT_EQ(fate(good, lane.source), Drop::count_);
}

TEST_F(Stage, DropsReplaysAcrossAndInsideBursts) {
  RxLane& lane = *lanes_[0];
  const Bytes first = data(lane, 5000, {8});
  EXPECT_EQ(fate(first, lane.source), Drop::count_);
  EXPECT_EQ(fate(first, lane.source), Drop::replayed);
  EXPECT_EQ(fate(data(lane, 5000 - 4096, {8}), lane.source), Drop::too_old);
  EXPECT_EQ(fate(data(lane, 5000 - 4095, {8}), lane.source), Drop::count_);
  burst_.release();
  const Bytes second = data(lane, 5001, {8});
  for (int i = 0; i < 3; ++i) put(second, lane.source);
  process(burst_, *table_, sink_);
  EXPECT_EQ(burst_.datagram_count, 1u);
  EXPECT_EQ(drops_.read(Drop::replayed), 3u);
  EXPECT_EQ(lane.replayed.read(), 4u);
}

TEST_F(Stage, CountsLossAndTakesBackLateArrivals) {
  RxLane& lane = *lanes_[0];
  for (const uint64_t counter : {1u, 2u, 6u, 4u, 10u}) {
    ASSERT_EQ(fate(data(lane, counter, {8}), lane.source), Drop::count_);
  }
  EXPECT_EQ(lane.lost.read(), 5u);  // 3, 5, 7, 8, 9
  EXPECT_EQ(lane.datagrams.read(), 5u);
}

// The link seq wraps; a datagram of one round before does not check.
TEST_F(Stage, FollowsTheCounterBeyondThirtyTwoBits) {
  RxLane& lane = *lanes_[0];
  constexpr uint64_t span = uint64_t{1} << 32;
  const Bytes recorded = data(lane, 2, {8});
  lane.replay.accept(span - 2);
  ASSERT_EQ(fate(data(lane, span - 1, {8}), lane.source), Drop::count_);
  ASSERT_EQ(fate(data(lane, span + 1, {8}), lane.source), Drop::count_);
  EXPECT_EQ(fate(recorded, lane.source), Drop::bad_check);
  EXPECT_EQ(fate(data(lane, span + 2, {8}), lane.source), Drop::count_);
}

TEST_F(Stage, LanesWithoutCheckTakeAnyCheckButKeepTheRest) {
  RxLane& lane = *lanes_[0];
  lane.check_off = true;
  Bytes free = data(lane, 1, {8});
  store_be32(free.data() + 12, 0);
  EXPECT_EQ(fate(free, lane.source), Drop::count_);
  EXPECT_EQ(fate(free, lane.source), Drop::replayed);
}

TEST_F(Stage, ControlAndHellosLeaveThroughTheSink) {
  RxLane& lane = *lanes_[2];
  put(control(lane, 1), lane.source);
  put(data(lane, 2, {8}), lane.source);
  put(hello(), Endpoint{});
  process(burst_, *table_, sink_);
  ASSERT_EQ(burst_.datagram_count, 1u);
  EXPECT_EQ(burst_.datagrams[0].frame_count, 1);
  ASSERT_EQ(sink_.taken.size(), 2u);
  EXPECT_EQ(sink_.taken[0].bytes, control(lane, 1));
  EXPECT_EQ(sink_.taken[0].lane, &lane);
  EXPECT_EQ(sink_.taken[1].lane, nullptr);
  EXPECT_EQ(dropped(), 0u);
  Bytes bad = control(lane, 3);
  bad.back() ^= 1;
  EXPECT_EQ(fate(bad, lane.source), Drop::bad_check);
  sink_.room = 0;
  EXPECT_EQ(fate(control(lane, 3), lane.source), Drop::control_full);
  EXPECT_EQ(fate(hello(), Endpoint{}), Drop::hello_limit);
}

// Truncation at every byte, from an exact-size mbuf copy.
TEST_F(Stage, NoTruncationPasses) {
  RxLane& lane = *lanes_[0];
  const Bytes whole = data(lane, 1, {20, 30});
  const Bytes sealed = control(lane, 1);
  for (size_t n = 0; n < whole.size(); ++n) {
    const Drop reason =
        fate(Bytes(whole.begin(), whole.begin() + static_cast<long>(n)), lane.source);
    ASSERT_EQ(reason, Drop::truncated) << n;
  }
  for (size_t n = 0; n < sealed.size(); ++n) {
    const Drop reason =
        fate(Bytes(sealed.begin(), sealed.begin() + static_cast<long>(n)), lane.source);
    ASSERT_TRUE(reason == Drop::truncated || reason == Drop::bad_check) << n;
  }
  EXPECT_TRUE(sink_.taken.empty());
}

TEST_F(Stage, AFullBurstOfMixedFatesAddsUp) {
  for (uint64_t i = 0; i < stage::datagrams_max; ++i) {
    const RxLane& lane = *lanes_[i % 3];
    Bytes bytes = i % 5 == 0 ? control(lane, i + 1) : data(lane, i + 1, {8, 9});
    if (i % 7 == 0) bytes[13] ^= 1;
    put(bytes, lane.source);
  }
  process(burst_, *table_, sink_);
  EXPECT_EQ(drops_.read(Drop::bad_check), 10u);
  EXPECT_EQ(sink_.taken.size(), 11u);
  EXPECT_EQ(burst_.datagram_count + sink_.taken.size() + dropped(), stage::datagrams_max);
}

}  // namespace
}  // namespace chaincast::hop
