// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <vector>

#include "base/clock.hpp"
#include "port/port.hpp"

namespace chaincast::port::link {

// Packets that wait for their time: a bounded heap by (due, order of arrival). Owns its packets.
// Thread: one worker. Memory: all of it at construction. Cost: O(log n) a packet.
class Hold {
 public:
  explicit Hold(unsigned packets_max);
  ~Hold();
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

  // False: full, and the packet stays the caller's.
  bool push(TimeNs due_ns, rte_mbuf* packet, const Destination& to) noexcept;
  bool is_due(TimeNs now_ns) const noexcept { return !heap_.empty() && heap_[0].due_ns <= now_ns; }
  rte_mbuf* front() const noexcept { return slots_[heap_[0].slot].packet; }
  const Destination& front_destination() const noexcept { return slots_[heap_[0].slot].to; }
  // The packet becomes the caller's.
  void pop() noexcept;
  size_t size() const noexcept { return heap_.size(); }

 private:
  struct Slot {
    rte_mbuf* packet = nullptr;
    Destination to;
  };
  struct Item {
    TimeNs due_ns;
    uint64_t order;
    uint32_t slot;
    bool operator<(const Item& other) const noexcept {  // the earliest on top
      return due_ns != other.due_ns ? due_ns > other.due_ns : order > other.order;
    }
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<Item> heap_;
  uint64_t order_ = 0;
};

}  // namespace chaincast::port::link
