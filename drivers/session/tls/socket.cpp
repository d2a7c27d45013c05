// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/socket.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/socket_address.hpp"
#include "port/port.hpp"

namespace chaincast::session::tls {

namespace {

constexpr int backlog = 128;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  out.bytes = to_sockaddr(endpoint, out.storage);
  return out;
}

Error cannot(const Endpoint& address, const char* what) {
  return error(ErrorCode::io, fmt::format("sessions: address {}: cannot {}: {}; choose an address "
                                          "of this host and a free port",
                                          port::to_text(address), what, std::strerror(errno)));
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Descriptor make_socket(const Endpoint& address) {
  return Descriptor(::socket(address.is_ipv6 ? AF_INET6 : AF_INET,
                             SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Result<Listening> listen_at(const Endpoint& endpoint) {
  Listening out{make_socket(endpoint), endpoint};
  const int fd = out.fd.get();
  if (fd < 0) return cannot(endpoint, "make a socket");
  const int on = 1, off = 0;
  SocketAddress address = socket_address(endpoint);
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (endpoint.is_ipv6 && ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)) {
    return cannot(endpoint, "set an option");
  }
  if (::bind(fd, address.get(), address.bytes) != 0) return cannot(endpoint, "bind");
  if (::listen(fd, backlog) != 0) return cannot(endpoint, "listen");
  SocketAddress bound;
  if (::getsockname(fd, bound.get(), &bound.bytes) != 0) return cannot(endpoint, "ask for a port");
  out.address.port = from_sockaddr(bound.storage).port;
  return out;
}

Dialled dial(const Endpoint& endpoint, const Endpoint& from) {
  Dialled out{make_socket(endpoint), 0};
  if (out.fd.get() < 0) {
    out.code = errno;
    return out;
  }
  send_at_once(out.fd.get());
  SocketAddress address = socket_address(endpoint);
  if (from.is_ipv6 == endpoint.is_ipv6 && from.address != Endpoint{}.address) {
    Endpoint any_port = from;
    any_port.port = 0;
    SocketAddress own = socket_address(any_port);
    const int on = 1;  // the port is chosen with the other end in view: there are enough
    ::setsockopt(out.fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(out.fd.get(), own.get(), own.bytes) != 0) {
      out.code = errno;
      out.fd = Descriptor();
      return out;
    }
  }
  if (::connect(out.fd.get(), address.get(), address.bytes) != 0 && errno != EINPROGRESS) {
    out.code = errno;
    out.fd = Descriptor();
  }
  return out;
}

int dial_result(int fd) {
  int code = 0;
  socklen_t bytes = sizeof code;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) != 0) return errno;
  if (code != 0) return code;
  pollfd one{fd, POLLOUT, 0};
  return ::poll(&one, 1, 0) == 1 ? 0 : EINPROGRESS;
}

AcceptedSocket accept_one(int listening) {
  SocketAddress from;
  AcceptedSocket out;
  out.fd = Descriptor(::accept4(listening, from.get(), &from.bytes, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (out.fd.get() < 0) {
    out.code = errno;
    return out;
  }
  send_at_once(out.fd.get());
  out.from = from_sockaddr(from.storage);
  return out;
}

bool discard(int fd, size_t max) {
  std::array<uint8_t, 4096> buffer;
  for (size_t bytes = 0; bytes < max;) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN;
    bytes += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace chaincast::session::tls
