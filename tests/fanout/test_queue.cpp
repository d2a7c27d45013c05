// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/queue.hpp"

#include <deque>

#include "base/random.hpp"
#include "fanout/world.hpp"

namespace chaincast::test {
namespace {

// Packets stand for themselves: the ring never looks inside one.
rte_mbuf* token(uint64_t number) {
  return reinterpret_cast<rte_mbuf*>(number * 64);  // NOLINT: never dereferenced
}

TEST(PacketRing, BehavesAsABoundedQueue) {
  for (const unsigned limit : {1u, 3u, 64u, 100u}) {
    Random random(limit);
    fanout::PacketRing ring(limit);
    std::deque<uint64_t> model;
    uint64_t next = 1;
    for (unsigned step = 0; step < 20'000; ++step) {
      if (random.chance(0.5)) {
        ASSERT_EQ(ring.room(), limit - model.size());
        if (ring.room() == 0) continue;
        ring.push(token(next), static_cast<uint32_t>(next % 5), static_cast<uint32_t>(next % 1000));
        model.push_back(next++);
      } else {
        const auto head = ring.head(1 + static_cast<unsigned>(random.below(limit)));
        ASSERT_EQ(head.empty(), model.empty());
        const auto count = static_cast<unsigned>(random.below(head.size() + 1));
        fanout::PacketTotals expected;
        for (unsigned i = 0; i < count; ++i) {
          ASSERT_EQ(head[i], token(model.front()));
          expected.add(static_cast<uint32_t>(model.front() % 5),
                       static_cast<uint32_t>(model.front() % 1000));
          model.pop_front();
        }
        const fanout::PacketTotals popped = ring.pop(count);
        EXPECT_EQ(popped.packets, expected.packets);
        EXPECT_EQ(popped.frames, expected.frames);
        EXPECT_EQ(popped.copies, expected.copies);
        EXPECT_EQ(popped.bytes, expected.bytes);
      }
    }
    ring.pop(ring.size());
  }
}

// A port queue has one worker: lane 0 is worker 0's, lane 1 + w worker w's, on whatever queue.
TEST(PeerState, AQueueIsKeptByTheWorkerThatSendsOnIt) {
  for (unsigned workers = 1; workers <= 4; ++workers) {
    for (unsigned extra = 0; extra <= 2; ++extra) {
      port::Capabilities capabilities;
      capabilities.tx_queues = static_cast<uint16_t>(workers + extra);
      const auto queues = fanout::assign_tx_queues(capabilities, workers);
      EXPECT_EQ(fanout::tx_queue_worker(capabilities, workers, queues[0]), 0u);
      for (unsigned w = 0; w < workers; ++w) {
        EXPECT_EQ(fanout::tx_queue_worker(capabilities, workers, queues[1 + w]), w)
            << workers << " workers, " << extra << " more queues";
      }
    }
  }
}

TEST(PeerState, GivesLaneZeroAQueueOfItsOwnWhereThereIsOne) {
  port::Capabilities capabilities;
  capabilities.tx_queues = 3;
  EXPECT_EQ(fanout::assign_tx_queues(capabilities, 2), (std::vector<uint16_t>{0, 1, 2}));
  capabilities.tx_queues = 2;
  EXPECT_EQ(fanout::assign_tx_queues(capabilities, 2), (std::vector<uint16_t>{0, 0, 1}));
  capabilities.tx_queues = 1;
  EXPECT_EQ(fanout::assign_tx_queues(capabilities, 1), (std::vector<uint16_t>{0, 0}));
}

}  // namespace
}  // namespace chaincast::test
