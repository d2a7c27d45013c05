// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "support/observed_rig.hpp"

namespace chaincast::trace {
namespace {

using stage::Drop;
using stage::Point;

// Later with every look, so that the order of the stages is the order of their times.
class TickingClock final : public Clock {
 public:
  TimeNs now_ns() const noexcept override { return now_ns_ += 10; }

 private:
  mutable TimeNs now_ns_ = ns_per_s;
};

class TraceTest : public testing::Test {
 protected:
  std::vector<Entry> take() {
    std::vector<Entry> out;
    Entry entry;
    for (const auto& tracer : t.lookers) {
      while (tracer->take_finished(entry)) out.push_back(entry);
    }
    return out;
  }
  static uint32_t passed(const Entry& entry, Point point) {
    return entry.passed_ns[static_cast<size_t>(point)];
  }

  TickingClock clock;
  Budget budget{frames_max};
  test::ObservedRig<Tracer> t{
      {}, [this](unsigned worker) { return std::make_shared<Tracer>(worker, budget, clock); }};
};

TEST_F(TraceTest, AGoodFramePassesEveryStageInOrder) {
  const Bytes frame = t.next_frame();
  const Bytes datagram = t.put({frame});
  t.rig.turn();
  const std::vector<Entry> entries = take();
  ASSERT_EQ(entries.size(), 1u);
  const Entry& entry = entries[0];
  EXPECT_EQ(entry.stream, t.stream.descriptor.id);
  EXPECT_EQ(entry.seq, 0u);
  EXPECT_EQ(entry.peer, 0u);
  EXPECT_EQ(entry.source, t.rig.source_of(0, 1));
  EXPECT_EQ(entry.link_id, load_be32(&datagram[4]));
  EXPECT_EQ(entry.link_seq, load_be32(&datagram[8]));
  EXPECT_EQ(entry.length, frame.size());
  EXPECT_EQ(entry.frames, 1u);
  EXPECT_FALSE(entry.is_own);
  EXPECT_FALSE(entry.is_datagram);
  EXPECT_EQ(entry.last, Point::fanout);
  EXPECT_EQ(entry.reason, Drop::count_);
  EXPECT_EQ(entry.copies, 1u);
  EXPECT_EQ(entry.lost_copies, 0u);
  uint32_t before = 0;
  for (const Point point :
       {Point::hop, Point::classify, Point::probe, Point::verify, Point::commit, Point::fanout}) {
    EXPECT_GT(passed(entry, point), before) << stage::point_text(point);
    before = passed(entry, point);
  }
}

TEST_F(TraceTest, ALostFrameSaysWhereAndWhy) {
  const Bytes first = t.next_frame(), second = t.next_frame();
  Bytes forged = second, foreign = second;
  forged.back() ^= 1;
  foreign[wire::frame_offset_stream] ^= 1;
  const Bytes datagram = t.put({first});
  t.rig.turn();
  t.put({first, forged, foreign, second});
  t.rig.put(0, 1, datagram);
  t.rig.turn();
  t.rig.plane.is_forwarding = false;
  t.put({t.next_frame()});
  t.rig.turn();
  std::map<Drop, Entry> lost;
  unsigned good = 0;
  for (const Entry& entry : take()) {
    if (entry.reason == Drop::count_) {
      ++good;
    } else {
      EXPECT_TRUE(lost.emplace(entry.reason, entry).second);
    }
  }
  EXPECT_EQ(good, 2u);
  const std::map<Drop, Point> wanted = {{Drop::duplicate, Point::probe},
                                        {Drop::tag, Point::verify},
                                        {Drop::unknown_stream, Point::classify},
                                        {Drop::replayed, Point::hop},
                                        {Drop::stopped, Point::rx}};
  ASSERT_EQ(lost.size(), wanted.size());
  for (const auto& [reason, point] : wanted) {
    SCOPED_TRACE(std::string(stage::drop_text(reason).name));
    ASSERT_TRUE(lost.contains(reason));
    const Entry& entry = lost[reason];
    EXPECT_EQ(entry.last, point);
    EXPECT_EQ(passed(entry, point), 0u) << "it did not pass the stage that dropped it";
    EXPECT_EQ(entry.copies, 0u);
    EXPECT_EQ(entry.is_datagram, point <= Point::hop);
  }
  EXPECT_EQ(lost[Drop::tag].seq, 1u);
  EXPECT_GT(passed(lost[Drop::tag], Point::probe), 0u);
  EXPECT_EQ(lost[Drop::replayed].link_seq, load_be32(&datagram[8]));
}

TEST_F(TraceTest, RandomTrafficAddsUpToTheCounters) {
  std::vector<Bytes> known;
  uint64_t frames = 0;
  for (unsigned round = 0; round < 20; ++round) {
    for (uint64_t d = t.random.below(40); d > 0; --d) {
      std::vector<Bytes> list;
      for (uint64_t f = 1 + t.random.below(9); f > 0; --f) {
        const bool is_old = !known.empty() && t.random.below(3) == 0;
        list.push_back(is_old ? known[t.random.below(known.size())] : t.next_frame(10));
        if (!is_old) known.push_back(list.back());
        if (t.random.below(8) == 0) list.back().back() ^= 1;
      }
      frames += list.size();
      t.put(list);
    }
    t.rig.turn();
  }
  ASSERT_LE(frames, frames_max);
  std::map<Drop, uint64_t> counts;
  const std::vector<Entry> entries = take();
  EXPECT_EQ(entries.size(), frames);
  for (const Entry& entry : entries) ++counts[entry.reason];
  for (const Drop reason : {Drop::duplicate, Drop::tag, Drop::conflict}) {
    EXPECT_EQ(counts[reason], t.rig.dropped(reason)) << stage::drop_text(reason).name;
  }
  EXPECT_EQ(counts[Drop::count_], frames - t.rig.dropped_total());
  EXPECT_GT(counts[Drop::duplicate], 10u);
  EXPECT_GT(counts[Drop::tag], 10u);
}

TEST_F(TraceTest, ACopyThatIsLostIsSaid) {
  t.put({t.next_frame()}, wire::hops_max);
  t.rig.turn();
  const std::vector<Entry> entries = take();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].last, Point::fanout);
  EXPECT_EQ(entries[0].copies, 0u);
  EXPECT_EQ(entries[0].lost_copies, 1u);
  EXPECT_EQ(entries[0].copy_reason, Drop::too_many_hops);
  EXPECT_EQ(t.rig.dropped(Drop::too_many_hops), 1u);
}

