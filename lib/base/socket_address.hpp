// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <netinet/in.h>

#include <cstring>

#include "base/ids.hpp"

// Endpoints in the form that the kernel's calls take, and back. Pure; any thread. The calls
// themselves belong to drivers.
namespace chaincast {

// Returns the bytes of `out` in use.
inline socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out) noexcept {
  out = {};
  if (endpoint.is_ipv6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.data(), sizeof in.sin6_addr);
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(endpoint.port);
  std::memcpy(&in.sin_addr, endpoint.address.data(), sizeof in.sin_addr);
  std::memcpy(&out, &in, sizeof in);
  return sizeof in;
}

// Of AF_INET or AF_INET6. IPv4 behind a socket of both families (RFC 4291, section 2.5.5.2) is
// IPv4.
inline Endpoint from_sockaddr(const sockaddr_storage& from) noexcept {
  Endpoint out;
  if (from.ss_family != AF_INET6) {
    sockaddr_in in{};
    std::memcpy(&in, &from, sizeof in);
    out.port = ntohs(in.sin_port);
    std::memcpy(out.address.data(), &in.sin_addr, sizeof in.sin_addr);
    return out;
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &from, sizeof in);
  out.port = ntohs(in.sin6_port);
  out.is_ipv6 = !IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
  constexpr size_t mapped_prefix_bytes = 12;
  if (out.is_ipv6) {
    std::memcpy(out.address.data(), &in.sin6_addr, sizeof in.sin6_addr);
  } else {
    std::memcpy(out.address.data(),
                reinterpret_cast<const uint8_t*>(&in.sin6_addr) + mapped_prefix_bytes, 4);
  }
  return out;
}

}  // namespace chaincast
