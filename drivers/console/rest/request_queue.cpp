// SPDX-License-Identifier: BSD-3-Clause
#include "console/rest/request_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/assert.hpp"

namespace chaincast::console {

struct RequestQueue::Job {
  enum class State { waiting, begun, done };
  rest::Request request;
  rest::Response response;
  State state = State::waiting;
};

RequestQueue::RequestQueue() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CC_ASSERT(fd_ >= 0);
}

RequestQueue::~RequestQueue() {
  close();
  ::close(fd_);
}

rest::Response RequestQueue::ask(const rest::Request& request, TimeNs patience_ns) {
  auto job = std::make_shared<Job>();
  job->request = request;
  std::unique_lock lock(mutex_);
  if (is_closed_) return rest::failure(503, "stopping", "the node is stopping");
  waiting_.push_back(job);
  const uint64_t one = 1;
  CC_ASSERT(::write(fd_, &one, sizeof one) == sizeof one);
  const auto is_done = [&] { return job->state == Job::State::done; };
  if (!changed_.wait_for(lock, std::chrono::nanoseconds(patience_ns),
                         [&] { return is_done() || is_closed_; }) &&
      job->state == Job::State::waiting) {
    waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), job), waiting_.end());
    return rest::failure(504, "timeout", "the node was too busy; nothing was done");
  }
  // What has begun comes to an end: its caller has to know how it went.
  changed_.wait(lock, [&] { return is_done() || (is_closed_ && job->state != Job::State::begun); });
  if (!is_done()) return rest::failure(503, "stopping", "the node is stopping");
  return std::move(job->response);
}

std::shared_ptr<RequestQueue::Job> RequestQueue::next() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) return nullptr;
  auto job = waiting_.front();
  waiting_.pop_front();
  job->state = Job::State::begun;
  return job;
}

bool RequestQueue::answer(unsigned max,
                          const std::function<rest::Response(const rest::Request&)>& handle) {
  uint64_t count = 0;
  while (::read(fd_, &count, sizeof count) > 0) {
  }
  for (unsigned i = 0; i < max; ++i) {
    const auto job = next();
    if (!job) return false;
    job->response = handle(job->request);
    {
      std::lock_guard lock(mutex_);
      job->state = Job::State::done;
    }
    changed_.notify_all();
  }
  std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

void RequestQueue::close() {
  {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
}

}  // namespace chaincast::console