TEST_F(TraceTest, AnOwnFrameBeginsAtCommit) {
  const Bytes frame = t.next_frame();
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(t.rig.port.pools[0]);
  char* const data =
      rte_pktmbuf_append(mbuf, static_cast<uint16_t>(wire::hop_header_bytes + frame.size()));
  std::fill_n(data, wire::hop_header_bytes, char{0});
  std::copy(frame.begin(), frame.end(), data + wire::hop_header_bytes);
  node::Command command;
  command.kind = node::Command::Kind::own;
  command.mbuf = mbuf;
  command.stream = t.stream.descriptor.id;
  ASSERT_TRUE(t.rig.plane.mailboxes[0]->commands.push(std::move(command)));
  t.rig.turn();
  const std::vector<Entry> entries = take();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(entries[0].is_own);
  EXPECT_EQ(entries[0].stream, t.stream.descriptor.id);
  EXPECT_EQ(passed(entries[0], Point::verify), 0u);
  EXPECT_GT(passed(entries[0], Point::fanout), 0u);
  EXPECT_EQ(entries[0].copies, 1u);
}

TEST(TraceBudget, IsSharedAndNeverExceeded) {
  TickingClock clock;
  Budget budget(5);
  test::ObservedRig<Tracer> t(
      {}, [&](unsigned worker) { return std::make_shared<Tracer>(worker, budget, clock); });
  for (unsigned i = 0; i < 4; ++i) t.put({t.next_frame(), t.next_frame()});
  t.rig.turn();
  EXPECT_EQ(budget.left(), 0u);
  Entry entry;
  std::vector<Seq> seqs;
  while (t.lookers[0]->take_finished(entry)) seqs.push_back(entry.seq);
  EXPECT_EQ(seqs, (std::vector<Seq>{0, 1, 2, 3, 4}));
  EXPECT_EQ(t.rig.take_frames(1).size(), 8u) << "traffic goes on";
}

}  // namespace
}  // namespace chaincast::trace
