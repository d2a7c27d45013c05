// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <string>
#include <vector>

#include "port/ethdev/ethdev.hpp"
#include "port/packets.hpp"

// Copies as fanout makes them, for the ethdev tests.
namespace chaincast::port::test {

InterfaceAddress interface_address(const std::string& address, uint8_t prefix_bits);

// `count` packets to one remote: a stamped header mbuf each, all chained to one payload by
// reference, or linear. Checksums by the device where `capabilities` say so.
std::vector<rte_mbuf*> make_copies(rte_mempool* pool, const Destination& to, ByteSpan payload,
                                   unsigned count, const Capabilities& capabilities);

// A unique device name with this prefix, e.g. "net_ring7".
std::string unique_device(const std::string& prefix);

}  // namespace chaincast::port::test
