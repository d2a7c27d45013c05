// SPDX-License-Identifier: BSD-3-Clause
#include "console/rest/request_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <vector>

namespace chaincast::console {
namespace {

constexpr TimeNs long_ns = 60 * ns_per_s;

rest::Response echo(const rest::Request& request) {
  rest::Response out;
  out.body = request.body;
  return out;
}

rest::Request asking(const std::string& body) {
  rest::Request out;
  out.body = body;
  return out;
}

void wait_readable(const RequestQueue& queue) {
  pollfd fd{queue.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&fd, 1, 60'000), 1);
}

TEST(RestRequestQueue, RaceEveryAskerGetsItsOwnAnswer) {
  RequestQueue queue;
  constexpr unsigned askers = 4, questions = 500;
  std::atomic<unsigned> right{0};
  std::vector<std::jthread> threads;
  for (unsigned a = 0; a < askers; ++a) {
    threads.emplace_back([&, a] {
      for (unsigned q = 0; q < questions; ++q) {
        const std::string text = std::to_string(a) + ":" + std::to_string(q);
        if (queue.ask(asking(text), long_ns).body == text) ++right;
      }
    });
  }
  unsigned answered = 0;
  while (answered < askers * questions) {
    wait_readable(queue);
    while (queue.answer(2, [&](const rest::Request& request) {
      ++answered;
      return echo(request);
    })) {
    }
  }
  threads.clear();
  EXPECT_EQ(right, askers * questions);
}

TEST(RestRequestQueue, WhatNobodyBeganIsWithdrawn) {
  RequestQueue queue;
  EXPECT_EQ(queue.ask(asking("late"), 1).status, 504);
  unsigned answered = 0;
  EXPECT_FALSE(queue.answer(10, [&](const rest::Request& request) {
    ++answered;
    return echo(request);
  }));
  EXPECT_EQ(answered, 0u);
}

TEST(RestRequestQueue, RaceClosingFreesWhoeverWaits) {
  RequestQueue queue;
  std::jthread asker([&] { EXPECT_EQ(queue.ask(asking("x"), long_ns).status, 503); });
  wait_readable(queue);
  queue.close();
  asker.join();
  EXPECT_EQ(queue.ask(asking("y"), long_ns).status, 503);
}

}  // namespace
}  // namespace chaincast::console
