// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/copy.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::fanout {

namespace {

using CheckBlock = std::array<uint8_t, 16>;

// As hop::check_block, from words in memory order.
void store_check_block(CheckBlock& block, HopWords hop, uint64_t counter,
                       uint32_t tag_xor) noexcept {
  const uint64_t high_half = __builtin_bswap32(static_cast<uint32_t>(counter >> 32));
  const uint64_t low = hop.low ^ high_half << 32;
  const uint64_t high = hop.high | uint64_t{__builtin_bswap32(tag_xor)} << 32;
  std::memcpy(block.data(), &low, 8);
  std::memcpy(block.data() + 8, &high, 8);
}

void set_offloads(rte_mbuf* packet, const HeaderPlan& plan) noexcept {
  packet->ol_flags = plan.ol_flags();
  packet->tx_offload = plan.tx_offload();
}

void set_size(rte_mbuf* packet, const uint8_t* data, size_t segment_bytes,
              size_t packet_bytes) noexcept {
  packet->data_off = static_cast<uint16_t>(data - static_cast<const uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<uint16_t>(segment_bytes);
  packet->pkt_len = static_cast<uint32_t>(packet_bytes);
}

template <Form form>
[[gnu::always_inline]] inline void finish(Outgoing& out, const HeaderPlan& plan, HopWords hop,
                                          rte_mbuf* packet) noexcept {
  auto* const buffer = static_cast<uint8_t*>(packet->buf_addr);
  const size_t frames_bytes = out.bytes - wire::hop_header_bytes;
  const size_t total = plan.total_bytes();
  uint8_t* const end =
      buffer +
      (form == Form::headroom ? packet->data_off : RTE_PKTMBUF_HEADROOM + plan.reach_bytes());
  plan.write(end, out.bytes, hop, out.sum);
  set_offloads(packet, plan);
  if constexpr (form == Form::shared) {
    set_size(packet, end - total, total, total + frames_bytes);
    packet->nb_segs = 2;
    packet->next = out.payload;
  } else {
    if constexpr (form == Form::linear) std::memcpy(end, out.frames_data, frames_bytes);
    set_size(packet, end - total, total + frames_bytes, total + frames_bytes);
  }
  if constexpr (form != Form::linear) ++out.used;
}

[[gnu::always_inline]] inline void finish(Outgoing& out, Form form, const HeaderPlan& plan,
                                          HopWords hop, rte_mbuf* packet) noexcept {
  if (form == Form::headroom) {
    finish<Form::headroom>(out, plan, hop, packet);
  } else if (form == Form::shared) {
    finish<Form::shared>(out, plan, hop, packet);
  } else {
    finish<Form::linear>(out, plan, hop, packet);
  }
}

}  // namespace

Copier::Copier(rte_mempool* headers, rte_mempool* payloads) noexcept
    : headers_(headers),
      payloads_(payloads),
      linear_bytes_max_(rte_pktmbuf_data_room_size(payloads) - header_data_room_bytes) {
  CC_ASSERT(rte_pktmbuf_data_room_size(headers) >= header_data_room_bytes);
  CC_ASSERT(rte_pktmbuf_data_room_size(payloads) > header_data_room_bytes);
}

Form Copier::form_of(const Outgoing& out, const Peer& peer, unsigned reach_bytes) noexcept {
  if (out.room >= reach_bytes) return Form::headroom;
  if (peer.shared_segments && out.bytes > peer.copybreak_bytes && out.used < out.granted) {
    return Form::shared;
  }
  return Form::linear;
}

rte_mbuf* Copier::acquire_one(const Outgoing& out, Form form) noexcept {
  if (form == Form::headroom) return out.payload;
  if (form == Form::shared) return rte_pktmbuf_alloc(headers_);
  if (out.bytes > linear_bytes_max_) return nullptr;
  return rte_pktmbuf_alloc(payloads_);
}

// Buffers for a prefix of `wanted`; all of it unless a pool is empty.
unsigned Copier::acquire(std::span<Outgoing* const> wanted, const Form* forms, bool is_shared,
                         rte_mbuf** packets) noexcept {
  const auto count = static_cast<unsigned>(wanted.size());
  // Buffers of a pool have one reference and no chain; finish() sets all that is sent.
  if (is_shared && rte_mempool_get_bulk(headers_, reinterpret_cast<void**>(packets), count) == 0) {
    return count;
  }
  for (unsigned i = 0; i < count; ++i) {
    packets[i] = acquire_one(*wanted[i], forms[i]);
    if (packets[i] == nullptr) return i;
  }
  return count;
}

unsigned Copier::make(const Route& route, std::span<Outgoing* const> wanted,
                      rte_mbuf** packets) noexcept {
  CC_ASSERT(wanted.size() <= batch_max);
  const HeaderPlan built(route.to, route.peer.checksum_offload, route.peer.ipv4_checksum_offload);
  // Nobody else knows this copy's address, so that stores to packets do not force its reloading.
  const HeaderPlan plan = built;
  std::array<Form, batch_max> forms;
  bool is_shared = true;
  for (size_t i = 0; i < wanted.size(); ++i) {
    forms[i] = form_of(*wanted[i], route.peer, plan.reach_bytes());
    is_shared = is_shared && forms[i] == Form::shared;
  }
  const unsigned count = acquire(wanted, forms.data(), is_shared, packets);

  hop::TxLane& lane = route.lane;
  const uint64_t first_counter = lane.counter + 1;
  const uint32_t link_id = __builtin_bswap32(lane.link_id);
  const auto hop_of = [&](const Outgoing& out, unsigned i) -> HopWords {
    return {join_words(out.hop_word, link_id),
            __builtin_bswap32(static_cast<uint32_t>(first_counter + i))};
  };
  alignas(64) std::array<CheckBlock, batch_max> blocks;
  uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    Outgoing& out = *wanted[i];
    store_check_block(blocks[i], hop_of(out, i), first_counter + i, out.tag_xor);
    bytes += out.bytes;
    if (plan.needs_payload_sum() && !out.has_sum) {
      out.sum = payload_sum(out.frames_data, out.bytes - wire::hop_header_bytes);
      out.has_sum = true;
    }
  }
  std::array<uint32_t, batch_max> checks;
  if (lane.check_off) {
    std::fill_n(checks.begin(), count, 0);
  } else {
    crypto::link_checks(lane.key, {blocks.data(), count}, checks.data());
  }
  const auto finish_all = [&](auto&& finish_one) {
    for (unsigned i = 0; i < count; ++i) {
      HopWords hop = hop_of(*wanted[i], i);
      hop.high |= uint64_t{__builtin_bswap32(checks[i])} << 32;
      finish_one(*wanted[i], i, hop);
    }
  };
  if (is_shared) {
    finish_all([&](Outgoing& out, unsigned i, HopWords hop) {
      finish<Form::shared>(out, plan, hop, packets[i]);
    });
  } else {
    finish_all([&](Outgoing& out, unsigned i, HopWords hop) {
      finish(out, forms[i], plan, hop, packets[i]);
    });
  }
  lane.counter += count;
  lane.datagrams.add(count);
  lane.bytes.add(bytes);
  return count;
}

rte_mbuf* Copier::complete(const port::Destination& to, bool udp_offload, bool ipv4_offload,
                           rte_mbuf* datagram) noexcept {
  const HeaderPlan plan(to, udp_offload, ipv4_offload);
  HopWords hop;
  std::memcpy(&hop.low, rte_pktmbuf_mtod(datagram, const uint8_t*), 8);
  std::memcpy(&hop.high, rte_pktmbuf_mtod(datagram, const uint8_t*) + 8, 8);
  Outgoing out = adopt(datagram);
  if (plan.needs_payload_sum()) {
    out.sum = payload_sum(out.frames_data, out.bytes - wire::hop_header_bytes);
  }
  const Form form = out.room >= plan.reach_bytes() ? Form::headroom : Form::linear;
  rte_mbuf* const packet = acquire_one(out, form);
  if (packet != nullptr) finish(out, form, plan, hop, packet);
  settle(out);
  return packet;
}

}  // namespace chaincast::fanout
