// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "console/unix/address.hpp"

namespace chaincast::console {

namespace {

constexpr size_t receive_chunk_bytes = 256 * 1024;

int64_t now_ms() {
  return static_cast<int64_t>(MonotonicClock().now_ns() / ns_per_ms);
}

const char* remedy_for(int code) {
  if (code == ENOENT) return "is the node running, and is this its [node] socket?";
  if (code == ECONNREFUSED) return "nobody answers: start the node";
  if (code == EACCES || code == EPERM) return "run as the user the node runs as (mode 0600)";
  return "check the path";
}

}  // namespace

Result<Client> Client::connect(const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return address.error();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return chaincast::error(ErrorCode::io, fmt::format("control socket {}: {}; raise the limit of "
                                                       "open files",
                                                       path, std::strerror(errno)));
  }
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int code = errno;
    ::close(fd);
    return chaincast::error(ErrorCode::io, fmt::format("control socket {}: {}; {}", path,
                                                       std::strerror(code), remedy_for(code)));
  }
  return Client(fd, path);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      events_(std::move(other.events_)),
      ahead_(std::move(other.ahead_)),
      ahead_start_(std::exchange(other.ahead_start_, 0)) {}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(events_, other.events_);
  std::swap(ahead_, other.ahead_);
  std::swap(ahead_start_, other.ahead_start_);
  return *this;
}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Error Client::lost(const std::string& why) const {
  return chaincast::error(ErrorCode::io,
                          fmt::format("control socket {}: {}; has the node stopped?", path_, why));
}

Status Client::send(Type type, ByteSpan body) {
  const Bytes whole = message(type, body);
  size_t done = 0;
  while (done < whole.size()) {
    const ssize_t sent = ::send(fd_, whole.data() + done, whole.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EPIPE) {
      // The server may have said why before it closed.
      Bytes reason;
      const auto last = receive(reason, 0);
      if (!last) return last.error();
    }
    if (sent < 0) return lost(std::strerror(errno));
    done += static_cast<size_t>(sent);
  }
  return {};
}

Status Client::wait_for(size_t bytes, int64_t deadline_ms) {
  while (ahead_.size() - ahead_start_ < bytes) {
    const int64_t left = deadline_ms < 0 ? -1 : std::max<int64_t>(0, deadline_ms - now_ms());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return lost(std::strerror(errno));
    if (ready == 0) {
      return chaincast::error(ErrorCode::timeout,
                              fmt::format("control socket {}: nothing came in time; is the node "
                                          "overloaded?",
                                          path_));
    }
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<ptrdiff_t>(ahead_start_));
    ahead_start_ = 0;
    const size_t had = ahead_.size();
    ahead_.resize(had + receive_chunk_bytes);
    const ssize_t got = ::recv(fd_, ahead_.data() + had, receive_chunk_bytes, 0);
    ahead_.resize(had + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return lost("closed by the node");
    if (got < 0 && errno != EINTR) return lost(std::strerror(errno));
  }
  return {};
}

Result<Type> Client::receive(Bytes& body, int timeout_ms) {
  const int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
  Status status = wait_for(message_header_bytes, deadline);
  if (!status) return status.error();
  const Header header = load_header(ahead_.data() + ahead_start_);
  if (header.body_bytes > object_header_bytes + 2 * object_bytes_limit) {
    return lost(fmt::format("a message of {} bytes makes no sense", header.body_bytes));
  }
  status = wait_for(message_header_bytes + header.body_bytes, deadline);
  if (!status) return status.error();
  const auto first = ahead_.begin() + static_cast<ptrdiff_t>(ahead_start_ + message_header_bytes);
  body.assign(first, first + static_cast<ptrdiff_t>(header.body_bytes));
  ahead_start_ += message_header_bytes + header.body_bytes;
  if (header.type == Type::error) {
    ByteReader reader(body);
    return chaincast::error(ErrorCode::refused,
                            fmt::format("control socket {}: {}", path_, rest_text(reader)));
  }
  return header.type;
}

