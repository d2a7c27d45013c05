// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/stamp.hpp"

#include "base/assert.hpp"

namespace chaincast::fanout {

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
    pseudo_sum_ = internet_sum(ip + 8, 32);
  } else {
    std::memset(ip + 2, 0, 2);
    std::memset(ip + 10, 0, 2);
    pseudo_sum_ = internet_sum(ip + 12, 8);
    ip_sum_ = internet_sum(ip, to.l3_bytes);
  }
  pseudo_sum_ += __builtin_bswap16(17);  // the protocol number
  ports_sum_ = internet_sum(udp, 4);
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
