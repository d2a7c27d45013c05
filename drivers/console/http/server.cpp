// SPDX-License-Identifier: BSD-3-Clause
#include "console/http/server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "base/socket_address.hpp"
#include "console/http/connection.hpp"
#include "port/port.hpp"

namespace chaincast::console {

namespace {

constexpr int backlog = 16;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  out.bytes = to_sockaddr(endpoint, out.storage);
  return out;
}

uint16_t bound_port(int fd) {
  SocketAddress own;
  own.bytes = sizeof own.storage;
  if (::getsockname(fd, own.get(), &own.bytes) != 0) return 0;
  return from_sockaddr(own.storage).port;
}

Error cannot(const Endpoint& address, const char* what) {
  return error(
      ErrorCode::io,
      fmt::format("[metrics] address {}: cannot {}: {}; choose an address of this host and "
                  "a free port",
                  port::to_text(address), what, std::strerror(errno)));
}

Status bind_and_listen(int fd, const Endpoint& endpoint) {
  const int on = 1;
  SocketAddress address = socket_address(endpoint);
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return cannot(endpoint, "set an option");
  }
  if (::bind(fd, address.get(), address.bytes) != 0) return cannot(endpoint, "bind");
  if (::listen(fd, backlog) != 0) return cannot(endpoint, "listen");
  return {};
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(HttpOptions options,
                                                       std::vector<HttpPage> pages) {
  const int family = options.address.is_ipv6 ? AF_INET6 : AF_INET;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return cannot(options.address, "make a socket");
  if (const Status bound = bind_and_listen(fd, options.address); !bound) {
    ::close(fd);
    return bound.error();
  }
  options.address.port = bound_port(fd);
  return std::unique_ptr<HttpServer>(new HttpServer(options, std::move(pages), fd));
}

HttpServer::HttpServer(HttpOptions options, std::vector<HttpPage> pages, int fd)
    : options_(options), pages_(std::move(pages)), fd_(fd), clients_(fd) {}

HttpServer::~HttpServer() {
  ::close(fd_);
}

void HttpServer::add_poll_fds(std::vector<pollfd>& fds) const {
  clients_.add_poll_fds(fds);
}

TimeNs HttpServer::wake_at_ns() const {
  return clients_.wake_at_ns();
}

void HttpServer::on_ready(std::span<const pollfd> fds, TimeNs now_ns) {
  clients_.serve(fds, now_ns);
  const auto asking = std::find_if(clients_.begin(), clients_.end(),
                                   [](const auto& one) { return one->is_asking(); });
  if (asking != clients_.end()) (*asking)->answer();
  clients_.sweep();
  clients_.accept(fds[0], now_ns, [&] { return accept_client(now_ns); });
}

cli::Accepted HttpServer::accept_client(TimeNs now_ns) {
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return cli::accept_failure(errno);
  if (clients_.size() >= options_.clients_max) {
    ++counters_.refused;
    ::close(fd);
    return cli::Accepted::one;
  }
  ++counters_.accepted;
  clients_.add(std::make_unique<HttpConnection>(fd, options_, pages_, counters_, now_ns));
  return cli::Accepted::one;
}

ops::Json HttpServer::describe() const {
  return ops::Json{{"kind", "http"},
                   {"address", port::to_text(options_.address)},
                   {"clients", clients_.size()},
                   {"clients_max", options_.clients_max},
                   {"accepted", counters_.accepted},
                   {"refused", counters_.refused},
                   {"answered", counters_.answered},
                   {"rejected", counters_.rejected},
                   {"dismissed", counters_.dismissed}};
}

}  // namespace chaincast::console
