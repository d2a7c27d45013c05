// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/console.hpp"
#include "console/unix/server.hpp"

namespace chaincast::console {

// A node that remembers what it is told. Its one stream is "feed"; what it delivers waits in a
// queue of `queue_max` objects per subscriber, whose overflow is lost, as a real node's would be.
class FakeService final : public cli::Service {
 public:
  ops::Reply run(std::string_view line) override {
    if (line.starts_with("fail")) return error(ErrorCode::refused, "told to fail");
    if (line == "big") return ops::Json{{"text", std::string(8'000'000, 'x')}};
    return ops::Json{{"line", line}};
  }
  std::vector<std::string> complete(std::string_view line) override {
    return line == "none" ? std::vector<std::string>{} : std::vector<std::string>{"show", "start"};
  }
  ops::Reply run_in(cli::SessionId session, std::string_view line) override {
    ran_in.push_back(session);
    return run(line);
  }
  cli::SessionId open_session() override { return ++last_session_; }
  void close_session(cli::SessionId session) override { closed.push_back(session); }
  ops::Json status() override { return ops::Json{{"name", "fake"}}; }
  Result<cli::StreamInfo> stream(std::string_view name) override {
    if (name != "feed")
      return error(ErrorCode::not_found, "stream " + std::string(name) + ": unknown");
    return cli::StreamInfo{StreamId{7}, object_bytes_max, true};
  }
  cli::PublishResult publish(std::string_view name, ByteSpan object) override {
    cli::PublishResult result;
    if (name != "feed") {
      result.message = "stream " + std::string(name) + ": unknown";
      return result;
    }
    if (busy) {
      result.state = cli::PublishState::busy;
      return result;
    }
    result.state = cli::PublishState::accepted;
    result.stream = StreamId{7};
    result.first_seq = published.size();
    published.emplace_back(object.begin(), object.end());
    if (on_published) on_published(published.back());
    return result;
  }
  Result<cli::SubscriptionId> subscribe(std::string_view name,
                                        cli::Subscriber* subscriber) override {
    if (name != "feed")
      return error(ErrorCode::not_found, "stream " + std::string(name) + ": unknown");
    queues_[++last_id_].subscriber = subscriber;
    ++subscribed;
    return last_id_;
  }
  void unsubscribe(cli::SubscriptionId id) override {
    queues_.erase(id);
    ++unsubscribed;
  }

  // One object for every subscriber, now or as soon as it takes it.
  void deliver(Bytes object) {
    for (auto& [id, queue] : queues_) {
      queue.waiting.push_back({next_seq_, object});
      while (queue.waiting.size() > queue_max) {
        const Seq seq = queue.waiting.front().first;
        queue.waiting.pop_front();
        ++lost;
        queue.subscriber->on_lost(StreamId{7}, seq, seq);
      }
    }
    ++next_seq_;
    pump();
  }
  void pump() {
    for (auto& [id, queue] : queues_) {
      while (!queue.waiting.empty()) {
        const auto& [seq, object] = queue.waiting.front();
        if (!queue.subscriber->on_object({StreamId{7}, seq, seq, object})) break;
        queue.waiting.pop_front();
      }
    }
  }
  void tell_of_origin(bool is_lost) {
    for (auto& [id, queue] : queues_) queue.subscriber->on_origin(StreamId{7}, is_lost);
  }
  void close_all() {
    for (auto& [id, queue] : queues_) queue.subscriber->on_closed("removed");
    queues_.clear();
  }

  std::atomic<bool> busy = false;
  uint32_t object_bytes_max = 1000;
  size_t queue_max = 8;
  std::atomic<unsigned> subscribed = 0;
  std::atomic<unsigned> unsubscribed = 0;
  std::atomic<uint64_t> lost = 0;
  std::vector<Bytes> published;
  std::vector<cli::SessionId> ran_in;  // of each command
  std::vector<cli::SessionId> closed;
  std::function<void(const Bytes&)> on_published;

 private:
  struct Queue {
    cli::Subscriber* subscriber = nullptr;
    std::deque<std::pair<Seq, Bytes>> waiting;
  };
  std::map<cli::SubscriptionId, Queue> queues_;
  cli::SubscriptionId last_id_ = 0;
  cli::SessionId last_session_ = 0;
  Seq next_seq_ = 0;
};

// The control loop a node would run, on a thread of its own, so that blocking clients can be
// tested.
class ControlLoop {
 public:
  ControlLoop(Server& server, FakeService& service)
      : server_(server), service_(service), thread_([this](std::stop_token stop) { run(stop); }) {}
  ~ControlLoop() {
    thread_.request_stop();
    wake();
    thread_.join();
    ::close(wake_fd_);
  }

  // Runs `task` on the loop and waits for it.
  void call(std::function<void()> task) {
    std::packaged_task<void()> packaged(std::move(task));
    auto done = packaged.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(packaged));
    }
    wake();
    done.wait();
  }
  // Turns until `condition`, evaluated on the loop, holds.
  void until(std::function<bool()> condition) {
    bool holds = false;
    while (!holds) call([&] { holds = condition(); });
  }

 private:
  void wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
  }
  void run(const std::stop_token& stop) {
    const MonotonicClock clock;
    std::vector<pollfd> fds;
    while (!stop.stop_requested()) {
      fds.clear();
      server_.add_poll_fds(fds);
      const size_t own = fds.size();
      fds.push_back({wake_fd_, POLLIN, 0});
      const TimeNs now = clock.now_ns();
      const TimeNs wake_at = server_.wake_at_ns();
      const TimeNs wait_ms =
          wake_at <= now ? 0 : std::min<TimeNs>((wake_at - now) / ns_per_ms + 1, 1000);
      ::poll(fds.data(), fds.size(), static_cast<int>(wait_ms));
      uint64_t ignored;
      if (fds[own].revents != 0) {
        [[maybe_unused]] const ssize_t got = ::read(wake_fd_, &ignored, sizeof ignored);
      }
      std::deque<std::packaged_task<void()>> tasks;
      {
        const std::lock_guard lock(mutex_);
        tasks.swap(tasks_);
      }
      // Sockets first, so that a task sees the effect of what poll reported.
      server_.on_ready(std::span(fds).first(own), clock.now_ns());
      service_.pump();
      for (auto& task : tasks) task();
    }
  }

  Server& server_;
  FakeService& service_;
  int wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::mutex mutex_;
  std::deque<std::packaged_task<void()>> tasks_;
  std::jthread thread_;
};

}  // namespace chaincast::console
