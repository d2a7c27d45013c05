// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cli/console.hpp"
#include "feed/datagram.hpp"

namespace chaincast::feed::test {

inline Endpoint local(uint16_t port) {
  return {{127, 0, 0, 1}, port, false};
}

// Keeps what is sent, while it takes any.
struct FakeSocket final : Socket {
  bool send(const Endpoint& to, ByteSpan datagram) override {
    if (is_full) return false;
    sent.emplace_back(to, Bytes(datagram.begin(), datagram.end()));
    return true;
  }
  std::vector<std::pair<Endpoint, Bytes>> take() { return std::exchange(sent, {}); }

  std::vector<std::pair<Endpoint, Bytes>> sent;
  bool is_full = false;
};

// A node with one stream, which takes what it is told to.
struct FakeNode final : cli::Service {
  ops::Reply run(std::string_view) override { return ops::Reply(ops::Json()); }
  std::vector<std::string> complete(std::string_view) override { return {}; }
  ops::Json status() override { return {}; }
  Result<cli::StreamInfo> stream(std::string_view name) override {
    if (name == "s") return cli::StreamInfo{};
    return error(ErrorCode::not_found, "stream: not configured");
  }
  cli::PublishResult publish(std::string_view name, ByteSpan object) override {
    EXPECT_EQ(name, "s");
    if (state == cli::PublishState::accepted) published.emplace_back(object.begin(), object.end());
    return {state, StreamId{1}, 0, ""};
  }
  Result<cli::SubscriptionId> subscribe(std::string_view, cli::Subscriber* one) override {
    subscriber = one;
    return cli::SubscriptionId{1};
  }
  void unsubscribe(cli::SubscriptionId) override { subscriber = nullptr; }

  cli::PublishState state = cli::PublishState::accepted;
  std::vector<Bytes> published;
  cli::Subscriber* subscriber = nullptr;
};

}  // namespace chaincast::feed::test
