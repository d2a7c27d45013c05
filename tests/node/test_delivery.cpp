// SPDX-License-Identifier: BSD-3-Clause
#include "node/delivery.hpp"

#include <gtest/gtest.h>

namespace chaincast::node {
namespace {

constexpr StreamId stream_a{1};
constexpr StreamId stream_b{2};
constexpr size_t quarter_bytes = subscription_queue_bytes_max / 4;

// Notes objects as "first+bytes" and losses as "first-last", a stream's number before each.
class Listener final : public cli::Subscriber {
 public:
  bool on_object(const cli::Delivered& delivered) override {
    if (room == 0) return false;
    --room;
    note(delivered.stream, delivered.first_seq, "+", delivered.object.size());
    return true;
  }
  void on_lost(StreamId stream, Seq first, Seq last) override { note(stream, first, "-", last); }
  void on_origin(StreamId stream, bool is_lost) override {
    heard.push_back(std::to_string(stream.value) + (is_lost ? ":lost" : ":back"));
  }
  void on_closed(const std::string& reason) override { heard.push_back(reason); }

  size_t room = 0;
  std::vector<std::string> heard;

 private:
  void note(StreamId stream, Seq first, const char* what, uint64_t second) {
    heard.push_back(std::to_string(stream.value) + ":" + std::to_string(first) + what +
                    std::to_string(second));
  }
};

using Heard = std::vector<std::string>;

class DeliveryTest : public testing::Test {
 protected:
  void SetUp() override {
    live_.add(1, &fast_);
    live_.add(2, &slow_);
    fast_.room = ~size_t{0};
  }
  static bool offer(Delivery& delivery, Seq seq, size_t bytes, StreamId stream = stream_a,
                    wire::Keeping keeping = wire::Keeping::live) {
    const Bytes object(bytes);
    return delivery.offer(stream, keeping, {.first_seq = seq, .last_seq = seq, .bytes = object});
  }
  static bool offer_kept(Delivery& delivery, Seq seq, size_t bytes) {
    return offer(delivery, seq, bytes, stream_a, wire::Keeping::kept);
  }

