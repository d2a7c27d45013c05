// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "base/clock.hpp"
#include "rest/api.hpp"

namespace chaincast::console {

// Requests from threads that may wait to the control thread, which may not.
// Threads: ask() from any; everything else on the control thread.
class RequestQueue {
 public:
  RequestQueue();
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  // Waits for the answer: at most `patience_ns`, then the request is withdrawn if nobody has begun
  // it. 503 once closed.
  rest::Response ask(const rest::Request& request, TimeNs patience_ns);

  // Readable while requests wait.
  int fd() const { return fd_; }
  // Answers at most `max` requests; true if more wait.
  bool answer(unsigned max, const std::function<rest::Response(const rest::Request&)>& handle);
  // Nobody will be answered any more.
  void close();

 private:
  struct Job;
  std::shared_ptr<Job> next();

  const int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> waiting_;  // at most one of each thread that asks
  bool is_closed_ = false;
};

}  // namespace chaincast::console
