// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "stats/counter.hpp"
#include "worker/threads.hpp"

// One poll-mode worker: polls its task, runs the housekeeping tick, sleeps when idle.
namespace chaincast::worker {

enum class Idle : uint8_t {
  sleep,  // spin 50 us, then sleep 1, 10, 100 us: labs, small boxes, shared cores
  poll,   // never sleep: a dedicated core, lowest latency
};

// What a worker does. Both run on the worker's thread only.
class Task {
 public:
  virtual ~Task() = default;
  // One turn of the line. Returns the packets moved; 0 means idle.
  virtual unsigned poll(TimeNs now_ns) noexcept = 0;
  // Bounded housekeeping, every tick_turns turns or tick_interval_ns, whichever is first.
  virtual void tick(TimeNs now_ns) noexcept = 0;
};

inline constexpr unsigned tick_turns = 256;
inline constexpr TimeNs tick_interval_ns = 100 * ns_per_us;
inline constexpr TimeNs idle_spin_ns = 50 * ns_per_us;

// Counters have one writer: the worker.
struct WorkerCounters {
  stats::Counter turns, busy_turns, packets, sleeps, slept_ns, ticks;
  stats::Counter turn_max_ns;  // longest turn so far
};

// Runs one Task, on a thread of its own (start) or stepped by the caller (step).
class Worker {
 public:
  Worker(std::string name, Task& task, Idle idle);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Starts on a thread of `threads`, as Threads::start says, and registers it with RCU.
  Status start(Threads& threads, int cpu);
  // Asks it to end and waits for that. Idempotent.
  void stop();

  // One turn and, when due, one tick, on the calling thread (must be an rcu::Reader or single).
  unsigned step(TimeNs now_ns) noexcept;

  void set_idle(Idle idle) noexcept { idle_.store(idle, std::memory_order_relaxed); }
  Idle idle() const noexcept { return idle_.load(std::memory_order_relaxed); }
  const WorkerCounters& counters() const { return counters_; }
  const std::string& name() const { return name_; }
  int cpu() const { return cpu_; }
  // Kernel thread id, for reading its allowed cpus; 0 while not running.
  int thread_id() const noexcept { return thread_id_.load(std::memory_order_acquire); }

 private:
  void run(std::stop_token stop) noexcept;
  void rest(TimeNs idle_ns) noexcept;

  const std::string name_;
  Task& task_;
  std::atomic<Idle> idle_;
  int cpu_ = -1;
  std::atomic<int> thread_id_{0};
  WorkerCounters counters_;
  unsigned turns_since_tick_ = 0;
  TimeNs last_tick_ns_ = 0;
  std::unique_ptr<Run> run_;
};

}  // namespace chaincast::worker
