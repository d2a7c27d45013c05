// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "port/udp/udp.hpp"

// One bound, non-blocking UDP socket and what the kernel granted it.
namespace chaincast::port::udp {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

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

// Returns the bytes of `out` in use.
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out) noexcept;
Endpoint from_sockaddr(const sockaddr_storage& address) noexcept;

}  // namespace chaincast::port::udp
