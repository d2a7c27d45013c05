// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/queue.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"

namespace chaincast::fanout {

PacketRing::PacketRing(unsigned packets_max)
    : limit_(packets_max),
      mask_(std::bit_ceil(packets_max) - 1),
      packets_(std::make_unique<rte_mbuf*[]>(mask_ + 1)),
      sizes_(std::make_unique<Size[]>(mask_ + 1)) {
  CC_ASSERT(packets_max > 0);
}

PacketRing::~PacketRing() {
  clear();
}

std::span<rte_mbuf*> PacketRing::head(unsigned max) noexcept {
  const unsigned first = head_ & mask_;
  const unsigned count = std::min({size(), max, mask_ + 1 - first});
  return {packets_.get() + first, count};
}

PacketTotals PacketRing::pop(unsigned count) noexcept {
  CC_ASSERT(count <= size());
  PacketTotals totals;
  for (unsigned i = 0; i < count; ++i) {
    const Size& size = sizes_[(head_ + i) & mask_];
    totals.add(size.frames, size.bytes);
  }
  head_ += count;
  return totals;
}

PacketTotals PacketRing::clear() noexcept {
  for (unsigned i = head_; i != tail_; ++i) rte_pktmbuf_free(packets_[i & mask_]);
  return pop(size());
}

PeerState::PeerState() = default;
PeerState::~PeerState() = default;

std::shared_ptr<PeerState> make_peer_state(uint32_t peer, unsigned workers,
                                           unsigned queue_packets) {
  CC_ASSERT(workers <= workers_max);
  auto state = std::make_shared<PeerState>();
  state->peer = peer;
  for (unsigned w = 0; w < workers; ++w) {
    state->queues[w] = std::make_unique<PeerQueue>(queue_packets, std::max(queue_packets / 4, 1u));
  }
  return state;
}

namespace {

// Queues in front of the workers' that lane 0 has for itself.
unsigned lane0_queues(const port::Capabilities& capabilities, unsigned workers) {
  return capabilities.tx_queues > workers ? 1 : 0;
}

}  // namespace

std::vector<uint16_t> assign_tx_queues(const port::Capabilities& capabilities, unsigned workers) {
  CC_ASSERT(capabilities.tx_queues >= workers);
  const unsigned own = lane0_queues(capabilities, workers);
  std::vector<uint16_t> queues = {0};
  for (unsigned w = 0; w < workers; ++w) queues.push_back(static_cast<uint16_t>(w + own));
  return queues;
}

unsigned tx_queue_worker(const port::Capabilities& capabilities, unsigned workers, unsigned queue) {
  const unsigned own = lane0_queues(capabilities, workers);
  return queue < own ? 0 : std::min(queue - own, workers - 1);
}

}  // namespace chaincast::fanout
