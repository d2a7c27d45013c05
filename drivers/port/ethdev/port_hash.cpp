// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/port_hash.hpp"

#include <bit>

namespace chaincast::port::ethdev {

namespace {

constexpr unsigned window_bits = 32;
// Addresses and ports.
constexpr unsigned input_bits_v4 = 2 * 32 + 2 * 16;
constexpr unsigned input_bits_v6 = 2 * 128 + 2 * 16;

// The hash of a port under the key: its low bits, last one first.
unsigned reversed(unsigned port, unsigned bits) {
  unsigned out = 0;
  for (unsigned i = 0; i < bits; ++i) out |= (port >> i & 1) << (bits - 1 - i);
  return out;
}

}  // namespace

std::optional<PortHash> hash_ports(uint16_t base, uint16_t queues, bool is_ipv6,
                                   unsigned table_entries) {
  if (queues < 2 || !std::has_single_bit(table_entries) || table_entries < queues) return {};
  const auto bits = static_cast<unsigned>(std::bit_width(queues - 1u));
  // Bit i of the input sees bits i to i + 31 of the key, the last one as the hash's lowest.
  const unsigned shown = (is_ipv6 ? input_bits_v6 : input_bits_v4) + window_bits - 1 - bits;
  PortHash out;
  out.key[shown / 8] = static_cast<uint8_t>(0x80u >> shown % 8);
  out.queue_of.assign(table_entries, 0);
  for (unsigned q = 0; q < queues; ++q) {
    const unsigned hash = reversed(base + q, bits);
    // The hash has no higher bits.
    out.queue_of[hash] = static_cast<uint16_t>(q);
  }
  return out;
}

}  // namespace chaincast::port::ethdev
