// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "cli/session.hpp"

namespace chaincast::console {

namespace {

constexpr size_t read_bytes = 64 * 1024;
constexpr unsigned requests_per_turn = 64;
constexpr size_t subscriptions_max = 16;
constexpr size_t lost_streams_max = 64;
// Requests wait while this much output does, so that a client that never reads cannot queue
// replies.
constexpr size_t output_pause_bytes = 256 * 1024;
constexpr TimeNs held_retry_ns = ns_per_ms;

}  // namespace

// Objects of one subscription. A loss is told before any later object, and consecutive losses are
// told as one, so that what waits stays bounded however slow the client is.
class Connection::Subscription final : public cli::Subscriber {
 public:
  Subscription(Connection& connection, uint32_t index) : connection_(connection), index_(index) {}

  bool on_object(const cli::Delivered& delivered) override {
    const size_t notices = losses_.size() * loss_bytes;
    const size_t bytes = message_header_bytes + object_header_bytes + delivered.object.size();
    if (!connection_.has_room(notices + bytes)) {
      ++connection_.counters_.output_full;
      return false;
    }
    send_losses();
    connection_.send_object(index_, delivered);
    ++connection_.counters_.delivered_objects;
    return true;
  }

  void on_lost(StreamId stream, Seq first, Seq last) override {
    const auto known = std::find_if(losses_.begin(), losses_.end(),
                                    [&](const Loss& loss) { return loss.stream == stream; });
    if (known != losses_.end()) {
      known->first = std::min(known->first, first);
      known->last = std::max(known->last, last);
    } else if (losses_.size() < lost_streams_max) {
      losses_.push_back({stream, first, last});
    } else {
      connection_.fail("subscription: losses on too many streams wait to be read; read faster");
    }
    tell_losses();
  }

  void on_closed(const std::string& reason) override {
    id.reset();
    send_losses();
    ByteWriter body;
    body.be32(index_).text(reason);
    connection_.send(Type::closed, body.buffer());
  }

  // At once where nothing else waits; otherwise they wait for the next object and merge.
  void tell_losses() {
    if (connection_.output_bytes() == 0) send_losses();
  }

  std::optional<cli::SubscriptionId> id;  // none once closed by the node

 private:
  struct Loss {
    StreamId stream;
    Seq first;
    Seq last;
  };
  static constexpr size_t loss_bytes = message_header_bytes + object_header_bytes;

  void send_losses() {
    for (const Loss& loss : losses_) {
      ByteWriter body;
      body.be32(index_).be64(loss.stream.value).be64(loss.first).be64(loss.last);
      connection_.send(Type::lost, body.buffer());
      ++connection_.counters_.loss_notices;
    }
    losses_.clear();
  }

  Connection& connection_;
  const uint32_t index_;
  std::vector<Loss> losses_;
};

Connection::Connection(int fd, const ServerOptions& options, cli::Service& service,
                       ServerCounters& counters, TimeNs now_ns)
    : fd_(fd),
      options_(options),
      service_(service),
      counters_(counters),
      progress_ns_(now_ns),
      now_ns_(now_ns) {}

Connection::~Connection() {
  for (const auto& subscription : subscriptions_) {
    if (subscription->id) service_.unsubscribe(*subscription->id);
  }
  ::close(fd_);
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
  return wake;
}

void Connection::on_ready(short revents, TimeNs now_ns) {
  now_ns_ = now_ns;
  flush(now_ns);
  for (const auto& subscription : subscriptions_) subscription->tell_losses();
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
  more_ = step == Step::done && in_start_ < in_.size() && !failed_;
  flush(now_ns);
  bool subscribed = false;
  for (const auto& subscription : subscriptions_) subscribed |= subscription->id.has_value();
  const bool idle = input_ended_ && !held_ && !more_ && !subscribed;
  if ((failed_ || idle) && output_bytes() == 0) finished_ = true;
  if (output_bytes() > 0 && now_ns >= progress_ns_ + options_.stall_ns) {
    ++counters_.dismissed;
    finished_ = true;
  }
}

void Connection::read_input() {
  if (in_start_ > 0) {
    in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(in_start_));
    in_start_ = 0;
  }
  size_t wanted = read_bytes;
  if (in_.size() >= message_header_bytes) {
    const size_t whole = message_header_bytes + load_header(in_.data()).body_bytes;
    wanted = std::clamp(whole - std::min(whole, in_.size()), read_bytes, 4 * read_bytes);
  }
  const size_t had = in_.size();
  in_.resize(had + wanted);
  const ssize_t got = ::recv(fd_, in_.data() + had, wanted, MSG_DONTWAIT);
  in_.resize(had + (got > 0 ? static_cast<size_t>(got) : 0));
  if (got == 0) input_ended_ = true;
  if (got < 0 && errno != EAGAIN && errno != EINTR) finished_ = true;
}

