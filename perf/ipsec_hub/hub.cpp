// SPDX-License-Identifier: BSD-3-Clause
#include "ipsec_hub/hub.hpp"

#include <fmt/core.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "port/checksum.hpp"

namespace chaincast::bench::ipsec {

namespace {

constexpr unsigned burst_max = 64;

Endpoint own_address() {
  Endpoint out;
  out.address = {10, 0, 0, 1};
  out.port = 4500;
  return out;
}

}  // namespace

Hub::Hub(const Cell& cell, const HubConfig& config, const Pools& pools)
    : cell_(cell),
      config_(config),
      pools_(pools),
      payload_bytes_(padded_bytes(cell.unit_bytes)),
      packet_bytes_(before_payload_bytes + payload_bytes_ + icv_bytes),
      manager_(make_manager()),
      device_(std::make_unique<Device>(
          DeviceConfig{"net_null0", pools.received, cell.mtu_bytes, own_address(), cell.sink})),
      sender_(manager_.get(), config.transform, make_association(hub_upstream)),
      received_(manager_.get(), config.transform, make_association(hub_upstream)),
      scratch_(payload_bytes_) {
  CC_ASSERT(config.burst <= burst_max);
  for (const uint16_t unit : cell.mix) sizes_.push_back(padded_bytes(unit));
  sizes_.push_back(payload_bytes_);
  std::sort(sizes_.begin(), sizes_.end());
  sizes_.erase(std::unique(sizes_.begin(), sizes_.end()), sizes_.end());
  for (uint32_t peer = 0; peer < cell.fanout; ++peer) {
    peers_.push_back(
        std::make_unique<Sa>(manager_.get(), config.transform, make_association(peer)));
    for (const unsigned size : sizes_) {
      outers_.push_back(make_outer(peer, before_payload_bytes + size + icv_bytes));
    }
  }
}

// A packet's size is one of few: a compare or two.
const Hub::Outer& Hub::outer_of(uint32_t peer, unsigned payload_bytes) const {
  size_t index = 0;
  while (sizes_[index] != payload_bytes) ++index;
  return outers_[peer * sizes_.size() + index];
}

Hub::~Hub() = default;

Hub::Outer Hub::make_outer(uint32_t peer, unsigned packet_bytes) const {
  Outer out{};
  const port::Mac source = device_->mac();
  out[0] = 2;
  out[5] = static_cast<uint8_t>(peer);
  std::copy(source.begin(), source.end(), out.begin() + 6);
  out[12] = 0x08;
  uint8_t* const ip = out.data() + 14;
  ip[0] = 0x45;
  store_be16(ip + 2, static_cast<uint16_t>(packet_bytes - 14));
  ip[6] = 0x40;
  ip[8] = 64;
  ip[9] = 50;
  store_be32(ip + 12, 0x0a000001);
  store_be32(ip + 16, 0x0a000201 + peer);
  const uint16_t checksum = port::finish_sum(port::sum_bytes(ip, 20));
  std::memcpy(ip + 10, &checksum, 2);
  return out;
}

void Hub::prepare(unsigned datagrams) {
  std::vector<rte_mbuf*> arrivals;
  arrivals.reserve(datagrams);
  std::vector<uint8_t> payload(payload_bytes_);
  for (unsigned d = 0; d < datagrams; ++d) {
    const uint16_t unit =
        cell_.mix.empty() ? cell_.unit_bytes : cell_.mix[made_ % cell_.mix.size()];
    const unsigned bytes = padded_bytes(unit);
    fill_inner(payload.data(), unit, made_++);
    const unsigned pad = bytes - unit - trailer_bytes_min;
    for (unsigned i = 0; i < pad; ++i) payload[unit + i] = static_cast<uint8_t>(i + 1);
    payload[bytes - 2] = static_cast<uint8_t>(pad);
    payload[bytes - 1] = 4;
    const unsigned packet = before_payload_bytes + bytes + icv_bytes;
    const Outer outer = make_outer(0, packet);
    rte_mbuf* const mbuf = rte_pktmbuf_alloc(pools_.received);
    CC_ASSERT(mbuf != nullptr);
    char* const room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(packet));
    CC_ASSERT(room != nullptr);
    std::memcpy(room, outer.data(), outer.size());
    sender_.seal(reinterpret_cast<uint8_t*>(room) + outer_bytes, payload.data(), bytes);
    arrivals.push_back(mbuf);
  }
  device_->offer(std::move(arrivals));
}

// Keeps those whose ICV is good.
unsigned Hub::open(rte_mbuf** packets, unsigned count) noexcept {
  unsigned kept = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (i + 2 < count) rte_prefetch0(rte_pktmbuf_mtod(packets[i + 2], const void*));
    auto* const esp = rte_pktmbuf_mtod_offset(packets[i], uint8_t*, outer_bytes);
    const unsigned payload = packets[i]->data_len - before_payload_bytes - icv_bytes;
    uint8_t* const to = config_.is_group ? scratch_.data() : esp + esp_bytes + iv_bytes;
    if (payload <= payload_bytes_ && load_be32(esp) == received_.spi() &&
        received_.open(esp, to, payload)) {
      packets[kept++] = packets[i];
    } else {
      ++bad_;
      rte_pktmbuf_free(packets[i]);
    }
  }
  opened_ += kept;
  return kept;
}

