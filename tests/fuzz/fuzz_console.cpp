// SPDX-License-Identifier: BSD-3-Clause
// The node's end of the control socket under a client that says anything, reads when it likes, and
// scribbles in the ring that it shares. The input is a list of its steps and the node's.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "console/unix/connection.hpp"
#include "console/unix/shared_ring.hpp"
#include "fuzz.hpp"

namespace {

using namespace chaincast;
using local::Type;

constexpr unsigned steps_max = 128;
constexpr size_t object_bytes_max = 2000;
constexpr size_t replies_bytes_max = 512 * 1024;  // beyond what may wait: what one turn may add

// A node with one stream, "s", that takes objects unless the first byte is odd.
class Service final : public cli::Service {
 public:
  ops::Reply run(std::string_view line) override {
    if (line.starts_with("!")) return error(ErrorCode::refused, std::string(line));
    return ops::Json{{"line", line}};
  }
  std::vector<std::string> complete(std::string_view line) override { return {std::string(line)}; }
  ops::Json status() override { return ops::Json::object(); }
  Result<cli::StreamInfo> stream(std::string_view name) override {
    if (name != "s") return error(ErrorCode::not_found, "no such stream");
    return cli::StreamInfo{StreamId{1}, object_bytes_max, true};
  }
  cli::PublishResult publish(std::string_view, ByteSpan object) override {
    cli::PublishResult result;
    const bool is_busy = !object.empty() && object[0] % 2 == 1 && ++asked_ % 3 != 0;
    result.state = is_busy ? cli::PublishState::busy : cli::PublishState::accepted;
    return result;
  }
  Result<cli::SubscriptionId> subscribe(std::string_view name,
                                        cli::Subscriber* subscriber) override {
    if (name != "s") return error(ErrorCode::not_found, "no such stream");
    subscribers_[++last_] = subscriber;
    return last_;
  }
  void unsubscribe(cli::SubscriptionId id) override { CC_ASSERT(subscribers_.erase(id) == 1); }

  void deliver(size_t bytes) {
    static const Bytes object(object_bytes_max, 0x5a);
    ++seq_;
    for (auto& [id, subscriber] : subscribers_) {
      const cli::Delivered delivered{StreamId{1}, seq_, seq_,
                                     ByteSpan(object).first(std::min(bytes, object.size()))};
      if (!subscriber->on_object(delivered)) subscriber->on_lost(StreamId{1}, seq_, seq_);
    }
  }
  void lose(uint64_t stream) {
    ++seq_;
    for (auto& [id, subscriber] : subscribers_) subscriber->on_lost(StreamId{stream}, seq_, seq_);
  }
  void close() {
    for (auto& [id, subscriber] : subscribers_) subscriber->on_closed("removed");
    subscribers_.clear();
  }

 private:
  std::map<cli::SubscriptionId, cli::Subscriber*> subscribers_;
  cli::SubscriptionId last_ = 0;
  Seq seq_ = 0;
  unsigned asked_ = 0;
};

// The client's end: what it has been sent must be whole messages of known types.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void write(ByteSpan bytes) {
    [[maybe_unused]] const ssize_t sent =
        ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  void end() { ::shutdown(fd_, SHUT_WR); }

  void read(size_t bytes) {
    const size_t had = in_.size();
    in_.resize(had + bytes);
    iovec part{in_.data() + had, bytes};
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(fd_, &message, MSG_DONTWAIT);
    in_.resize(had + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got > 0) keep_ring(message);
    take_messages();
  }

  void scribble(uint8_t where, uint64_t value) {
    if (rings_.empty()) return;
    local::RingControl& control = rings_[where % rings_.size()].control();
    if (where % 3 == 0) control.head.store(value);
    if (where % 3 == 1) control.asleep.store(static_cast<uint32_t>(value));
    if (where % 3 == 2) control.tail.store(value);
  }

 private:
  void keep_ring(msghdr& message) {
    const cmsghdr* const part = CMSG_FIRSTHDR(&message);
    if (part == nullptr) return;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
    auto ring = console::SharedRing::adopt(fd, local::ring_bytes_min);
    if (ring.ok()) rings_.push_back(std::move(*ring));
  }

  void take_messages() {
    size_t at = 0;
    while (in_.size() - at >= local::message_header_bytes) {
      const local::Header header = local::load_header(in_.data() + at);
      const auto type = static_cast<unsigned>(header.type);
      const auto request = static_cast<uint8_t>(type & 0x7fu);
      const bool is_reply = type >= 0x80 && local::request_bytes_max(request, 1).has_value();
      CC_ASSERT(is_reply || (type >= 0xc0 && type <= 0xc3) || type == 0xff);
      CC_ASSERT(header.body_bytes <= replies_bytes_max);
      CC_ASSERT(!was_error_);
      was_error_ = header.type == Type::error;
      if (in_.size() - at - local::message_header_bytes < header.body_bytes) {
        was_error_ = false;
        break;
      }
      at += local::message_header_bytes + header.body_bytes;
    }
    in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(at));
  }

  const int fd_;
  Bytes in_;
  bool was_error_ = false;  // nothing may follow
  std::vector<console::SharedRing> rings_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2];
  CC_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  console::ServerOptions options;
  options.object_bytes_max = object_bytes_max;
  options.output_bytes_max = 64 * 1024;
  options.rings_bytes_max = 4 * local::ring_bytes_min;
  console::ServerCounters counters;
  Service service;
  TimeNs now_ns = ns_per_s;
  {
    Peer peer(ends[1]);
    console::Connection connection(ends[0], options, service, counters, now_ns);
    ByteReader in({data, size});
    for (unsigned i = 0; i < steps_max && in.left() > 0 && !connection.finished(); ++i) {
      const uint8_t step = in.u8();
      if (step % 8 == 0) service.deliver(in.be16());
      if (step % 8 == 1) service.lose(in.u8());
      if (step % 8 == 2) service.close();
      if (step % 8 == 3) peer.read(in.be16() * size_t{4});
      if (step % 8 == 4) peer.scribble(in.u8(), in.be64());
      if (step % 8 == 5) peer.end();
      if (step % 8 >= 6) peer.write(in.bytes(std::min<size_t>(in.be16(), in.left())));
      now_ns += TimeNs{step} / 8 * ns_per_ms;
      pollfd fd = connection.poll_fd();
      ::poll(&fd, 1, 0);
      connection.on_ready(fd.revents, now_ns);
    }
    for (unsigned i = 0; i < 64; ++i) peer.read(64 * 1024);
  }
  CC_ASSERT(counters.rings == 0 && counters.ring_bytes == 0);
  return 0;
}
