// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/channel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "console/unix/address.hpp"

namespace chaincast::console {

namespace {

constexpr size_t receive_chunk_bytes = 256 * 1024;
constexpr size_t kept_bytes_max = 64 * 1024;

const char* remedy_for(int code) {
  if (code == ENOENT) return "is the node running, and is this its [node] socket?";
  if (code == ECONNREFUSED) return "nobody answers: start the node";
  if (code == EACCES || code == EPERM) return "run as the user the node runs as (mode 0600)";
  return "check the path";
}

Error no_descriptor(const std::string& path) {
  return error(ErrorCode::io, fmt::format("control socket {}: {}; raise the limit of open files",
                                          path, std::strerror(errno)));
}

}  // namespace

Result<Channel> Channel::connect(const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return address.error();
  // Connecting may block, so that a node whose backlog is full is waited for.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return no_descriptor(path);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int code = errno;
    ::close(fd);
    return error(ErrorCode::io, fmt::format("control socket {}: {}; {}", path, std::strerror(code),
                                            remedy_for(code)));
  }
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (epoll < 0 || ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) != 0) {
    const Error failure = no_descriptor(path);
    ::close(fd);
    if (epoll >= 0) ::close(epoll);
    return failure;
  }
  return Channel(fd, epoll, path);
}

Channel::Channel(int fd, int epoll, std::string path)
    : fd_(fd), epoll_(epoll), path_(std::move(path)) {}

Channel::Channel(Channel&& other) noexcept {
  *this = std::move(other);
}

Channel& Channel::operator=(Channel&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(epoll_, other.epoll_);
  std::swap(path_, other.path_);
  std::swap(out_, other.out_);
  std::swap(out_start_, other.out_start_);
  std::swap(is_blocked_, other.is_blocked_);
  std::swap(watches_output_, other.watches_output_);
  std::swap(ahead_, other.ahead_);
  std::swap(ahead_start_, other.ahead_start_);
  std::swap(ahead_end_, other.ahead_end_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

Channel::~Channel() {
  if (epoll_ >= 0) ::close(epoll_);
  if (fd_ >= 0) ::close(fd_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

int Channel::take_descriptor() {
  return std::exchange(descriptor_, -1);
}

Error Channel::lost(const std::string& why) const {
  return error(ErrorCode::io,
               fmt::format("control socket {}: {}; has the node stopped?", path_, why));
}

void Channel::send(local::Type type, ByteSpan head, ByteSpan tail, bool more) {
  std::array<uint8_t, local::message_header_bytes> start;
  start[0] = static_cast<uint8_t>(type);
  store_be32(start.data() + 1, static_cast<uint32_t>(head.size() + tail.size()));
  out_.insert(out_.end(), start.begin(), start.end());
  out_.insert(out_.end(), head.begin(), head.end());
  out_.insert(out_.end(), tail.begin(), tail.end());
  if (!more || out_.size() - out_start_ >= kept_bytes_max) flush();
}

void Channel::flush() {
  is_blocked_ = false;
  while (out_start_ < out_.size()) {
    const ssize_t sent = ::send(fd_, out_.data() + out_start_, out_.size() - out_start_,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    is_blocked_ = sent < 0 && errno == EAGAIN;
    if (is_blocked_) break;
    // The node has closed. What it said before is still to be read, and then the end.
    out_start_ = sent < 0 ? out_.size() : out_start_ + static_cast<size_t>(sent);
  }
  if (!is_blocked_) {
    out_.clear();
    out_start_ = 0;
  }
  watch();
}

void Channel::watch() {
  if (watches_output_ == output_waits()) return;
  watches_output_ = output_waits();
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (watches_output_) interest.events |= EPOLLOUT;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &interest);
}

Status Channel::wait(TimeNs deadline_ns) const {
  const MonotonicClock clock;
  for (;;) {
    int wait_ms = -1;
    if (deadline_ns != time_never) {
      const TimeNs now = clock.now_ns();
      const TimeNs left_ms = now < deadline_ns ? (deadline_ns - now) / ns_per_ms + 1 : 0;
      wait_ms = static_cast<int>(std::min<TimeNs>(left_ms, 3'600'000));
    }
    pollfd waiting{epoll_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, wait_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return lost(std::strerror(errno));
    if (ready == 0 && wait_ms < 3'600'000) {
      return error(
          ErrorCode::timeout,
          fmt::format("control socket {}: nothing came in time; is the node overloaded?", path_));
    }
  }
}

// Zero: not all of it is there.
size_t Channel::whole_message_bytes() const {
  const size_t there = ahead_end_ - ahead_start_;
  if (there < local::message_header_bytes) return 0;
  const size_t whole =
      local::message_header_bytes + local::load_header(ahead_.data() + ahead_start_).body_bytes;
  return whole <= there ? whole : 0;
}

// The kernel closes what the buffer has no room for; the node sends one at a time.
void Channel::keep_descriptor(msghdr& message) {
  const cmsghdr* part = CMSG_FIRSTHDR(&message);
  if (part == nullptr || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) return;
  if (part->cmsg_len != CMSG_LEN(sizeof(int))) return;
  if (descriptor_ >= 0) ::close(descriptor_);
  std::memcpy(&descriptor_, CMSG_DATA(part), sizeof descriptor_);
}

Status Channel::fill() {
  if (ahead_start_ == ahead_end_) ahead_start_ = ahead_end_ = 0;
  if (ahead_.size() - ahead_end_ < receive_chunk_bytes) {
    if (ahead_start_ > 0) {
      std::copy(ahead_.begin() + static_cast<ptrdiff_t>(ahead_start_),
                ahead_.begin() + static_cast<ptrdiff_t>(ahead_end_), ahead_.begin());
    }
    ahead_end_ -= ahead_start_;
    ahead_start_ = 0;
    if (ahead_.size() - ahead_end_ < receive_chunk_bytes) {
      ahead_.resize(std::max(2 * ahead_.size(), 2 * receive_chunk_bytes));
    }
  }
  iovec room{ahead_.data() + ahead_end_, ahead_.size() - ahead_end_};
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got >= 0) keep_descriptor(message);
  if (got == 0) return lost("closed by the node");
  if (got < 0 && errno != EINTR && errno != EAGAIN) return lost(std::strerror(errno));
  if (got > 0) ahead_end_ += static_cast<size_t>(got);
  return {};
}

Result<std::optional<Channel::Message>> Channel::take() {
  size_t whole = whole_message_bytes();
  if (whole == 0) {
    // Output first: the node answers what it has got.
    flush();
    const Status filled = fill();
    if (!filled) return filled.error();
    whole = whole_message_bytes();
  }
  if (ahead_end_ - ahead_start_ < local::message_header_bytes) return std::optional<Message>();
  const uint8_t* at = ahead_.data() + ahead_start_;
  const local::Header header = local::load_header(at);
  if (header.body_bytes > local::object_header_bytes + 2 * local::object_bytes_limit) {
    return lost(fmt::format("a message of {} bytes makes no sense", header.body_bytes));
  }
  if (whole == 0) return std::optional<Message>();
  ahead_start_ += whole;
  const ByteSpan body(at + local::message_header_bytes, header.body_bytes);
  if (header.type == local::Type::error) {
    ByteReader reader(body);
    return error(ErrorCode::refused,
                 fmt::format("control socket {}: {}", path_, local::rest_text(reader)));
  }
  return std::optional<Message>({header.type, body});
}

}  // namespace chaincast::console