  Delivery live_;
  Listener fast_, slow_;
};

TEST_F(DeliveryTest, WhatWaitsGoesAheadOfWhatComes) {
  EXPECT_TRUE(offer(live_, 1, 10));
  live_.lost(stream_a, 2, 3);
  EXPECT_TRUE(offer(live_, 4, 10));
  slow_.room = 10;
  EXPECT_TRUE(offer(live_, 5, 10));
  EXPECT_EQ(slow_.heard, Heard{}) << "room, but not yet its turn";
  EXPECT_TRUE(live_.has_backlog());
  live_.flush();
  EXPECT_FALSE(live_.has_backlog());
  const Heard all = {"1:1+10", "1:2-3", "1:4+10", "1:5+10"};
  EXPECT_EQ(slow_.heard, all);
  EXPECT_EQ(fast_.heard, all);
  EXPECT_EQ(live_.counters().objects, 6u);
  EXPECT_EQ(live_.counters().bytes, 60u);
}

TEST_F(DeliveryTest, ASlowSubscriberOfALiveStreamLosesTheOldestAndIsTold) {
  for (Seq seq = 1; seq <= 6; ++seq) EXPECT_TRUE(offer(live_, seq, quarter_bytes));
  EXPECT_TRUE(offer(live_, 7, quarter_bytes, stream_b));
  EXPECT_EQ(live_.counters().dropped_objects, 3u);
  slow_.room = 10;
  live_.flush();
  const std::string bytes = "+" + std::to_string(quarter_bytes);
  EXPECT_EQ(slow_.heard,
            (Heard{"1:1-3", "1:4" + bytes, "1:5" + bytes, "1:6" + bytes, "2:7" + bytes}));
  EXPECT_EQ(fast_.heard.size(), 7u) << "at nobody else's cost";
  EXPECT_TRUE(offer(live_, 8, 1));
  EXPECT_EQ(slow_.heard.back(), "1:8+1");
}

TEST_F(DeliveryTest, NoticesOfDifferentStreamsStayApart) {
  for (Seq seq = 1; seq <= 6; ++seq) {
    EXPECT_TRUE(offer(live_, seq, quarter_bytes, seq == 1 ? stream_b : stream_a));
  }
  slow_.room = 10;
  live_.flush();
  EXPECT_EQ(slow_.heard[0], "2:1-1");
  EXPECT_EQ(slow_.heard[1], "1:2-2");
}

TEST_F(DeliveryTest, AnOriginsLossIsToldBehindTheObjectsThatCameBefore) {
  EXPECT_TRUE(offer(live_, 1, 10));
  live_.origin(stream_a, true);
  EXPECT_TRUE(offer(live_, 2, 10));
  slow_.room = 10;
  live_.flush();
  const Heard all = {"1:1+10", "1:lost", "1:2+10"};
  EXPECT_EQ(slow_.heard, all);
  EXPECT_EQ(fast_.heard, all);
}

TEST_F(DeliveryTest, OfAnOriginOnlyTheNewestWaits) {
  EXPECT_TRUE(offer(live_, 1, 10));
  for (unsigned i = 0; i < 1000; ++i) {
    live_.origin(stream_a, true);
    live_.origin(stream_b, true);
    live_.origin(stream_a, false);
  }
  live_.lost(stream_a, 2, 2);
  slow_.room = 10;
  live_.flush();
  EXPECT_EQ(slow_.heard, (Heard{"1:1+10", "2:lost", "1:back", "1:2-2"}));
}

TEST_F(DeliveryTest, WhoComesLateIsToldWhoseOriginIsLostAlready) {
  Listener late;
  late.room = 10;
  live_.add(3, &late, {stream_b});
  EXPECT_EQ(late.heard, Heard{}) << "never while it subscribes";
  EXPECT_TRUE(offer(live_, 1, 10));
  live_.flush();
  EXPECT_EQ(late.heard, (Heard{"2:lost", "1:1+10"}));
  EXPECT_EQ(fast_.heard, Heard{"1:1+10"});
}

TEST_F(DeliveryTest, ASlowSubscriberOfAKeptStreamHoldsItBackForAll) {
  Delivery kept;
  kept.add(1, &fast_);
  kept.add(2, &slow_);
  for (Seq seq = 1; seq <= 4; ++seq) EXPECT_TRUE(offer_kept(kept, seq, quarter_bytes));
  EXPECT_FALSE(offer_kept(kept, 5, 1));
  EXPECT_EQ(fast_.heard.size(), 4u) << "nobody gets it, or it would come twice";
  slow_.room = 1;
  kept.flush();
  EXPECT_TRUE(offer_kept(kept, 5, 1));
  EXPECT_EQ(kept.counters().dropped_objects, 0u);
  slow_.room = 10;
  kept.flush();
  EXPECT_EQ(slow_.heard, fast_.heard);
}

// A resource may have origins of either kind.
TEST_F(DeliveryTest, AKeptStreamLosesNothingToALiveOneBesideIt) {
  Delivery both;
  both.add(1, &slow_);
  EXPECT_TRUE(offer_kept(both, 1, quarter_bytes));
  EXPECT_TRUE(offer(both, 2, quarter_bytes, stream_b));
  for (Seq seq = 3; seq <= 4; ++seq) EXPECT_TRUE(offer_kept(both, seq, quarter_bytes));
  EXPECT_TRUE(offer(both, 5, quarter_bytes, stream_b)) << "in the place of 2";
  EXPECT_TRUE(offer(both, 6, 2 * quarter_bytes, stream_b)) << "no place, whatever else goes";
  EXPECT_EQ(both.counters().dropped_objects, 3u);
  slow_.room = 10;
  both.flush();
  const std::string bytes = "+" + std::to_string(quarter_bytes);
  EXPECT_EQ(slow_.heard, (Heard{"1:1" + bytes, "2:2-2", "1:3" + bytes, "1:4" + bytes, "2:5-6"}));
}

// Objects may be larger than a queue: an empty one takes any.
TEST_F(DeliveryTest, AnObjectLargerThanTheQueueIsNotHeldBackForEver) {
  Delivery kept;
  kept.add(1, &slow_);
  const size_t huge = subscription_queue_bytes_max + 1;
  EXPECT_TRUE(offer_kept(kept, 1, huge));
  EXPECT_FALSE(offer_kept(kept, 2, huge)) << "one at a time";
  slow_.room = 1;
  kept.flush();
  EXPECT_TRUE(offer_kept(kept, 2, huge));
  slow_.room = 1;
  kept.flush();
  const std::string bytes = "+" + std::to_string(huge);
  EXPECT_EQ(slow_.heard, (Heard{"1:1" + bytes, "1:2" + bytes}));
}

TEST_F(DeliveryTest, ClosingHandsOverWhatWaitsAndSaysWhy) {
  EXPECT_TRUE(offer(live_, 1, 10));
  slow_.room = 10;
  live_.close("removed");
  EXPECT_EQ(slow_.heard, (Heard{"1:1+10", "removed"}));
  EXPECT_EQ(live_.subscribers(), 0u);
}

TEST_F(DeliveryTest, ARemovedSubscriberHearsNothingMore) {
  EXPECT_TRUE(offer(live_, 1, 10));
  EXPECT_TRUE(live_.remove(2));
  EXPECT_FALSE(live_.remove(2));
  slow_.room = 10;
  live_.flush();
  EXPECT_TRUE(offer(live_, 2, 10));
  EXPECT_EQ(slow_.heard, Heard{});
  EXPECT_EQ(fast_.heard.size(), 2u);
}

}  // namespace
}  // namespace chaincast::node
