// SPDX-License-Identifier: BSD-3-Clause
#include "worker/worker.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include "support/eal.hpp"

namespace chaincast::worker {
namespace {

class CountingTask final : public Task {
 public:
  unsigned poll(TimeNs) noexcept override {
    polls.fetch_add(1);
    return work.load();
  }
  void tick(TimeNs) noexcept override { ticks.fetch_add(1); }
  std::atomic<uint64_t> polls{0}, ticks{0};
  std::atomic<unsigned> work{0};
};

TEST(Worker, TicksAfterSoManyTurnsOrSoMuchTime) {
  CountingTask task;
  Worker worker("w", task, Idle::poll);
  const TimeNs start = ns_per_s;
  worker.step(start);  // the first turn is due by time
  EXPECT_EQ(task.ticks.load(), 1u);
  for (unsigned i = 1; i < tick_turns; ++i) worker.step(start);
  EXPECT_EQ(task.ticks.load(), 1u);
  worker.step(start);
  EXPECT_EQ(task.ticks.load(), 2u);
  worker.step(start + tick_interval_ns);
  EXPECT_EQ(task.ticks.load(), 3u);
}

TEST(Worker, CountsOnlyBusyTurnsAsBusy) {
  CountingTask task;
  Worker worker("w", task, Idle::poll);
  worker.step(1);
  task.work = 5;
  EXPECT_EQ(worker.step(2), 5u);
  EXPECT_EQ(worker.counters().turns.read(), 2u);
  EXPECT_EQ(worker.counters().busy_turns.read(), 1u);
  EXPECT_EQ(worker.counters().packets.read(), 5u);
}

TEST(Worker, RunsOnItsCpuAloneAndStops) {
  const base::ThreadStarter& starter = test::ensure_eal();
  const auto threads = make_registered_threads(starter);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<size_t>(cpu), &starter.saved_affinity())) ++cpu;
  CountingTask task;
  Worker worker("w", task, Idle::sleep);
  ASSERT_TRUE(worker.start(*threads, cpu).ok());
  while (worker.thread_id() == 0 || task.ticks.load() == 0) sched_yield();
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(worker.thread_id(), sizeof allowed, &allowed), 0);
  EXPECT_EQ(CPU_COUNT(&allowed), 1);
  EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(cpu), &allowed));
  worker.stop();
  const uint64_t polls = task.polls.load();
  EXPECT_EQ(worker.thread_id(), 0);
  sched_yield();
  EXPECT_EQ(task.polls.load(), polls);
}

TEST(Worker, RefusesACpuThatTheProcessMayNotUse) {
  CountingTask task;
  Worker worker("w", task, Idle::sleep);
  const auto threads = make_registered_threads(test::ensure_eal());
  EXPECT_FALSE(worker.start(*threads, 4000).ok());
}

}  // namespace
}  // namespace chaincast::worker