void Hub::transmit(rte_mbuf** packets, unsigned count) noexcept {
  const unsigned sent = rte_eth_tx_burst(device_->id(), 0, packets, static_cast<uint16_t>(count));
  refused_ += count - sent;
  for (unsigned i = sent; i < count; ++i) rte_pktmbuf_free(packets[i]);
}

void Hub::send_tunnels(rte_mbuf** packets, unsigned count) noexcept {
  std::array<rte_mbuf*, burst_max> out;
  for (unsigned p = 0; p < peers_.size(); ++p) {
    // Buffers of a pool are one segment with one reference.
    if (rte_mempool_get_bulk(pools_.tunnels, reinterpret_cast<void**>(out.data()), count) != 0) {
      refused_ += count;
      continue;
    }
    Sa& sa = *peers_[p];
    for (unsigned i = 0; i < count; ++i) {
      rte_mbuf* const mbuf = out[i];
      const unsigned payload = packets[i]->data_len - before_payload_bytes - icv_bytes;
      mbuf->data_off = RTE_PKTMBUF_HEADROOM;
      mbuf->data_len = packets[i]->data_len;
      mbuf->pkt_len = packets[i]->data_len;
      mbuf->ol_flags = 0;
      auto* const at = rte_pktmbuf_mtod(mbuf, uint8_t*);
      std::memcpy(at, outer_of(p, payload).data(), outer_bytes);
      sa.seal(at + outer_bytes, rte_pktmbuf_mtod_offset(packets[i], uint8_t*, before_payload_bytes),
              payload);
    }
    transmit(out.data(), count);
  }
  rte_pktmbuf_free_bulk(packets, count);
}

void Hub::send_group(rte_mbuf** packets, unsigned count) noexcept {
  std::array<rte_mbuf*, burst_max> out;
  for (unsigned i = 0; i < count; ++i) {
    rte_pktmbuf_adj(packets[i], outer_bytes);
    rte_mbuf_refcnt_set(packets[i], static_cast<uint16_t>(peers_.size()));
  }
  for (unsigned p = 0; p < peers_.size(); ++p) {
    CC_ASSERT(rte_mempool_get_bulk(pools_.headers, reinterpret_cast<void**>(out.data()), count) ==
              0);
    for (unsigned i = 0; i < count; ++i) {
      rte_mbuf* const mbuf = out[i];
      mbuf->data_off = RTE_PKTMBUF_HEADROOM;
      mbuf->data_len = outer_bytes;
      mbuf->pkt_len = outer_bytes + packets[i]->data_len;
      mbuf->ol_flags = 0;
      mbuf->nb_segs = 2;
      mbuf->next = packets[i];
      const unsigned payload =
          packets[i]->data_len + outer_bytes - before_payload_bytes - icv_bytes;
      std::memcpy(rte_pktmbuf_mtod(mbuf, uint8_t*), outer_of(p, payload).data(), outer_bytes);
    }
    transmit(out.data(), count);
  }
}

unsigned Hub::turn() noexcept {
  std::array<rte_mbuf*, burst_max> packets;
  const unsigned got =
      rte_eth_rx_burst(device_->id(), 0, packets.data(), static_cast<uint16_t>(config_.burst));
  if (got == 0) return 0;
  const unsigned kept = open(packets.data(), got);
  if (kept == 0) return got;
  if (config_.is_group) {
    send_group(packets.data(), kept);
  } else {
    send_tunnels(packets.data(), kept);
  }
  return got;
}

void Hub::run() {
  while (turn() > 0 || !device_->is_over()) {
  }
}

std::string Hub::check() {
  if (bad_ != 0 || refused_ != 0 || opened_ != device_->received()) {
    return fmt::format("{} packets arrived, {} opened, {} bad, {} copies lost", device_->received(),
                       opened_, bad_, refused_);
  }
  if (copies() != opened_ * cell_.fanout) {
    return fmt::format("{} packets, {} copies for {} peers", opened_, copies(), cell_.fanout);
  }
  for (const Bytes& packet : device_->samples()) {
    if (packet.size() > packet_bytes_) return "a copy of another size";
    const uint32_t peer = load_be32(packet.data() + 30) - 0x0a000201;
    if (peer >= cell_.fanout) return "a copy to a foreign address";
    const Association association = make_association(config_.is_group ? hub_upstream : peer);
    const Bytes inner = open_reference(config_.transform, association, packet);
    if (inner.empty()) return "a copy that the reference does not open";
    const uint64_t number = load_be64(inner.data() + inner_number_offset);
    if (number >= made_) return "a copy with another content";
    Bytes expected(cell_.mix.empty() ? cell_.unit_bytes : cell_.mix[number % cell_.mix.size()]);
    fill_inner(expected.data(), static_cast<unsigned>(expected.size()), number);
    if (inner != expected) return "a copy with another content";
  }
  return device_->samples().empty() ? "no copy was sampled" : "";
}

}  // namespace chaincast::bench::ipsec
