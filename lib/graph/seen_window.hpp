// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

// Which of the newest serial numbers (Store::serial) a node has been offered: a link partner's copy
// of what another one brought costs one look here and none at the view. A value of 512 bytes. What
// is older than the window counts as not seen.
namespace chaincast::graph {

class SeenWindow {
 public:
  static constexpr uint64_t window = 4096;

  // False if it was in already. Serials start at 1.
  bool insert(uint64_t serial) {
    if (serial > newest_) advance(serial);
    if (newest_ - serial >= window - 64) return true;
    uint64_t& word = words_[(serial / 64) % words_.size()];
    const uint64_t bit = uint64_t{1} << (serial % 64);
    if (word & bit) return false;
    word |= bit;
    return true;
  }
  void clear() { words_.fill(0); }

 private:
  void advance(uint64_t serial) {
    const uint64_t steps = std::min<uint64_t>(serial / 64 - newest_ / 64, words_.size());
    for (uint64_t i = 0; i < steps; ++i) words_[(serial / 64 - i) % words_.size()] = 0;
    newest_ = serial;
  }

  std::array<uint64_t, window / 64> words_{};
  uint64_t newest_ = 0;
};

}  // namespace chaincast::graph
