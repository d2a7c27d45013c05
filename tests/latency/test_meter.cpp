// SPDX-License-Identifier: BSD-3-Clause
#include "latency/meter.hpp"

#include <gtest/gtest.h>

#include "support/observed_rig.hpp"

namespace chaincast::latency {
namespace {

using stage::Point;

// 64 ns later with every look: a bucket's edge, so that quantiles are exact.
class TickingClock final : public Clock {
 public:
  TimeNs now_ns() const noexcept override { return now_ns_ += 64; }

 private:
  mutable TimeNs now_ns_ = ns_per_s;
};

class MeterTest : public testing::Test {
 protected:
  MeterTest() { meter().add_peer(1, t.rig.retirer); }
  Meter& meter() { return *t.lookers[0]; }

  TickingClock clock;
  test::ObservedRig<Meter> t{{}, [this](unsigned) { return std::make_shared<Meter>(clock); }};
};

TEST_F(MeterTest, EveryStageOfABurstIsTimedOnce) {
  for (unsigned turn = 0; turn < 3; ++turn) {
    for (unsigned i = 0; i < 4; ++i) t.put({t.next_frame(), t.next_frame()});
    t.rig.turn();
  }
  for (const Point point :
       {Point::hop, Point::classify, Point::probe, Point::verify, Point::commit}) {
    SCOPED_TRACE(std::string(stage::point_text(point)));
    const StageTimes& times = meter().stage(point);
    EXPECT_EQ(times.burst.count(), 3u);
    EXPECT_EQ(times.burst.max(), 64u);
    EXPECT_EQ(times.item.max(), point == Point::hop ? 64u / 4 : 64u / 8);
  }
  EXPECT_EQ(meter().stage(Point::fanout).burst.count(), 3u);
  EXPECT_GT(meter().stage(Point::fanout).burst.max(), 64u) << "the calls of the port are in it";
  EXPECT_EQ(meter().stage(Point::tx).burst.max(), 64u);
  EXPECT_EQ(meter().stage(Point::rx).burst.count(), 0u);
}

TEST_F(MeterTest, ADirectCopyIsTimedFromItsArrival) {
  t.put({t.next_frame(1100)});
  t.put({t.next_frame(1100)});
  t.rig.turn();
  const PeerTimes* const times = meter().peer(1);
  ASSERT_NE(times, nullptr);
  EXPECT_EQ(times->direct.count(), 2u);
  // hop, classify, probe, verify, commit; offered and taken; and the look at the end.
  EXPECT_EQ(times->direct.max(), 8u * 64u);
  EXPECT_EQ(times->queued.count(), 0u);
  EXPECT_EQ(meter().peer(0), nullptr) << "nobody has said that there is such a peer";
}

// The burst's own time is the rig's, a millisecond a turn: the meter's clock is set to it.
class RigClock final : public Clock {
 public:
  explicit RigClock(const TimeNs& now_ns) : now_ns_(now_ns) {}
  TimeNs now_ns() const noexcept override { return now_ns_; }

 private:
  const TimeNs& now_ns_;
};

TEST(Meter, AQueuedCopyIsTimedFromTheTurnThatItCameWith) {
  TimeNs now_ns = 0;
  RigClock clock(now_ns);
  test::ObservedRig<Meter> t({}, [&](unsigned) { return std::make_shared<Meter>(clock); });
  Meter& meter = *t.lookers[0];
  meter.add_peer(1, t.rig.retirer);
  const auto turn = [&] {
    now_ns = t.rig.now_ns + ns_per_ms;
    t.rig.turn();
  };
  t.rig.port.room = 1;
  for (unsigned i = 0; i < 3; ++i) t.put({t.next_frame(1100)});
  turn();
  t.rig.port.room = 0;
  for (unsigned i = 0; i < 4; ++i) turn();
  t.rig.port.room = ~0u;
  turn();
  ASSERT_NE(meter.peer(1), nullptr);
  EXPECT_EQ(meter.peer(1)->direct.count(), 1u);
  EXPECT_EQ(meter.peer(1)->queued.count(), 2u);
  EXPECT_EQ(meter.peer(1)->queued.max(), 5 * ns_per_ms);
  meter.remove_peer(1, t.rig.retirer);
  EXPECT_EQ(meter.peer(1), nullptr);
}

}  // namespace
}  // namespace chaincast::latency
