// SPDX-License-Identifier: BSD-3-Clause
#include "worker/worker.hpp"

#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "rcu/rcu.hpp"

namespace chaincast::worker {

namespace {

void sleep_ns(TimeNs duration_ns) noexcept {
  const timespec t{0, static_cast<long>(duration_ns)};
  nanosleep(&t, nullptr);
}

}  // namespace

Worker::Worker(std::string name, Task& task, Idle idle)
    : name_(std::move(name)), task_(task), idle_(idle) {}

Worker::~Worker() {
  stop();
}

Status Worker::start(Threads& threads, int cpu) {
  CC_ASSERT(run_ == nullptr);
  cpu_ = cpu;
  auto started = threads.start(name_, cpu, [this](std::stop_token stop) { run(stop); });
  if (!started) return started.error();
  run_ = std::move(started).value();
  return {};
}

void Worker::stop() {
  run_.reset();
}

unsigned Worker::step(TimeNs now_ns) noexcept {
  const unsigned moved = task_.poll(now_ns);
  counters_.turns.add();
  if (moved > 0) {
    counters_.busy_turns.add();
    counters_.packets.add(moved);
  }
  if (++turns_since_tick_ >= tick_turns || now_ns - last_tick_ns_ >= tick_interval_ns) {
    turns_since_tick_ = 0;
    last_tick_ns_ = now_ns;
    counters_.ticks.add();
    task_.tick(now_ns);
  }
  return moved;
}

void Worker::rest(TimeNs idle_ns) noexcept {
  // 1, 10, 100 us: the longer the silence, the longer the nap (idle_ns counts from the last
  // packet).
  const TimeNs nap_ns = idle_ns < 2 * idle_spin_ns    ? ns_per_us
                        : idle_ns < 20 * idle_spin_ns ? 10 * ns_per_us
                                                      : 100 * ns_per_us;
  counters_.sleeps.add();
  counters_.slept_ns.add(nap_ns);
  sleep_ns(nap_ns);
}

void Worker::run(std::stop_token stop) noexcept {
  // Without this a 1 us sleep takes about 60 us (default timer slack).
  prctl(PR_SET_TIMERSLACK, 1);
  thread_id_.store(gettid(), std::memory_order_release);
  MonotonicClock clock;
  {
    rcu::Reader reader;
    TimeNs now = clock.now_ns();
    TimeNs last_work = now;
    while (!stop.stop_requested()) {
      const uint64_t ticks = counters_.ticks.read();
      const unsigned moved = step(now);
      const TimeNs after = clock.now_ns();
      counters_.turn_max_ns.raise_to(after - now);
      now = after;
      if (counters_.ticks.read() != ticks) reader.quiescent();
      if (moved > 0) {
        last_work = now;
      } else if (idle() == Idle::sleep && now - last_work > idle_spin_ns) {
        reader.offline();
        rest(now - last_work);
        reader.online();
        now = clock.now_ns();
      }
    }
  }
  thread_id_.store(0, std::memory_order_release);
}

}  // namespace chaincast::worker
