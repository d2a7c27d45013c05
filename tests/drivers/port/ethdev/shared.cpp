// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/port/ethdev/shared.hpp"

#include <algorithm>

#include "support/mbufs.hpp"

namespace chaincast::port::test {

InterfaceAddress interface_address(const std::string& address, uint8_t prefix_bits) {
  return {parse_address(address).value(), prefix_bits};
}

std::vector<rte_mbuf*> make_copies(rte_mempool* pool, const Destination& to, ByteSpan payload,
                                   unsigned count, const Capabilities& capabilities) {
  const Offload offload{capabilities.udp_checksum, capabilities.ipv4_checksum};
  const uint32_t payload_sum = sum_bytes(payload.data(), payload.size());
  rte_mbuf* shared = nullptr;
  if (capabilities.shared_segments) shared = chaincast::test::make_packet(pool, payload);
  std::vector<rte_mbuf*> out;
  for (unsigned i = 0; i < count; ++i) {
    rte_mbuf* head = rte_pktmbuf_alloc(pool);
    CC_ASSERT(head != nullptr);
    auto* room = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(head, to.header_bytes));
    std::memcpy(room, to.header.data(), to.header_bytes);
    complete_headers(room, to, static_cast<uint16_t>(payload.size()), payload_sum, offload);
    set_offload(head, to, offload);
    if (shared != nullptr) {
      rte_mbuf_refcnt_update(shared, 1);
      CC_ASSERT(rte_pktmbuf_chain(head, shared) == 0);
    } else {
      std::ranges::copy(payload, rte_pktmbuf_append(head, static_cast<uint16_t>(payload.size())));
    }
    out.push_back(head);
  }
  rte_pktmbuf_free(shared);
  return out;
}

std::string unique_device(const std::string& prefix) {
  static unsigned serial = 0;
  return prefix + std::to_string(serial++);
}

}  // namespace chaincast::port::test
