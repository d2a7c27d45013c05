// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/memif.hpp"

#include <fcntl.h>
#include <rte_interrupts.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "port/kinds.hpp"
#include "rcu/rcu.hpp"

// ThreadSanitizer has an own one, and would lose track of memory.
#ifndef __SANITIZE_THREAD__
extern "C" [[gnu::visibility("default")]] int munmap(void* address, size_t length) {
  if (rte_thread_is_intr() == 1) chaincast::rcu::synchronize();
  return static_cast<int>(syscall(SYS_munmap, address, length));
}
#endif

namespace chaincast::port::ethdev {

namespace {

constexpr const char* default_socket = "/run/memif.sock";  // the driver's
constexpr const char* accepts_connections = "00010000";    // __SO_ACCEPTCON, as printed

// As /proc/net/unix writes it: an abstract name begins with '@'.
std::string socket_of(const std::string& device) {
  const std::string given = device_argument(device, "socket");
  const std::string name = given.empty() ? default_socket : given;
  return device_argument(device, "socket-abstract") == "no" ? name : "@" + name;
}

bool is_memif(const std::string& device) {
  return device.starts_with("net_memif");
}

// As socket_of() has it.
std::string name_of(const sockaddr_un& address, socklen_t size) {
  if (address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return "";
  std::string name(address.sun_path, size - offsetof(sockaddr_un, sun_path));
  if (name.front() == '\0') {
    name.front() = '@';
  } else {
    name.resize(std::strlen(name.c_str()));
  }
  return name;
}

// The name that a listening Unix socket is bound to, or "".
std::string listens_on(int fd) {
  int is_listener = 0;
  socklen_t size = sizeof is_listener;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &size) != 0 || is_listener == 0) {
    return "";
  }
  sockaddr_un address{};
  size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return name_of(address, size);
}

// The name that the other end of a Unix socket is bound to, or "".
std::string is_connected_to(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return name_of(address, size);
}

std::vector<int> open_descriptors() {
  std::vector<int> out;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failure)) {
    out.push_back(std::stoi(entry.path().filename().string()));
  }
  return out;
}

}  // namespace

bool is_memif_client(const std::string& device) {
  const std::string role = device_argument(device, "role");
  return is_memif(device) && role != "server" && role != "master";
}

bool has_memif_server(const std::string& device) {
  const std::string wanted = socket_of(device);
  std::ifstream list("/proc/net/unix");
  std::string line;
  while (std::getline(list, line)) {
    // Num RefCount Protocol Flags Type St Inode Path
    std::istringstream words(line);
    std::string flags, skipped, path;
    words >> skipped >> skipped >> skipped >> flags >> skipped >> skipped >> skipped >> path;
    if (flags == accepts_connections && path == wanted) return true;
  }
  return false;
}

bool has_memif_connection(const std::string& device) {
  const std::string wanted = socket_of(device);
  const std::vector<int> open = open_descriptors();
  return std::any_of(open.begin(), open.end(),
                     [&](int fd) { return is_connected_to(fd) == wanted; });
}

void end_memif_listener(const std::string& device, const std::string& others) {
  if (!is_memif(device) || is_memif_client(device)) return;
  const std::string name = socket_of(device);
  std::istringstream rest(others);
  for (std::string other; std::getline(rest, other);) {
    if (is_memif(other) && !is_memif_client(other) && socket_of(other) == name) return;
  }
  for (const int fd : open_descriptors()) {
    if (listens_on(fd) != name) continue;
    const int never_ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (never_ready < 0) return;
    dup3(never_ready, fd, O_CLOEXEC);
    close(never_ready);
  }
}

}  // namespace chaincast::port::ethdev
