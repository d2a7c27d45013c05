// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "console/unix/address.hpp"
#include "console/unix/connection.hpp"

namespace chaincast::console {

namespace {

constexpr int backlog = 64;

Error cannot(const std::string& path, const char* what, const char* remedy) {
  return error(ErrorCode::io, fmt::format("control socket {}: {}: {}; {}", path, what,
                                          std::strerror(errno), remedy));
}

// Does somebody accept connections there?
bool is_answered(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  const int code = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // A full backlog is somebody, too.
  const bool answered = code == 0 || errno == EAGAIN;
  ::close(fd);
  return answered;
}

Status clear_way(const std::string& path, const sockaddr_un& address) {
  struct stat known {};
  if (::lstat(path.c_str(), &known) != 0) return {};
  if (!S_ISSOCK(known.st_mode)) {
    return error(ErrorCode::exists,
                 fmt::format("control socket {}: a file that is no socket is there; remove it or "
                             "set another [node] socket",
                             path));
  }
  if (is_answered(address)) {
    return error(ErrorCode::exists,
                 fmt::format("control socket {}: in use by a running node; stop that one "
                             "(chaincastctl --socket {} quit) or set another [node] socket",
                             path, path));
  }
  if (::unlink(path.c_str()) != 0) {
    return cannot(path, "cannot remove the stale one", "remove it, or run as its owner");
  }
  return {};
}

Status bind_and_listen(int fd, const std::string& path, const sockaddr_un& address) {
  // Before bind: the file takes over the descriptor's mode, so it is never open to others.
  if (::fchmod(fd, 0600) != 0) return cannot(path, "cannot set mode 0600", "check the system");
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return cannot(path, "cannot bind",
                  "make its directory writable for this user, or set another [node] socket");
  }
  if (::listen(fd, backlog) != 0) return cannot(path, "cannot listen", "check the system");
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, cli::Service& service) {
  const auto address = socket_address(options.path);
  if (!address) return address.error();
  const auto directory = std::filesystem::path(options.path).parent_path();
  if (!directory.empty()) ::mkdir(directory.c_str(), 0755);
  const Status clear = clear_way(options.path, *address);
  if (!clear) return clear.error();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return cannot(options.path, "cannot make a socket", "check the descriptor limit");
  const Status bound = bind_and_listen(fd, options.path, *address);
  if (!bound) {
    ::close(fd);
    return bound.error();
  }
  return std::unique_ptr<Server>(new Server(std::move(options), service, fd));
}

Server::Server(ServerOptions options, cli::Service& service, int fd)
    : options_(std::move(options)), service_(service), fd_(fd), clients_(fd) {
  struct stat own {};
  if (::lstat(options_.path.c_str(), &own) == 0) {
    device_ = own.st_dev;
    inode_ = own.st_ino;
  }
}

Server::~Server() {
  for (const auto& client : clients_) client->flush(0);
  clients_.clear();
  struct stat found {};
  const bool ours = ::lstat(options_.path.c_str(), &found) == 0 && found.st_dev == device_ &&
                    found.st_ino == inode_;
  if (ours) ::unlink(options_.path.c_str());
  ::close(fd_);
}

void Server::add_poll_fds(std::vector<pollfd>& fds) const {
  clients_.add_poll_fds(fds);
}

TimeNs Server::wake_at_ns() const {
  return clients_.wake_at_ns();
}

void Server::on_ready(std::span<const pollfd> fds, TimeNs now_ns) {
  clients_.serve(fds, now_ns);
  clients_.sweep();
  clients_.accept(fds[0], now_ns, [&] { return accept_client(now_ns); });
}

cli::Accepted Server::accept_client(TimeNs now_ns) {
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return cli::accept_failure(errno);
  if (clients_.size() >= options_.clients_max) {
    ++counters_.refused;
    const Bytes text = local::message(
        local::Type::error,
        as_bytes(fmt::format("{} clients already; close one", options_.clients_max)));
    [[maybe_unused]] const ssize_t sent =
        ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(fd);
    return cli::Accepted::one;
  }
  ++counters_.accepted;
  clients_.add(std::make_unique<Connection>(fd, options_, service_, counters_, now_ns));
  return cli::Accepted::one;
}

ops::Json to_json(const ServerCounters& counters) {
  return ops::Json{{"accepted", counters.accepted},
                   {"refused", counters.refused},
                   {"dismissed", counters.dismissed},
                   {"commands", counters.commands},
                   {"published_objects", counters.published_objects},
                   {"withheld", counters.withheld},
                   {"delivered_objects", counters.delivered_objects},
                   {"output_full", counters.output_full},
                   {"loss_notices", counters.loss_notices},
                   {"origin_notices", counters.origin_notices},
                   {"too_long", counters.too_long},
                   {"rings", counters.rings},
                   {"ring_bytes", counters.ring_bytes}};
}

ops::Json Server::describe() const {
  ops::Json out{{"kind", "unix"},
                {"path", options_.path},
                {"clients", clients_.size()},
                {"clients_max", options_.clients_max}};
  out.update(to_json(counters_));
  return out;
}

}  // namespace chaincast::console