Result<Bytes> Client::reply(Type type, int timeout_ms) {
  const int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
  for (;;) {
    Bytes body;
    const int64_t left = deadline < 0 ? -1 : std::max<int64_t>(0, deadline - now_ms());
    const auto got = receive(body, static_cast<int>(left));
    if (!got) return got.error();
    if (*got == type) return body;
    auto event = parse_event(*got, body);
    if (!event) return event.error();
    events_.push_back(std::move(*event));
  }
}

Result<Client::CommandReply> Client::command(std::string_view line, bool json, int timeout_ms) {
  ByteWriter body;
  body.u8(json ? command_flag_json : 0).text(line);
  const Status sent = send(Type::command, body.buffer());
  if (!sent) return sent.error();
  const auto answer = reply(Type::command_reply, timeout_ms);
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  CommandReply out;
  out.exit_code = reader.u8();
  out.text = rest_text(reader);
  return out;
}

Result<ops::Json> Client::status() {
  const Status sent = send(Type::status, {});
  if (!sent) return sent.error();
  const auto answer = reply(Type::status_reply, reply_timeout_ms);
  if (!answer) return answer.error();
  auto document = ops::Json::parse(answer->begin(), answer->end(), nullptr, false);
  if (document.is_discarded()) return lost("the status is no JSON");
  return document;
}

Result<cli::StreamInfo> Client::stream(std::string_view name) {
  ByteWriter body;
  put_name(body, name);
  const Status sent = send(Type::stream, body.buffer());
  if (!sent) return sent.error();
  const auto answer = reply(Type::stream_reply, reply_timeout_ms);
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  const bool failed = reader.u8() != 0;
  cli::StreamInfo info;
  info.stream.value = reader.be64();
  info.object_bytes_max = reader.be32();
  info.can_publish = reader.u8() != 0;
  if (failed) return chaincast::error(ErrorCode::not_found, std::string(rest_text(reader)));
  return info;
}

Status Client::send_publish(std::string_view stream, ByteSpan object) {
  ByteWriter body;
  put_name(body, stream);
  body.bytes(object);
  return send(Type::publish, body.buffer());
}

Result<cli::PublishResult> Client::receive_published(int timeout_ms) {
  const auto answer = reply(Type::publish_reply, timeout_ms);
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  cli::PublishResult result;
  result.state = reader.u8() == 0 ? cli::PublishState::accepted : cli::PublishState::failed;
  result.stream.value = reader.be64();
  result.first_seq = reader.be64();
  result.message = rest_text(reader);
  return result;
}

Result<cli::PublishResult> Client::publish(std::string_view stream, ByteSpan object) {
  const Status sent = send_publish(stream, object);
  if (!sent) return sent.error();
  return receive_published();
}

Result<uint32_t> Client::subscribe(std::string_view stream) {
  ByteWriter body;
  put_name(body, stream);
  const Status sent = send(Type::subscribe, body.buffer());
  if (!sent) return sent.error();
  const auto answer = reply(Type::subscribe_reply, reply_timeout_ms);
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  const bool failed = reader.u8() != 0;
  const uint32_t index = reader.be32();
  if (failed) return chaincast::error(ErrorCode::refused, std::string(rest_text(reader)));
  return index;
}

Result<Client::Event> Client::parse_event(Type type, ByteSpan body) const {
  Event event;
  ByteReader reader(body);
  event.subscription = reader.be32();
  if (type == Type::closed) {
    event.kind = EventKind::closed;
    event.reason = rest_text(reader);
    return event;
  }
  event.stream.value = reader.be64();
  event.first_seq = reader.be64();
  event.last_seq = reader.be64();
  event.kind = type == Type::lost ? EventKind::lost : EventKind::object;
  const bool known = type == Type::lost || type == Type::object;
  if (!known || !reader.ok()) {
    return lost(
        fmt::format("message type {:#04x} is unexpected here", static_cast<unsigned>(type)));
  }
  const ByteSpan object = reader.bytes(reader.left());
  event.object.assign(object.begin(), object.end());
  return event;
}

Result<Client::Event> Client::next_event(int timeout_ms) {
  if (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  Bytes body;
  const auto type = receive(body, timeout_ms);
  if (!type) return type.error();
  return parse_event(*type, body);
}

}  // namespace chaincast::console
