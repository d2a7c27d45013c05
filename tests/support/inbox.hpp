// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "cli/console.hpp"

namespace chaincast::test {

// A subscriber that keeps what it gets.
struct Inbox final : cli::Subscriber {
  bool on_object(const cli::Delivered& delivered) override {
    objects.emplace_back(delivered.object.begin(), delivered.object.end());
    return true;
  }
  void on_lost(StreamId, Seq first, Seq last) override { lost += last - first + 1; }
  void on_origin(StreamId stream, bool is_lost) override { origins.emplace_back(stream, is_lost); }
  void on_closed(const std::string&) override {}

  std::vector<Bytes> objects;
  uint64_t lost = 0;                               // frames
  std::vector<std::pair<StreamId, bool>> origins;  // notices: whether it is lost
};

}  // namespace chaincast::test
