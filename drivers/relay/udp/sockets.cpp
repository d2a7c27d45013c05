// SPDX-License-Identifier: BSD-3-Clause
#include "relay/udp/sockets.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "base/socket_address.hpp"
#include "port/port.hpp"

namespace chaincast::relay {

namespace {

constexpr unsigned batch = 32;
constexpr unsigned batches_per_call_max = 8;  // of one socket
constexpr size_t datagram_bytes_max = 9216;   // a longer one is cut, and fails its check
constexpr int buffer_bytes = 1 << 20;

class UdpSockets final : public punch::Sockets {
 public:
  explicit UdpSockets(std::vector<Descriptor> sockets)
      : sockets_(std::move(sockets)), buffer_(batch * datagram_bytes_max) {}

  void set_receiver(Receiver receiver) override { receiver_ = std::move(receiver); }

  bool send(unsigned socket, const Endpoint& to, ByteSpan datagram) override {
    sockaddr_storage address;
    const socklen_t bytes = to_sockaddr(to, address);
    return ::sendto(sockets_[socket].get(), datagram.data(), datagram.size(),
                    MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), bytes) >= 0;
  }

  void add_poll_fds(std::vector<pollfd>& fds) const override {
    for (const Descriptor& socket : sockets_) fds.push_back({socket.get(), POLLIN, 0});
  }
  TimeNs wake_at_ns() const override { return time_never; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override {
    for (unsigned i = 0; i < fds.size() && i < sockets_.size(); ++i) {
      if (fds[i].revents == 0) continue;
      for (unsigned round = 0; round < batches_per_call_max; ++round) {
        if (!receive(i, now_ns)) break;
      }
    }
  }

 private:
  // False: nothing is left.
  bool receive(unsigned socket, TimeNs now_ns) {
    std::array<mmsghdr, batch> messages{};
    std::array<iovec, batch> vectors{};
    std::array<sockaddr_storage, batch> from{};
    for (unsigned i = 0; i < batch; ++i) {
      vectors[i] = {buffer_.data() + i * datagram_bytes_max, datagram_bytes_max};
      messages[i].msg_hdr.msg_name = &from[i];
      messages[i].msg_hdr.msg_namelen = sizeof from[i];
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got =
        ::recvmmsg(sockets_[socket].get(), messages.data(), batch, MSG_DONTWAIT, nullptr);
    // An error that an earlier datagram came back with: the next call goes on.
    if (got < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
    for (int i = 0; i < got; ++i) {
      const auto index = static_cast<unsigned>(i);
      receiver_(socket, from_sockaddr(from[index]),
                ByteSpan(buffer_.data() + index * datagram_bytes_max, messages[index].msg_len),
                now_ns);
    }
    return static_cast<unsigned>(got) == batch;
  }

  std::vector<Descriptor> sockets_;
  std::vector<uint8_t> buffer_;
  Receiver receiver_;
};

Result<Descriptor> open_one(const Endpoint& at) {
  const auto cannot = [&] {
    return error(ErrorCode::io,
                 fmt::format("[membership] relay: UDP {}: {}; choose an address of this host and "
                             "free ports",
                             port::to_text(at), std::strerror(errno)));
  };
  Descriptor out(
      ::socket(at.is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (out.get() < 0) return cannot();
  // As on links: what a path does not carry is lost, and their probes find the size.
  const int level = at.is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = at.is_ipv6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
  const int dont_fragment = at.is_ipv6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
  const int on = 1, bytes = buffer_bytes;
  ::setsockopt(out.get(), level, option, &dont_fragment, sizeof dont_fragment);
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  ::setsockopt(out.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  if (at.is_ipv6) ::setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  sockaddr_storage address;
  const socklen_t length = to_sockaddr(at, address);
  if (::bind(out.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) return cannot();
  return out;
}

}  // namespace

Result<std::unique_ptr<punch::Sockets>> open_sockets(const Endpoint& address, unsigned count) {
  std::vector<Descriptor> sockets;
  for (unsigned i = 0; i < count; ++i) {
    Endpoint at = address;
    at.port = static_cast<uint16_t>(address.port + i);
    auto one = open_one(at);
    if (!one) return one.error();
    sockets.push_back(std::move(*one));
  }
  return std::unique_ptr<punch::Sockets>(std::make_unique<UdpSockets>(std::move(sockets)));
}

}  // namespace chaincast::relay
