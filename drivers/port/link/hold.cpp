// SPDX-License-Identifier: BSD-3-Clause
#include "port/link/hold.hpp"

#include <algorithm>

namespace chaincast::port::link {

Hold::Hold(unsigned packets_max) : slots_(packets_max) {
  heap_.reserve(packets_max);
  free_.reserve(packets_max);
  for (uint32_t i = 0; i < packets_max; ++i) free_.push_back(i);
}

Hold::~Hold() {
  for (const Item& item : heap_) rte_pktmbuf_free(slots_[item.slot].packet);
}

bool Hold::push(TimeNs due_ns, rte_mbuf* packet, const Destination& to) noexcept {
  if (free_.empty()) return false;
  const uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].packet = packet;
  slots_[slot].to = to;
  heap_.push_back({due_ns, order_++, slot});
  std::push_heap(heap_.begin(), heap_.end());
  return true;
}

void Hold::pop() noexcept {
  CC_ASSERT(!heap_.empty());
  free_.push_back(heap_[0].slot);
  std::pop_heap(heap_.begin(), heap_.end());
  heap_.pop_back();
}

}  // namespace chaincast::port::link
