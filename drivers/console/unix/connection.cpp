// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "cli/session.hpp"

namespace chaincast::console {

using local::get_name;
using local::Header;
using local::load_header;
using local::message_header_bytes;
using local::object_header_bytes;
using local::protocol_version;
using local::request_bytes_max;
using local::rest_text;
using local::Type;

namespace {

constexpr size_t read_bytes = 64 * 1024;
constexpr unsigned requests_per_turn = 512;
constexpr size_t subscriptions_max = 16;
// Requests wait while this much output does, so that a client that never reads cannot queue
// replies.
constexpr size_t output_pause_bytes = 256 * 1024;
constexpr TimeNs held_retry_ns = ns_per_ms;
constexpr TimeNs ring_retry_ns = 50 * ns_per_us;
// A ring holds two of the longest objects and this, so that one can be written while one is read.
constexpr uint64_t ring_spare_bytes = 8 * 1024;

}  // namespace

// The socket as a way to the client.
class Connection::SocketWay final : public Subscription::Way {
 public:
  SocketWay(Connection& connection, uint32_t index) : connection_(connection), index_(index) {}

  bool has_room(size_t losses, size_t bytes) override {
    constexpr size_t head_bytes = message_header_bytes + object_header_bytes;
    return connection_.has_room((losses + 1) * head_bytes + bytes);
  }
  void put(const local::RingRecord& record) override { connection_.send_event(index_, record); }
  bool can_hold(size_t) const override { return true; }
  bool is_idle() override { return connection_.output_bytes() == 0; }

