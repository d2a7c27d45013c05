// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace chaincast::stream {

// Whole objects in the order in which they came, one behind the other in one piece of memory, so
// that an object costs a copy and no allocation. One thread.
class ObjectQueue {
 public:
  // What is kept of the memory once the queue is empty.
  static constexpr size_t kept_bytes_max = 1u << 20;

  void push(ByteSpan object) {
    // Moves at most as much as has left since it moved last.
    if (start_ > bytes_.size() - start_) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(start_));
      start_ = 0;
    }
    bytes_.insert(bytes_.end(), object.begin(), object.end());
    sizes_.push_back(static_cast<uint32_t>(object.size()));
  }
  // Valid until push() or pop().
  ByteSpan front() const {
    CC_ASSERT(!sizes_.empty());
    return ByteSpan(bytes_).subspan(start_, sizes_.front());
  }
  void pop() {
    CC_ASSERT(!sizes_.empty());
    start_ += sizes_.front();
    sizes_.pop_front();
    if (!sizes_.empty()) return;
    bytes_.clear();
    start_ = 0;
    if (bytes_.capacity() > kept_bytes_max) bytes_.shrink_to_fit();
  }
  bool empty() const { return sizes_.empty(); }
  // Of the objects, oldest first.
  const std::deque<uint32_t>& sizes() const { return sizes_; }

 private:
  Bytes bytes_;       // from start_ on
  size_t start_ = 0;  // of the oldest one
  std::deque<uint32_t> sizes_;
};

}  // namespace chaincast::stream
