// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/descriptor.hpp"
#include "base/socket_address.hpp"
#include "port/udp/udp.hpp"

// One bound, non-blocking UDP socket and what the kernel granted it.
namespace chaincast::port::udp {

struct Socket {
  Descriptor fd;
  bool is_ipv6 = false;
  bool has_segmentation = false;
  bool has_coalescing = false;
  uint32_t receive_buffer_bytes = 0;
  uint32_t send_buffer_bytes = 0;
};

// Fails with `exists` (port in use), `not_found` (address not on this host), `refused` (privileged
// port) or `io`.
Result<Socket> open_socket(const UdpConfig& config, const Endpoint& address, uint16_t udp_port);

// MTU of the interface that carries the address, or 0.
unsigned interface_mtu(const Endpoint& address);

}  // namespace chaincast::port::udp
