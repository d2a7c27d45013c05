// SPDX-License-Identifier: BSD-3-Clause
#include "base/thread.hpp"

#include <fmt/core.h>
#include <pthread.h>

#include "base/assert.hpp"

namespace chaincast::base {

namespace {

void settle(const std::string& name, const cpu_set_t& cpus) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

}  // namespace

ThreadStarter::ThreadStarter() {
  CPU_ZERO(&saved_);
  CC_ASSERT(sched_getaffinity(0, sizeof saved_, &saved_) == 0);
  service_ = saved_;
}

std::jthread ThreadStarter::start(const std::string& name,
                                  std::function<void(std::stop_token)> body) const {
  return std::jthread([name, cpus = service_, body = std::move(body)](std::stop_token stop) {
    settle(name, cpus);
    body(stop);
  });
}

Result<std::jthread> ThreadStarter::start_pinned(const std::string& name, int cpu,
                                                 std::function<void(std::stop_token)> body) const {
  if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(static_cast<size_t>(cpu), &saved_)) {
    return error(ErrorCode::refused,
                 fmt::format("cpu {} of thread {}: not among the cpus this process may use; "
                             "choose another with [node] worker_cpus, or widen taskset/cpuset",
                             cpu, name));
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu), &one);
  return std::jthread([name, one, body = std::move(body)](std::stop_token stop) {
    settle(name, one);
    body(stop);
  });
}

void ThreadStarter::settle_here() const {
  pthread_setaffinity_np(pthread_self(), sizeof service_, &service_);
}

void ThreadStarter::reserve(const cpu_set_t& cpus) {
  cpu_set_t rest;
  CPU_XOR(&rest, &saved_, &cpus);
  CPU_AND(&rest, &rest, &saved_);
  service_ = CPU_COUNT(&rest) > 0 ? rest : saved_;
}

}  // namespace chaincast::base
