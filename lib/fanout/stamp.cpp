// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/stamp.hpp"

#include <immintrin.h>

#include "base/assert.hpp"

namespace chaincast::fanout {

namespace {

uint32_t load16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

uint32_t load32(const uint8_t* p) noexcept {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

uint32_t small_sum(const uint8_t* data, size_t bytes) noexcept {
  uint64_t sum = 0;
  size_t i = 0;
  for (; i + 4 <= bytes; i += 4) sum += load32(data + i);
  if (i + 2 <= bytes) {
    sum += load16(data + i);
    i += 2;
  }
  if (i < bytes) sum += data[i];
  return fold_sum(sum);
}

#if !defined(__clang__) || __clang_major__ >= 16
#define CC_WIDE_SUM __attribute__((target("avx512f,avx512bw,avx512vnni")))

bool has_wide_sum() noexcept {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
}

// Bytes at even and at odd offsets apart: VNNI multiplies each with 1 or 0 and adds four of them to
// a 32-bit lane. All lanes of 64 KB together stay below 2^32.
struct WideSum {
  __m512i even;
  __m512i odd;
};

CC_WIDE_SUM inline void add_wide(WideSum& sum, __m512i bytes) noexcept {
  sum.even = _mm512_dpbusd_epi32(sum.even, bytes, _mm512_set1_epi16(0x0001));
  sum.odd = _mm512_dpbusd_epi32(sum.odd, bytes, _mm512_set1_epi16(0x0100));
}

CC_WIDE_SUM uint32_t payload_sum_wide(const uint8_t* data, size_t bytes) noexcept {
  WideSum first = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  WideSum second = first;
  size_t i = 0;
  for (; i + 128 <= bytes; i += 128) {
    add_wide(first, _mm512_loadu_si512(data + i));
    add_wide(second, _mm512_loadu_si512(data + i + 64));
  }
  if (i + 64 <= bytes) {
    add_wide(first, _mm512_loadu_si512(data + i));
    i += 64;
  }
  add_wide(second, _mm512_maskz_loadu_epi8((uint64_t{1} << (bytes - i)) - 1, data + i));
  const __m512i even = _mm512_add_epi32(first.even, second.even);
  const __m512i odd = _mm512_add_epi32(first.odd, second.odd);
  // Maskz forms and a detour by memory: GCC 12 warns of its own "undefined" operands elsewhere.
  alignas(64) std::array<uint32_t, 16> lanes;
  _mm512_store_si512(lanes.data(), _mm512_add_epi32(even, _mm512_maskz_slli_epi32(0xffff, odd, 8)));
  uint64_t sum = 0;
  for (const uint32_t lane : lanes) sum += lane;
  return fold_sum(sum);
}
#endif

}  // namespace

uint32_t payload_sum(const uint8_t* data, size_t bytes) noexcept {
#ifdef CC_WIDE_SUM
  if (has_wide_sum()) return payload_sum_wide(data, bytes);
#endif
  return payload_sum_avx2(data, bytes);
}

uint32_t payload_sum_avx2(const uint8_t* data, size_t bytes) noexcept {
  // 32-bit words in 64-bit lanes: no carry is lost, and the fold is exact at the end.
  const __m256i low_half = _mm256_set1_epi64x(0xffffffff);
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i));
    even = _mm256_add_epi64(even, _mm256_and_si256(words, low_half));
    odd = _mm256_add_epi64(odd, _mm256_srli_epi64(words, 32));
  }
  alignas(32) std::array<uint64_t, 4> lanes;
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), _mm256_add_epi64(even, odd));
  const uint64_t sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  return fold_sum(uint64_t{fold_sum(sum)} + small_sum(data + i, bytes - i));
}

HeaderPlan::HeaderPlan(const port::Destination& to, bool udp_offload, bool ipv4_offload) noexcept
    : header_bytes_(to.header_bytes),
      reach_bytes_(to.header_bytes + wire::hop_header_bytes <= 64 ? 64 : reach_max_bytes),
      ip_extra_bytes_(to.l3_bytes == 40 ? 8 : 28) {
  if (header_bytes_ == 0) return;
  CC_ASSERT(header_bytes_ == to.l2_bytes + to.l3_bytes + 8u);
  CC_ASSERT(header_bytes_ <= to.header.size());
  const bool is_ipv6 = to.l3_bytes == 40;
  kind_ = is_ipv6 ? Kind::ipv6 : Kind::ipv4;
  uint8_t* const header = image_.data() + reach_max_bytes - wire::hop_header_bytes - header_bytes_;
  std::memcpy(header, to.header.data(), header_bytes_);
  uint8_t* const ip = header + to.l2_bytes;
  uint8_t* const udp = ip + to.l3_bytes;
  std::memset(udp + 4, 0, 4);
  if (is_ipv6) {
    pseudo_sum_ = small_sum(ip + 8, 32);
  } else {
    std::memset(ip + 2, 0, 2);
    std::memset(ip + 10, 0, 2);
    pseudo_sum_ = small_sum(ip + 12, 8);
    ip_sum_ = small_sum(ip, to.l3_bytes);
  }
  pseudo_sum_ += __builtin_bswap16(17);  // the protocol number
  ports_sum_ = small_sum(udp, 4);
  if (!udp_offload) software_udp_ = ~0u;
  if (!is_ipv6 && !ipv4_offload) software_ipv4_ = ~0u;
  if (udp_offload) ol_flags_ |= RTE_MBUF_F_TX_UDP_CKSUM;
  if (ipv4_offload && !is_ipv6) ol_flags_ |= RTE_MBUF_F_TX_IP_CKSUM;
  if (ol_flags_ != 0) ol_flags_ |= is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
  tx_offload_ = rte_mbuf_tx_offload(to.l2_bytes, to.l3_bytes, 0, 0, 0, 0, 0);
}

void HeaderPlan::complete(Stamps& stamps, unsigned count, uint32_t link_id_be) const noexcept {
  const auto words = [](std::array<uint32_t, Stamps::max>& of, unsigned at) -> Words& {
    return *reinterpret_cast<Words*>(of.data() + at);
  };
  const auto halves = [](auto word) { return (word & 0xffff) + (word >> 16); };
  // Nobody else knows this copy's address, so that stores to `stamps` do not force its reloading.
  const HeaderPlan plan = *this;
  for (unsigned i = 0; i < count; i += Stamps::step) {
    const Words bytes = words(stamps.bytes, i);
    const Words hop_sum = halves(words(stamps.hop_words, i)) + halves(words(stamps.seqs, i)) +
                          halves(words(stamps.checks, i)) + halves(link_id_be);
    words(stamps.ip_words, i) = plan.ip_word(bytes);
    words(stamps.udp_words, i) = plan.udp_word(bytes, hop_sum + words(stamps.sums, i));
  }
}

}  // namespace chaincast::fanout