 private:
  Connection& connection_;
  const uint32_t index_;
};

Connection::Connection(int fd, const ServerOptions& options, cli::Service& service,
                       ServerCounters& counters, TimeNs now_ns)
    : fd_(fd),
      options_(options),
      service_(service),
      counters_(counters),
      session_(service.open_session()),
      progress_ns_(now_ns),
      now_ns_(now_ns) {}

Connection::~Connection() {
  end_subscriptions();
  counters_.rings -= rings_.size();
  for (const RingWay* ring : rings_) counters_.ring_bytes -= ring->memory().data_bytes();
  service_.close_session(session_);
  ::close(fd_);
}

void Connection::end_subscriptions() {
  for (const auto& subscription : subscriptions_) {
    if (subscription->id) service_.unsubscribe(*subscription->id);
    subscription->id.reset();
  }
}

pollfd Connection::poll_fd() const {
  int events = 0;
  const bool reads =
      !held_ && !more_ && !input_ended_ && !failed_ && output_bytes() < output_pause_bytes;
  if (reads) events |= POLLIN;
  if (output_bytes() > 0) events |= POLLOUT;
  return {fd_, static_cast<short>(events), 0};
}

TimeNs Connection::wake_at_ns() const {
  TimeNs wake = time_never;
  if (held_) wake = now_ns_ + held_retry_ns;
  if (more_ && output_bytes() < output_pause_bytes) wake = now_ns_;
  if (output_bytes() > 0) wake = std::min(wake, progress_ns_ + options_.stall_ns);
  for (const RingWay* ring : rings_) {
    if (ring->has_uncommitted()) wake = now_ns_;
    if (!ring->is_full()) continue;
    // A reader says nothing when it has made room. One that stands still is looked at less often.
    const TimeNs stands_ns = now_ns_ - std::min(now_ns_, ring->moved_ns());
    wake = std::min(wake, now_ns_ + std::clamp(stands_ns / 8, ring_retry_ns, held_retry_ns));
  }
  return wake;
}

void Connection::on_ready(short revents, TimeNs now_ns) {
  now_ns_ = now_ns;
  flush(now_ns);
  for (const auto& subscription : subscriptions_) {
    if (!failed_) subscription->tell();
  }
  if ((revents & (POLLERR | POLLNVAL)) != 0) finished_ = true;
  // A hang-up cannot be masked out of poll: without this a dead client in wait would spin the loop.
  if ((revents & POLLHUP) != 0 && (held_ || input_ended_ || failed_)) finished_ = true;
  if (finished_) return;
  if ((revents & (POLLIN | POLLHUP)) != 0 && !held_ && !more_) read_input();
  more_ = false;
  Step step = Step::done;
  for (unsigned i = 0; i < requests_per_turn && step == Step::done && !failed_; ++i) {
    if (output_bytes() >= output_pause_bytes) break;
    step = take_request();
  }
  held_ = step == Step::held;
  more_ = step == Step::done && in_start_ < in_end_ && !failed_;
  flush(now_ns);
  check(now_ns);
  bool subscribed = false;
  for (const auto& subscription : subscriptions_) {
    subscribed |= subscription->id.has_value() || subscription->is_waiting();
  }
  const bool idle = input_ended_ && !held_ && !more_ && !subscribed;
  if ((failed_ || idle) && output_bytes() == 0) finished_ = true;
}

void Connection::check(TimeNs now_ns) {
  bool is_stalled = output_bytes() > 0 && now_ns >= progress_ns_ + options_.stall_ns;
  for (RingWay* ring : rings_) {
    is_stalled |= ring->stalled_ns(now_ns) >= options_.stall_ns;
    if (ring->is_damaged()) {
      fail(
          "ring: the reader's position is one that it cannot have reached; read by docs/socket.md");
    }
  }
  for (const auto& subscription : subscriptions_) {
    if (!subscription->is_overrun()) continue;
    fail("subscription: losses on too many streams wait to be read; read faster");
  }
  if (!is_stalled) return;
  ++counters_.dismissed;
  finished_ = true;
}

void Connection::read_input() {
  if (in_start_ > 0) {
    std::copy(in_.begin() + static_cast<ptrdiff_t>(in_start_),
              in_.begin() + static_cast<ptrdiff_t>(in_end_), in_.begin());
    in_end_ -= in_start_;
    in_start_ = 0;
  }
  size_t wanted = read_bytes;
  if (in_end_ >= message_header_bytes) {
    const size_t whole = message_header_bytes + load_header(in_.data()).body_bytes;
    wanted = std::clamp(whole - std::min(whole, in_end_), read_bytes, 4 * read_bytes);
  }
  // Grows only: what is added is cleared first, which costs as much as reading it.
  if (in_.size() < in_end_ + wanted) in_.resize(in_end_ + wanted);
  const ssize_t got = ::recv(fd_, in_.data() + in_end_, wanted, MSG_DONTWAIT);
  if (got > 0) in_end_ += static_cast<size_t>(got);
  if (got == 0) input_ended_ = true;
  if (got < 0 && errno != EAGAIN && errno != EINTR) finished_ = true;
}

Connection::Step Connection::take_request() {
  const ByteSpan waiting(in_.data() + in_start_, in_end_ - in_start_);
  if (waiting.size() < message_header_bytes) return Step::incomplete;
  const Header header = load_header(waiting.data());
  const auto bytes_max = request_bytes_max(waiting[0], options_.object_bytes_max);
  if (!bytes_max) {
    fail(fmt::format("request type {:#04x} is unknown; protocol version here is {}", waiting[0],
                     protocol_version));
    return Step::done;
  }
  if (header.body_bytes > *bytes_max) {
    fail(fmt::format("request of {} bytes: at most {} are taken; send less at once",
                     header.body_bytes, *bytes_max));
    return Step::done;
  }
  if (waiting.size() - message_header_bytes < header.body_bytes) return Step::incomplete;
  const Step step =
      handle(header.type, ByteReader(waiting.subspan(message_header_bytes, header.body_bytes)));
  if (step == Step::done) in_start_ += message_header_bytes + header.body_bytes;
  return step;
}

Connection::Step Connection::handle(Type type, ByteReader body) {
  if (type == Type::publish) return on_publish(body);
  if (type == Type::command) on_command(body);
  if (type == Type::subscribe) on_subscribe(body);
  if (type == Type::subscribe_ring) on_subscribe_ring(body);
  if (type == Type::stream) on_stream(body);
  if (type == Type::complete) on_complete(body);
  if (type == Type::watch_origins) {
    watches_origins_ = true;
    send(Type::watch_origins_reply, {});
  }
  if (type == Type::status) {
    ops::Json status = service_.status();
    status["protocol"] = protocol_version;
    status["socket"] = to_json(counters_);
    send(Type::status_reply,
         as_bytes(status.dump(-1, ' ', false, ops::Json::error_handler_t::replace)));
  }
  return Step::done;
}

Connection::Step Connection::on_publish(ByteReader& body) {
  const std::string_view name = get_name(body);
  const bool whole = body.ok();
  const ByteSpan object = body.bytes(body.left());
  cli::PublishResult result;
  if (whole) {
    result = service_.publish(name, object);
  } else {
    result.message = "publish: the stream's name is cut short; put its length in front";
  }
  if (result.state == cli::PublishState::busy) {
    if (!held_) ++counters_.withheld;
    return Step::held;
  }
  const bool accepted = result.state == cli::PublishState::accepted;
  counters_.published_objects += accepted;
  std::array<uint8_t, 1 + 8 + 8> reply;
  reply[0] = accepted ? 0 : 1;
  store_be64(reply.data() + 1, result.stream.value);
  store_be64(reply.data() + 9, result.first_seq);
  send(Type::publish_reply, reply, accepted ? ByteSpan() : as_bytes(result.message));
  return Step::done;
}

void Connection::on_command(ByteReader& body) {
  const uint8_t flags = body.u8();
  const bool json = (flags & local::command_flag_json) != 0;
  const cli::SessionId session = (flags & local::command_flag_detached) != 0 ? 0 : session_;
  const std::string_view line = rest_text(body);
  ++counters_.commands;
  cli::Session lines(
      [this, session](std::string_view text) { return service_.run_in(session, text); },
      {.format = json ? cli::Format::json : cli::Format::text});
  const cli::Outcome outcome = lines.line(line);
  ByteWriter reply;
  reply.u8(static_cast<uint8_t>(outcome.exit_code)).text(outcome.output);
  send(Type::command_reply, reply.buffer());
}

void Connection::on_subscribe(ByteReader& body) {
  const std::string name(get_name(body));
  const auto index = static_cast<uint32_t>(subscriptions_.size());
  std::string problem = "subscribe: the name does not fill the request";
  if (body.finished()) problem = subscribe(name, std::make_unique<SocketWay>(*this, index));
  ByteWriter reply;
  reply.u8(problem.empty() ? 0 : 1).be32(index).text(problem);
  send(Type::subscribe_reply, reply.buffer());
}

void Connection::on_subscribe_ring(ByteReader& body) {
  const uint32_t bytes_wanted = body.be32();
  const std::string name(get_name(body));
  const auto index = static_cast<uint32_t>(subscriptions_.size());
  std::string problem = "subscribe: the name does not fill the request";
  RingWay* way = nullptr;
  if (body.finished()) {
    auto memory = make_ring(name, bytes_wanted);
    auto made = memory ? std::make_unique<RingWay>(std::move(*memory)) : nullptr;
    way = made.get();
    problem = memory ? subscribe(name, std::move(made)) : memory.error().message;
  }
  ByteWriter reply;
  reply.u8(problem.empty() ? 0 : 1).be32(index);
  if (problem.empty()) {
    rings_.push_back(way);
    ++counters_.rings;
    counters_.ring_bytes += way->memory().data_bytes();
    attached_.push_back({sent_bytes_ + output_bytes(), way->memory().fd()});
    reply.be32(way->memory().data_bytes());
  } else {
    reply.be32(0).text(problem);
  }
  send(Type::subscribe_ring_reply, reply.buffer());
}

std::string Connection::subscribe(const std::string& name, std::unique_ptr<Subscription::Way> way) {
  if (subscriptions_.size() >= subscriptions_max) {
    return fmt::format("subscribe {}: {} subscriptions already on this connection; open another",
                       name, subscriptions_max);
  }
  auto subscription = std::make_unique<Subscription>(std::move(way), watches_origins_, counters_);
  const auto subscribed = service_.subscribe(name, subscription.get());
  if (!subscribed) return subscribed.error().message;
  subscription->id = *subscribed;
  subscriptions_.push_back(std::move(subscription));
  return {};
}

// Of the size that was asked for and that the stream's longest object needs, so that none of them
// has to be given up.
Result<SharedRing> Connection::make_ring(const std::string& name, uint32_t bytes_wanted) const {
  const auto stream = service_.stream(name);
  if (!stream) return stream.error();
  const uint64_t needed = 2 * uint64_t{stream->object_bytes_max} + ring_spare_bytes;
  const uint64_t bytes =
      std::bit_ceil(std::max({uint64_t{bytes_wanted}, needed, uint64_t{local::ring_bytes_min}}));
  if (bytes > local::ring_bytes_max) {
    return error(ErrorCode::invalid,
                 fmt::format("subscribe {}: a ring of {} bytes; at most {} are given", name,
                             bytes_wanted, local::ring_bytes_max));
  }
  if (counters_.ring_bytes + bytes > options_.rings_bytes_max) {
    return error(ErrorCode::refused,
                 fmt::format("subscribe {}: this node's rings have {} of at most {} bytes; ask for "
                             "a smaller one, or subscribe through the socket",
                             name, counters_.ring_bytes, options_.rings_bytes_max));
  }
  return SharedRing::create(static_cast<uint32_t>(bytes));
}

void Connection::on_stream(ByteReader& body) {
  const auto found = service_.stream(get_name(body));
  ByteWriter reply;
  if (found) {
    reply.u8(0).be64(found->stream.value).be32(found->object_bytes_max);
    reply.u8(found->can_publish ? 1 : 0);
  } else {
    reply.u8(1).be64(0).be32(0).u8(0).text(found.error().message);
  }
  send(Type::stream_reply, reply.buffer());
}

void Connection::on_complete(ByteReader& body) {
  std::string words;
  for (const std::string& word : service_.complete(rest_text(body))) words += word + "\n";
  send(Type::complete_reply, as_bytes(words));
}

void Connection::fail(const std::string& reason) {
  if (failed_) return;
  failed_ = true;
  ++counters_.dismissed;
  end_subscriptions();  // nothing may follow the reason
  send(Type::error, as_bytes(reason));
}

bool Connection::has_room(size_t bytes) const {
  return output_bytes() == 0 || output_bytes() + bytes <= options_.output_bytes_max;
}

void Connection::send(Type type, ByteSpan body, ByteSpan rest) {
  std::array<uint8_t, message_header_bytes> head;
  head[0] = static_cast<uint8_t>(type);
  store_be32(head.data() + 1, static_cast<uint32_t>(body.size() + rest.size()));
  out_.insert(out_.end(), head.begin(), head.end());
  out_.insert(out_.end(), body.begin(), body.end());
  out_.insert(out_.end(), rest.begin(), rest.end());
}

void Connection::send_event(uint32_t subscription, const local::RingRecord& record) {
  uint8_t head[message_header_bytes + object_header_bytes];
  const bool is_closed = record.type == Type::closed;
  const size_t fields = is_closed ? sizeof(uint32_t) : object_header_bytes;
  head[0] = static_cast<uint8_t>(record.type);
  store_be32(head + 1, static_cast<uint32_t>(fields + record.bytes.size()));
  store_be32(head + 5, subscription);
  store_be64(head + 9, record.stream.value);
  store_be64(head + 17, record.first_seq);
  store_be64(head + 25, record.last_seq);
  out_.insert(out_.end(), head, head + message_header_bytes + fields);
  out_.insert(out_.end(), record.bytes.begin(), record.bytes.end());
}

void Connection::commit_rings() {
  bool wakes = false;
  for (RingWay* ring : rings_) wakes |= ring->commit();
  // Output that waits wakes the client as well.
  if (wakes && output_bytes() == 0 && !failed_) send(Type::wake, {});
}

// As much as goes with one descriptor, or with none.
ssize_t Connection::send_some() {
  iovec part{out_.data() + out_start_, output_bytes()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {};
  const bool attaches = !attached_.empty() && attached_.front().at == sent_bytes_;
  if (attaches) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &attached_.front().fd, sizeof(int));
  }
  if (attached_.size() > (attaches ? 1 : 0)) {
    part.iov_len = attached_[attaches ? 1 : 0].at - sent_bytes_;
  }
  const ssize_t sent = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) sent_bytes_ += static_cast<uint64_t>(sent);
  if (sent > 0 && attaches) attached_.pop_front();
  return sent;
}

void Connection::flush(TimeNs now_ns) {
  commit_rings();
  while (output_bytes() > 0) {
    const ssize_t sent = send_some();
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) {
      finished_ = true;
      return;
    }
    if (sent <= 0) break;
    out_start_ += static_cast<size_t>(sent);
    progress_ns_ = now_ns;
  }
  if (output_bytes() == 0) {
    out_.clear();
    out_start_ = 0;
    progress_ns_ = now_ns;
  } else if (out_start_ > out_.size() / 2) {
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(out_start_));
    out_start_ = 0;
  }
}

}  // namespace chaincast::console
