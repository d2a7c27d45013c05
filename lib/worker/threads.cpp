// SPDX-License-Identifier: BSD-3-Clause
#include "worker/threads.hpp"

#include <rte_lcore.h>

namespace chaincast::worker {

namespace {

class RegisteredRun final : public Run {
 public:
  explicit RegisteredRun(std::jthread thread) : thread_(std::move(thread)) {}

 private:
  std::jthread thread_;
};

class RegisteredThreads final : public Threads {
 public:
  explicit RegisteredThreads(const base::ThreadStarter& starter) : starter_(starter) {}

  Result<std::unique_ptr<Run>> start(const std::string& name, int cpu, Body body) override {
    auto registered = [body = std::move(body)](std::stop_token stop) {
      rte_thread_register();
      body(stop);
      rte_thread_unregister();
    };
    if (cpu < 0) return as_run(starter_.start(name, std::move(registered)));
    auto started = starter_.start_pinned(name, cpu, std::move(registered));
    if (!started) return started.error();
    return as_run(std::move(started).value());
  }

 private:
  static std::unique_ptr<Run> as_run(std::jthread thread) {
    return std::make_unique<RegisteredRun>(std::move(thread));
  }

  const base::ThreadStarter& starter_;
};

}  // namespace

std::unique_ptr<Threads> make_registered_threads(const base::ThreadStarter& starter) {
  return std::make_unique<RegisteredThreads>(starter);
}

}  // namespace chaincast::worker
