// SPDX-License-Identifier: BSD-3-Clause
#include "port/udp/socket.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chaincast::port::udp {

namespace {

bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// The kernel reports twice what was asked for (it counts its own overhead).
uint32_t granted_buffer(int fd, int forced, int plain, uint32_t wanted_bytes) {
  const int wanted = static_cast<int>(wanted_bytes);
  if (!set_option(fd, SOL_SOCKET, forced, wanted)) set_option(fd, SOL_SOCKET, plain, wanted);
  int granted = 0;
  socklen_t size = sizeof granted;
  getsockopt(fd, SOL_SOCKET, plain, &granted, &size);
  return static_cast<uint32_t>(granted) / 2;
}

Error bind_failure(const UdpConfig& config, const Endpoint& local, int reason) {
  const std::string place = to_text(local);
  if (reason == EADDRINUSE) {
    return error(ErrorCode::exists,
                 fmt::format("port '{}': UDP port {} is in use; see who holds it with `ss -ulpn "
                             "'sport = :{}'`, or choose another udp_port",
                             config.name, place, local.port));
  }
  if (reason == EADDRNOTAVAIL) {
    return error(ErrorCode::not_found,
                 fmt::format("port '{}': address {} is not on this host; see `ip address`, or "
                             "correct the port's address",
                             config.name, address_text(local)));
  }
  if (reason == EACCES) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}': no permission for UDP port {}; choose one above 1023, or "
                             "grant CAP_NET_BIND_SERVICE",
                             config.name, place));
  }
  return error(ErrorCode::io, fmt::format("port '{}': cannot bind {}: {}; see `ip address`",
                                          config.name, place, std::strerror(reason)));
}

}  // namespace

Result<Socket> open_socket(const UdpConfig& config, const Endpoint& address, uint16_t udp_port) {
  Endpoint local = address;
  local.port = udp_port;
  const int family = local.is_ipv6 ? AF_INET6 : AF_INET;
  Socket out;
  out.is_ipv6 = local.is_ipv6;
  out.fd = Descriptor(socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = out.fd.get();
  if (fd < 0) {
    return error(
        ErrorCode::io,
        fmt::format("port '{}': cannot make a socket for {}: {}; is {} enabled?", config.name,
                    to_text(local), std::strerror(errno), local.is_ipv6 ? "IPv6" : "IPv4"));
  }
  if (local.is_ipv6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage storage{};
  const socklen_t size = to_sockaddr(local, storage);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    return bind_failure(config, local, errno);
  }
  // Set DF, ignore the kernel's idea of the path: links probe it themselves (RFC 8899).
  if (local.is_ipv6) {
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  }
  set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  out.has_segmentation = config.use_segmentation && set_option(fd, SOL_UDP, UDP_SEGMENT, 0);
  out.has_coalescing = config.use_coalescing && set_option(fd, SOL_UDP, UDP_GRO, 1);
  out.receive_buffer_bytes =
      granted_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, config.socket_buffer_bytes);
  out.send_buffer_bytes = granted_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, config.socket_buffer_bytes);
  return out;
}

unsigned interface_mtu(const Endpoint& address) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return 0;
  std::string name;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const bool is_ipv6 = entry->ifa_addr->sa_family == AF_INET6;
    if (!is_ipv6 && entry->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, is_ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    const Endpoint found = from_sockaddr(storage);
    // The whole of 127.0.0.0/8 belongs to the loopback interface.
    const bool is_loopback =
        !is_ipv6 && !address.is_ipv6 && found.address[0] == 127 && address.address[0] == 127;
    if (is_ipv6 == address.is_ipv6 && (is_loopback || found.address == address.address)) {
      name = entry->ifa_name;
      break;
    }
  }
  freeifaddrs(list);
  if (name.empty()) return 0;
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  const Descriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 || ioctl(fd.get(), SIOCGIFMTU, &request) != 0) return 0;
  return static_cast<unsigned>(request.ifr_mtu);
}

}  // namespace chaincast::port::udp