Connection::Step Connection::take_request() {
  const ByteSpan waiting(in_.data() + in_start_, in_.size() - in_start_);
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
  if (type == Type::stream) on_stream(body);
  if (type == Type::status) {
    ops::Json status = service_.status();
    status["protocol"] = protocol_version;
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
  result.message = "publish: the stream's name is cut short; put its length in front";
  if (whole) result = service_.publish(name, object);
  if (result.state == cli::PublishState::busy) {
    if (!held_) ++counters_.withheld;
    return Step::held;
  }
  const bool accepted = result.state == cli::PublishState::accepted;
  counters_.published_objects += accepted;
  ByteWriter reply;
  reply.u8(accepted ? 0 : 1).be64(result.stream.value).be64(result.first_seq);
  if (!accepted) reply.text(result.message);
  send(Type::publish_reply, reply.buffer());
  return Step::done;
}

void Connection::on_command(ByteReader& body) {
  const bool json = (body.u8() & command_flag_json) != 0;
  const std::string_view line = rest_text(body);
  ++counters_.commands;
  cli::Session session([this](std::string_view text) { return service_.run(text); },
                       {.format = json ? cli::Format::json : cli::Format::text});
  const cli::Outcome outcome = session.line(line);
  ByteWriter reply;
  reply.u8(static_cast<uint8_t>(outcome.exit_code)).text(outcome.output);
  send(Type::command_reply, reply.buffer());
}

void Connection::on_subscribe(ByteReader& body) {
  const std::string name(get_name(body));
  const auto index = static_cast<uint32_t>(subscriptions_.size());
  std::string problem;
  if (!body.finished()) problem = "subscribe: the name does not fill the request";
  if (subscriptions_.size() >= subscriptions_max) {
    problem = fmt::format("subscribe {}: {} subscriptions already on this connection; open another",
                          name, subscriptions_max);
  }
  if (problem.empty()) {
    subscriptions_.push_back(std::make_unique<Subscription>(*this, index));
    const auto subscribed = service_.subscribe(name, subscriptions_.back().get());
    if (subscribed) {
      subscriptions_.back()->id = *subscribed;
    } else {
      problem = subscribed.error().message;
      subscriptions_.pop_back();
    }
  }
  ByteWriter reply;
  reply.u8(problem.empty() ? 0 : 1).be32(index).text(problem);
  send(Type::subscribe_reply, reply.buffer());
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

void Connection::fail(const std::string& reason) {
  if (failed_) return;
  failed_ = true;
  ++counters_.dismissed;
  send(Type::error, as_bytes(reason));
}

bool Connection::has_room(size_t bytes) const {
  return output_bytes() == 0 || output_bytes() + bytes <= options_.output_bytes_max;
}

void Connection::send(Type type, ByteSpan body) {
  const Bytes whole = message(type, body);
  out_.insert(out_.end(), whole.begin(), whole.end());
}

void Connection::send_object(uint32_t subscription, const cli::Delivered& delivered) {
  const size_t body_bytes = object_header_bytes + delivered.object.size();
  ByteWriter head;
  head.u8(static_cast<uint8_t>(Type::object)).be32(static_cast<uint32_t>(body_bytes));
  head.be32(subscription).be64(delivered.stream.value);
  head.be64(delivered.first_seq).be64(delivered.last_seq);
  out_.insert(out_.end(), head.buffer().begin(), head.buffer().end());
  out_.insert(out_.end(), delivered.object.begin(), delivered.object.end());
}

void Connection::flush(TimeNs now_ns) {
  while (output_bytes() > 0) {
    const ssize_t sent =
        ::send(fd_, out_.data() + out_start_, output_bytes(), MSG_DONTWAIT | MSG_NOSIGNAL);
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
