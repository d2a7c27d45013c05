// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

// Steers by UDP port with nothing but receive-side scaling. The hash that NICs compute is
// Toeplitz's (Krawczyk, "LFSR-based Hashing and Authentication", CRYPTO '94; its input as in
// Microsoft's "Verifying the RSS Hash Calculation"): the exclusive or of one 32-bit window of the
// key per set bit of the input. A key of zeros but for one bit leaves no window but those of the
// last bits of the input, and these are the destination port's. The table then says which queue.
// Pure; any thread.
namespace chaincast::port::ethdev {

constexpr unsigned hash_key_bytes = 40;  // what DPDK's drivers have; some have more and refuse

struct PortHash {
  std::array<uint8_t, hash_key_bytes> key{};
  std::vector<uint16_t> queue_of;  // by the low bits of the hash
};

// Sends UDP port `base + q` to queue q for each q < queues, and any other port to one of these.
// `table_entries` is what the device has. Nothing where its table is too small, or no power of 2.
// One family only: the bit that shows IPv4's ports would show IPv6's addresses.
std::optional<PortHash> hash_ports(uint16_t base, uint16_t queues, bool is_ipv6,
                                   unsigned table_entries);

}  // namespace chaincast::port::ethdev
