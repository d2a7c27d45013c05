// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/copy.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/assert.hpp"
#include "fanout/pool.hpp"

namespace chaincast::fanout {

namespace {

// Four words of each place from `at` on to places of sixteen bytes.
[[gnu::always_inline]] inline void store_places(Stamps& stamps, unsigned at, Words a, Words b,
                                                Words c, Words d) noexcept {
  const auto of = [](Words words) { return reinterpret_cast<__m256i>(words); };
  const __m256i ab_low = _mm256_unpacklo_epi32(of(a), of(b));
  const __m256i ab_high = _mm256_unpackhi_epi32(of(a), of(b));
  const __m256i cd_low = _mm256_unpacklo_epi32(of(c), of(d));
  const __m256i cd_high = _mm256_unpackhi_epi32(of(c), of(d));
  // Places 0 and 4, 1 and 5, 2 and 6, 3 and 7.
  const __m256i first = _mm256_unpacklo_epi64(ab_low, cd_low);
  const __m256i second = _mm256_unpackhi_epi64(ab_low, cd_low);
  const __m256i third = _mm256_unpacklo_epi64(ab_high, cd_high);
  const __m256i fourth = _mm256_unpackhi_epi64(ab_high, cd_high);
  const auto store = [&](unsigned place, __m256i two) {
    std::memcpy(&stamps.hops[at + place], &two, sizeof two);
  };
  store(0, _mm256_permute2x128_si256(first, second, 0x20));
  store(2, _mm256_permute2x128_si256(third, fourth, 0x20));
  store(4, _mm256_permute2x128_si256(first, second, 0x31));
  store(6, _mm256_permute2x128_si256(third, fourth, 0x31));
}

Words swap_bytes(Words words) noexcept {
  return words >> 24 | (words >> 8 & 0xff00) | (words & 0xff00) << 8 | words << 24;
}

Words& words_at(std::array<uint32_t, Stamps::max>& words, unsigned at) noexcept {
  return *reinterpret_cast<Words*>(words.data() + at);
}

// The blocks of link checks, as hop::check_block, and the link seqs in them.
void store_blocks(Stamps& stamps, unsigned count, uint32_t link_id, uint64_t first) noexcept {
  const Words places = {0, 1, 2, 3, 4, 5, 6, 7};
  const auto high = static_cast<uint32_t>(first >> 32);
  const auto low = static_cast<uint32_t>(first);
  for (unsigned i = 0; i < count; i += Stamps::step) {
    const Words seqs = places + (low + i);
    const Words id = link_id ^ (seqs < low ? places * 0 + (high + 1) : places * 0 + high);
    words_at(stamps.seqs, i) = swap_bytes(seqs);
    store_places(stamps, i, words_at(stamps.hop_words, i), swap_bytes(id), words_at(stamps.seqs, i),
                 words_at(stamps.tag_xors, i));
  }
}

// The hop headers, once the checks are known.
void store_hops(Stamps& stamps, unsigned count, uint32_t link_id_be) noexcept {
  const Words id = Words{} + link_id_be;
  for (unsigned i = 0; i < count; i += Stamps::step) {
    words_at(stamps.checks, i) = swap_bytes(words_at(stamps.checks, i));
    store_places(stamps, i, words_at(stamps.hop_words, i), id, words_at(stamps.seqs, i),
                 words_at(stamps.checks, i));
  }
}

// Fields of an mbuf that DPDK keeps side by side for drivers to write together.
uint64_t rearm_word(unsigned data_off, unsigned refcnt, unsigned nb_segs, unsigned port) noexcept {
  static_assert(offsetof(rte_mbuf, refcnt) == offsetof(rte_mbuf, data_off) + 2);
  static_assert(offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, data_off) + 4);
  static_assert(offsetof(rte_mbuf, port) == offsetof(rte_mbuf, data_off) + 6);
  return data_off | uint64_t{refcnt} << 16 | uint64_t{nb_segs} << 32 | uint64_t{port} << 48;
}
uint64_t lengths_word(uint32_t pkt_len, unsigned data_len) noexcept {
  static_assert(offsetof(rte_mbuf, data_len) == offsetof(rte_mbuf, pkt_len) + 4);
  static_assert(offsetof(rte_mbuf, vlan_tci) == offsetof(rte_mbuf, pkt_len) + 6);
  return pkt_len | uint64_t{data_len} << 32;
}

void set_size(rte_mbuf* packet, const uint8_t* data, size_t segment_bytes,
              size_t packet_bytes) noexcept {
  packet->data_off = static_cast<uint16_t>(data - static_cast<const uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<uint16_t>(segment_bytes);
  packet->pkt_len = static_cast<uint32_t>(packet_bytes);
}

// One copy, but for its headers: they are to end where this says.
uint8_t* lay_out(Outgoing& out, Form form, const HeaderPlan& plan, rte_mbuf* packet) noexcept {
  auto* const buffer = static_cast<uint8_t*>(packet->buf_addr);
  const size_t frames_bytes = out.bytes - wire::hop_header_bytes;
  const size_t total = plan.total_bytes();
  uint8_t* const end =
      buffer +
      (form == Form::headroom ? packet->data_off : RTE_PKTMBUF_HEADROOM + plan.reach_bytes());
  packet->ol_flags = plan.ol_flags();
  packet->tx_offload = plan.tx_offload();
  if (form == Form::shared) {
    set_size(packet, end - total, total, total + frames_bytes);
    packet->nb_segs = 2;
    packet->next = out.payload;
  } else {
    if (form == Form::linear) std::memcpy(end, out.frames_data, frames_bytes);
    set_size(packet, end - total, total + frames_bytes, total + frames_bytes);
  }
  if (form != Form::linear) ++out.used;
  return end;
}

// The same for copies by reference, headers included: what costs most where peers are many.
template <HeaderPlan::Kind kind>
void finish_shared(const Batch& batch, const HeaderPlan& plan, const Stamps& stamps,
                   rte_mbuf* const* packets) noexcept {
  // In registers: stores to packets would force their reloading.
  const HeaderPlan::Image image = plan.image();
  const unsigned end_at = RTE_PKTMBUF_HEADROOM + plan.reach_bytes();
  const bool is_long = plan.reach_bytes() > 64;
  const unsigned header_bytes = plan.total_bytes();
  const uint64_t rearm = rearm_word(end_at - header_bytes, 1, 2, RTE_MBUF_PORT_INVALID);
  const uint32_t packet_extra = header_bytes - static_cast<uint32_t>(wire::hop_header_bytes);
  const uint64_t ol_flags = plan.ol_flags();
  const uint64_t tx_offload = plan.tx_offload();
  rte_mbuf* const* const payloads = batch.payloads();
  const auto count = static_cast<unsigned>(batch.all().size());
  for (unsigned i = 0; i < count; ++i) {
    rte_mbuf* const packet = packets[i];
    HeaderPlan::put<kind>(image, is_long, static_cast<uint8_t*>(packet->buf_addr) + end_at,
                          stamps.hops[i].data(), stamps.ip_words[i], stamps.udp_words[i]);
    const uint64_t lengths = lengths_word(stamps.bytes[i] + packet_extra, header_bytes);
    std::memcpy(&packet->rearm_data, &rearm, sizeof rearm);
    std::memcpy(&packet->pkt_len, &lengths, sizeof lengths);
    packet->ol_flags = ol_flags;
    packet->next = payloads[i];
    packet->tx_offload = tx_offload;
  }
}

// And for the only copy of each, in the frames' own buffers.
template <HeaderPlan::Kind kind>
void finish_prepended(const HeaderPlan& plan, const Stamps& stamps, rte_mbuf* const* packets,
                      size_t count) noexcept {
  const HeaderPlan::Image image = plan.image();
  const bool is_long = plan.reach_bytes() > 64;
  const unsigned header_bytes = plan.total_bytes();
  const uint32_t packet_extra = header_bytes - static_cast<uint32_t>(wire::hop_header_bytes);
  const uint64_t ol_flags = plan.ol_flags();
  const uint64_t tx_offload = plan.tx_offload();
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* const packet = packets[i];
    HeaderPlan::put<kind>(image, is_long,
                          static_cast<uint8_t*>(packet->buf_addr) + packet->data_off,
                          stamps.hops[i].data(), stamps.ip_words[i], stamps.udp_words[i]);
    const uint32_t bytes = stamps.bytes[i] + packet_extra;
    const uint64_t lengths = lengths_word(bytes, bytes);
    packet->data_off = static_cast<uint16_t>(packet->data_off - header_bytes);
    std::memcpy(&packet->pkt_len, &lengths, sizeof lengths);
    packet->ol_flags = ol_flags;
    packet->tx_offload = tx_offload;
  }
}

// Link seqs, checks, lengths and checksums of the next `count` datagrams of a lane.
void stamp(hop::TxLane& lane, const HeaderPlan& plan, Stamps& stamps, unsigned count,
           uint64_t bytes) noexcept {
  const uint32_t link_id_be = __builtin_bswap32(lane.link_id);
  store_blocks(stamps, count, lane.link_id, lane.counter + 1);
  if (lane.check_off) {
    std::fill_n(stamps.checks.begin(), count, 0);
  } else {
    crypto::link_checks(lane.key, {stamps.hops.data(), count}, stamps.checks.data());
  }
  store_hops(stamps, count, link_id_be);
  plan.complete(stamps, count, link_id_be);
  lane.counter += count;
  lane.datagrams.add(count);
  lane.bytes.add(bytes);
}

bool has_half(rte_mempool* pool) noexcept {
  return pool != nullptr && free_outside_caches(pool) >= pool->size / 2;
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

// Of the buffer that this form wants; null: none is large enough. `preferred`: for linear ones.
rte_mempool* Copier::source_of(const Outgoing& out, Form form,
                               rte_mempool* preferred) const noexcept {
  if (form == Form::shared) return headers_;
  if (preferred != nullptr &&
      out.bytes + header_data_room_bytes <= rte_pktmbuf_data_room_size(preferred)) {
    return preferred;
  }
  return out.bytes <= linear_bytes_max_ ? payloads_ : nullptr;
}

// Buffers for a prefix of `wanted`; all of it unless a pool is empty. Those of a pool have one
// reference and no chain; lay_out() sets all that is sent.
unsigned Copier::acquire(std::span<Outgoing* const> wanted, const Form* forms,
                         rte_mempool* preferred, rte_mbuf** packets) noexcept {
  const auto count = static_cast<unsigned>(wanted.size());
  std::array<rte_mempool*, batch_max> sources;
  bool is_one = true;
  for (unsigned i = 0; i < count; ++i) {
    sources[i] = forms[i] == Form::headroom ? nullptr : source_of(*wanted[i], forms[i], preferred);
    is_one = is_one && sources[i] != nullptr && sources[i] == sources[0];
  }
  if (is_one && rte_mempool_get_bulk(sources[0], reinterpret_cast<void**>(packets), count) == 0) {
    return count;
  }
  for (unsigned i = 0; i < count; ++i) {
    packets[i] = forms[i] == Form::headroom ? wanted[i]->payload
                 : sources[i] != nullptr    ? rte_pktmbuf_alloc(sources[i])
                                            : nullptr;
    if (packets[i] == nullptr) return i;
  }
  return count;
}

unsigned Copier::make(const Peer& peer, const Way& way, std::span<Outgoing* const> wanted,
                      rte_mbuf** packets) noexcept {
  CC_ASSERT(wanted.size() <= batch_max);
  // A copy, because stores to packets would force the original's reloading.
  const HeaderPlan plan = way.plan;
  std::array<Form, batch_max> forms;
  for (size_t i = 0; i < wanted.size(); ++i) {
    forms[i] = form_of(*wanted[i], peer, plan.reach_bytes());
  }
  rte_mempool* const preferred = has_half(peer.send_pool) ? peer.send_pool : nullptr;
  const unsigned count = acquire(wanted, forms.data(), preferred, packets);
  uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    gather(*wanted[i], stamps_, i, plan.needs_payload_sum());
    bytes += wanted[i]->bytes;
  }
  stamp(*way.lane, plan, stamps_, count, bytes);
  for (unsigned i = 0; i < count; ++i) {
    plan.put(lay_out(*wanted[i], forms[i], plan, packets[i]), stamps_.hops[i].data(),
             stamps_.ip_words[i], stamps_.udp_words[i]);
  }
  return count;
}

bool Copier::make_all(const Way& way, Batch& batch, rte_mbuf** packets) noexcept {
  const auto count = static_cast<unsigned>(batch.all().size());
  // Buffers of a pool have one reference and no chain; finish_shared() sets all that is sent.
  if (rte_mempool_get_bulk(headers_, reinterpret_cast<void**>(packets), count) != 0) return false;
  const HeaderPlan& plan = way.plan;
  Stamps& stamps = batch.stamps(plan.needs_payload_sum());
  stamp(*way.lane, plan, stamps, count, batch.totals().bytes);
  plan.with_kind([&](auto kind) { finish_shared<kind.value>(batch, plan, stamps, packets); });
  batch.count_shared();
  return true;
}

void Copier::prepend_all(const Way& way, Batch& batch, rte_mbuf** packets) noexcept {
  const size_t count = batch.all().size();
  std::copy_n(batch.payloads(), count, packets);
  const HeaderPlan& plan = way.plan;
  Stamps& stamps = batch.stamps(plan.needs_payload_sum());
  stamp(*way.lane, plan, stamps, static_cast<unsigned>(count), batch.totals().bytes);
  plan.with_kind([&](auto kind) { finish_prepended<kind.value>(plan, stamps, packets, count); });
  batch.count_shared();
}

rte_mbuf* Copier::complete(const port::Destination& to, bool udp_offload, bool ipv4_offload,
                           rte_mbuf* datagram) noexcept {
  const HeaderPlan plan(to, udp_offload, ipv4_offload);
  HopWords hop;
  std::memcpy(&hop.low, rte_pktmbuf_mtod(datagram, const uint8_t*), 8);
  std::memcpy(&hop.high, rte_pktmbuf_mtod(datagram, const uint8_t*) + 8, 8);
  Outgoing out = adopt(datagram);
  if (plan.needs_payload_sum()) {
    out.sum = internet_sum(out.frames_data, out.bytes - wire::hop_header_bytes);
  }
  const Form form = out.room >= plan.reach_bytes() ? Form::headroom : Form::linear;
  Outgoing* const wanted = &out;
  rte_mbuf* packet = nullptr;
  acquire({&wanted, 1}, &form, nullptr, &packet);
  if (packet != nullptr) plan.write(lay_out(out, form, plan, packet), out.bytes, hop, out.sum);
  settle(out);
  return packet;
}

}  // namespace chaincast::fanout
