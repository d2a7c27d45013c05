// SPDX-License-Identifier: BSD-3-Clause
#include "console/feed/feed.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::console {

namespace {

constexpr unsigned datagrams_per_turn_max = 256;
constexpr size_t bytes_per_turn_max = 4u << 20;
constexpr size_t buffer_bytes = 65'536;  // no datagram is longer
constexpr int socket_buffer_bytes = 4 << 20;
constexpr TimeNs retry_ns = ns_per_ms;

sockaddr_in to_sockaddr(const Endpoint& endpoint) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(endpoint.port);
  std::memcpy(&out.sin_addr, endpoint.address.data(), sizeof out.sin_addr);
  return out;
}

Endpoint from_sockaddr(const sockaddr_in& address) {
  Endpoint out;
  std::memcpy(out.address.data(), &address.sin_addr, sizeof address.sin_addr);
  out.port = ntohs(address.sin_port);
  return out;
}

Error cannot(const std::string& stream, const char* what) {
  return error(ErrorCode::io,
               fmt::format("feed of stream {}: cannot {} a UDP socket on 127.0.0.1: {}; look for "
                           "what uses up descriptors or ports",
                           stream, what, std::strerror(errno)));
}

// What the socket has dropped so far for want of room, which comes with each datagram.
std::optional<uint32_t> overrun_of(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_RXQ_OVFL) continue;
    uint32_t count = 0;
    std::memcpy(&count, CMSG_DATA(part), sizeof count);
    return count;
  }
  return std::nullopt;
}

}  // namespace

Feed::Feed(int fd, const FeedOptions& options, cli::Service& service)
    : fd_(fd), service_(service), buffer_(buffer_bytes) {
  feed::Socket& socket = *this;
  if (options.is_host) {
    intake_.emplace(service, options.stream, options.size_max, socket);
  } else {
    outlet_.emplace(socket);
  }
}

Result<std::unique_ptr<Feed>> Feed::open(const FeedOptions& options, cli::Service& service) {
  if (auto known = service.stream(options.stream); !known) return known.error();
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return cannot(options.stream, "make");
  std::unique_ptr<Feed> feed(new Feed(fd, options, service));
  if (Status bound = feed->bind(); !bound) return cannot(options.stream, "bind");
  if (!feed->outlet_) return feed;
  auto subscribed = service.subscribe(options.stream, &*feed->outlet_);
  if (!subscribed) return subscribed.error();
  feed->subscription_ = *subscribed;
  return feed;
}

Feed::~Feed() {
  if (subscription_) service_.unsubscribe(*subscription_);
  ::close(fd_);
}

Status Feed::bind() {
  // As much as the kernel grants; what it grants at least is enough for one object.
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
  sockaddr_in address = to_sockaddr(Endpoint{{127, 0, 0, 1}, 0, false});
  socklen_t bytes = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd_, any, bytes) != 0 || ::getsockname(fd_, any, &bytes) != 0) {
    return error(ErrorCode::io, "");
  }
  udp_port_ = ntohs(address.sin_port);
  return {};
}

void Feed::add_poll_fds(std::vector<pollfd>& fds) const {
  const bool is_full = intake_ && intake_->is_holding();
  fds.push_back({fd_, static_cast<short>(is_full ? 0 : POLLIN), 0});
}

TimeNs Feed::wake_at_ns() const {
  const bool is_held = intake_ && (intake_->is_holding() || owes_answers_);
  if (is_held || (outlet_ && outlet_->is_blocked())) return now_ns_ + retry_ns;
  return outlet_ ? outlet_->wake_at_ns() : time_never;
}

void Feed::on_ready(std::span<const pollfd>, TimeNs now_ns) {
  now_ns_ = now_ns;
  if (intake_ && intake_->is_holding()) intake_->retry();
  receive(now_ns);
  if (intake_) owes_answers_ = !intake_->answer();
  if (outlet_) outlet_->turn(now_ns);
}

void Feed::receive(TimeNs now_ns) {
  size_t total = 0;
  for (unsigned i = 0; i < datagrams_per_turn_max && total < bytes_per_turn_max; ++i) {
    if (intake_ && intake_->is_holding()) return;
    sockaddr_in from{};
    iovec part{buffer_.data(), buffer_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint32_t))> control;
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd_, &message, 0);
    if (got < 0) return;
    if (const auto overrun = overrun_of(message)) overrun_.raise_to(*overrun);
    const ByteSpan datagram(buffer_.data(), static_cast<size_t>(got));
    total += datagram.size();
    if (intake_) {
      intake_->receive(from_sockaddr(from), datagram, now_ns);
    } else {
      outlet_->receive(from_sockaddr(from), datagram, now_ns);
    }
  }
}

bool Feed::send(const Endpoint& to, ByteSpan datagram) {
  const sockaddr_in address = to_sockaddr(to);
  const ssize_t sent = ::sendto(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // What else may fail is the receiver's matter: it is not there, or it is not reached.
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

ops::Json Feed::describe() const {
  ops::Json out{{"kind", "feed"}, {"udp_port", udp_port_}, {"overrun", overrun_.read()}};
  if (intake_) {
    const feed::IntakeCounters& counters = intake_->counters();
    out.update({{"objects", counters.objects.read()},
                {"bytes", counters.bytes.read()},
                {"withheld", counters.withheld.read()},
                {"too_long", counters.too_long.read()},
                {"failed", counters.failed.read()},
                {"foreign", counters.foreign.read()},
                {"asked", counters.asked.read()},
                {"unanswered", counters.unanswered.read()}});
  } else {
    const feed::OutletCounters& counters = outlet_->counters();
    out.update({{"objects", counters.objects.read()},
                {"bytes", counters.bytes.read()},
                {"full", counters.full.read()},
                {"too_long", counters.too_long.read()},
                {"empty", counters.empty.read()},
                {"lost_frames", counters.lost_frames.read()},
                {"unseen", counters.unseen.read()},
                {"foreign", counters.foreign.read()},
                {"malformed", counters.malformed.read()},
                {"second_reader", counters.second_reader.read()},
                {"requests", counters.requests.read()}});
  }
  return out;
}

}  // namespace chaincast::console
