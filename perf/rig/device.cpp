// SPDX-License-Identifier: BSD-3-Clause
#include "rig/device.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::bench {

Device::Device(const DeviceConfig& config) : sink_(config.sink), queues_(config.tx_queues) {
  port::EthdevConfig wanted;
  wanted.name = config.name;
  wanted.device = config.name + ",no-rx=1";
  wanted.addresses = {{config.address, 16}};
  wanted.udp_port = config.address.port;
  wanted.mtu_bytes = config.mtu_bytes;
  wanted.workers = wanted.queues = static_cast<uint16_t>(config.tx_queues);
  auto made = port::make_ethdev(wanted, config.pool);
  if (!made.ok()) fmt::print(stderr, "bench: {}\n", made.error().message);
  CC_ASSERT(made.ok());
  port_ = std::move(made).value();
  CC_ASSERT(rte_eth_dev_get_port_by_name(config.name.c_str(), &id_) == 0);
  rte_ether_addr address{};
  CC_ASSERT(rte_eth_macaddr_get(id_, &address) == 0);
  std::copy(std::begin(address.addr_bytes), std::end(address.addr_bytes), mac_.begin());
  CC_ASSERT(port_->start().ok());
  receive_callback_ = rte_eth_add_rx_callback(id_, 0, on_receive, this);
  CC_ASSERT(receive_callback_ != nullptr);
  for (uint16_t q = 0; q < queues_.size(); ++q) {
    Queue& queue = queues_[q];
    queue.device = this;
    queue.callback = rte_eth_add_tx_callback(id_, q, on_transmit, &queue);
    CC_ASSERT(queue.callback != nullptr);
    if (sink_ != Sink::ring) continue;
    // Full from the start, so that one comes back for each that goes in.
    queue.ring.resize(ring_packets);
    CC_ASSERT(rte_pktmbuf_alloc_bulk(config.pool, queue.ring.data(), ring_packets) == 0);
  }
}

Device::~Device() {
  drop_rest();
  release();
  // DPDK keeps them for the next device with this number. Their memory may go: nobody polls.
  CC_ASSERT(rte_eth_remove_rx_callback(id_, 0, receive_callback_) == 0);
  rte_free(const_cast<rte_eth_rxtx_callback*>(receive_callback_));
  for (uint16_t q = 0; q < queues_.size(); ++q) {
    CC_ASSERT(rte_eth_remove_tx_callback(id_, q, queues_[q].callback) == 0);
    rte_free(const_cast<rte_eth_rxtx_callback*>(queues_[q].callback));
  }
  port_->stop();
}

void Device::offer(std::vector<rte_mbuf*> packets) {
  drop_rest();
  offered_ = std::move(packets);
  next_ = 0;
  offer_end_ = 0;
  is_over_ = false;
}

void Device::drop_rest() {
  for (; next_ < offered_.size(); ++next_) rte_pktmbuf_free(offered_[next_]);
}

void Device::release() {
  for (Queue& queue : queues_) {
    for (rte_mbuf* packet : queue.ring) rte_pktmbuf_free(packet);
    queue.ring.clear();
  }
}

uint64_t Device::sent() const {
  uint64_t total = 0;
  for (const Queue& queue : queues_) total += queue.sent;
  return total;
}

uint16_t Device::on_receive(uint16_t, uint16_t, rte_mbuf** packets, uint16_t, uint16_t max,
                            void* self) {
  Device& device = *static_cast<Device*>(self);
  const size_t count = std::min<size_t>(max, device.offered_.size() - device.next_);
  const uint64_t now = rte_rdtsc();
  if (device.offer_end_ == 0) device.offer_end_ = now + device.offer_cycles_;
  if (count == 0 || now >= device.offer_end_) {
    device.is_over_ = true;
    return 0;
  }
  std::copy_n(device.offered_.data() + device.next_, count, packets);
  device.next_ += count;
  device.received_ += count;
  return static_cast<uint16_t>(count);
}

uint16_t Device::on_transmit(uint16_t, uint16_t number, rte_mbuf** packets, uint16_t count,
                             void* argument) {
  Queue& queue = *static_cast<Queue*>(argument);
  Device& device = *queue.device;
  if (number == 0 && device.wanted_next_ < device.wanted_.size() &&
      device.wanted_[device.wanted_next_] < queue.sent + count) {
    device.take_samples(queue.sent, packets, count);
  }
  queue.sent += count;
  if (device.sink_ == Sink::ring) hold(queue, packets, count);
  return count;
}

// Exchanges each packet for the one that was sent 512 packets ago.
void Device::hold(Queue& queue, rte_mbuf** packets, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    std::swap(queue.ring[queue.ring_next], packets[i]);
    queue.ring_next = (queue.ring_next + 1) % ring_packets;
  }
}

void Device::sample(unsigned count, uint64_t expected, Random& random) {
  wanted_.clear();
  for (unsigned i = 0; i < count; ++i) wanted_.push_back(queues_[0].sent + random.below(expected));
  std::sort(wanted_.begin(), wanted_.end());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
  wanted_next_ = 0;
  samples_.clear();
  samples_.reserve(wanted_.size());
  sampling_cycles_ = 0;
}

void Device::take_samples(uint64_t sent, rte_mbuf** packets, unsigned count) {
  const uint64_t start = rte_rdtsc_precise();
  while (wanted_next_ < wanted_.size() && wanted_[wanted_next_] < sent + count) {
    const rte_mbuf* segment = packets[wanted_[wanted_next_++] - sent];
    Bytes bytes(segment->pkt_len);
    size_t at = 0;
    for (; segment != nullptr; segment = segment->next) {
      std::memcpy(bytes.data() + at, rte_pktmbuf_mtod(segment, const uint8_t*), segment->data_len);
      at += segment->data_len;
    }
    CC_ASSERT(at == bytes.size());
    samples_.push_back(std::move(bytes));
  }
  sampling_cycles_ += rte_rdtsc_precise() - start;
}

}  // namespace chaincast::bench
