// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "console/unix/shared_ring.hpp"
#include "local/ring.hpp"

namespace chaincast::console {

using local::rest_text;
using local::Type;

namespace {

// Of rings, before the socket is looked at again.
constexpr unsigned ring_events_max = 256;

TimeNs deadline_after(int timeout_ms) {
  if (timeout_ms < 0) return time_never;
  return MonotonicClock().now_ns() + static_cast<TimeNs>(timeout_ms) * ns_per_ms;
}

Bytes named(std::string_view name) {
  ByteWriter body;
  local::put_name(body, name);
  return body.take();
}

// Nothing for what is no event.
std::optional<Client::EventKind> kind_of(Type type) {
  switch (type) {
    case Type::object:
      return Client::EventKind::object;
    case Type::lost:
      return Client::EventKind::lost;
    case Type::closed:
      return Client::EventKind::closed;
    case Type::origin_lost:
      return Client::EventKind::origin_lost;
    case Type::origin_back:
      return Client::EventKind::origin_back;
    default:
      return std::nullopt;
  }
}

}  // namespace

struct Client::Ring {
  Ring(SharedRing shared, uint32_t index)
      : memory(std::move(shared)),
        reader(memory.control(), memory.data(), memory.data_bytes()),
        subscription(index) {}
  SharedRing memory;
  local::RingReader reader;
  uint32_t subscription;
};

Client::Client(Channel channel) : channel_(std::move(channel)) {}
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const std::string& path) {
  auto channel = Channel::connect(path);
  if (!channel) return channel.error();
  return Client(std::move(*channel));
}

Status Client::send(Type type, ByteSpan head, ByteSpan tail, TimeNs deadline_ns, bool more) {
  if (channel_.output_waits()) channel_.flush();
  while (channel_.output_waits()) {
    // A node that has events for us in wait reads on once they are taken, so they are.
    auto message = take();
    if (!message) return message.error();
    if (*message) {
      const Status kept = stash(**message);
      if (!kept) return kept;
      continue;
    }
    if (!channel_.output_waits()) break;
    const Status ready = channel_.wait(deadline_ns);
    if (!ready) return ready;
  }
  channel_.send(type, head, tail, more);
  return {};
}

Status Client::request(Type type, ByteSpan body) {
  return send(type, body, {}, deadline_after(reply_timeout_ms));
}

Result<std::optional<Channel::Message>> Client::take() {
  for (;;) {
    auto message = channel_.take();
    if (!message || !message->has_value()) return message;
    const Type type = (*message)->type;
    if (type == Type::wake) continue;
    if (abandoned_.empty() || type != abandoned_.front()) return message;
    abandoned_.pop_front();
  }
}

Status Client::stash(const Channel::Message& message) {
  Bytes body(message.body.begin(), message.body.end());
  if (message.type == Type::publish_reply && published_.size() < under_way_) {
    published_.push_back(std::move(body));
    return {};
  }
  events_bytes_ += body.size();
  if (events_bytes_ > stashed_bytes_max) {
    return error(ErrorCode::refused,
                 fmt::format("control socket {}: more than {} bytes of events wait to be read; "
                             "read them between requests, or use a connection for each",
                             channel_.path(), stashed_bytes_max));
  }
  events_.push_back({message.type, std::move(body)});
  return {};
}

Result<ByteSpan> Client::reply(Type type, TimeNs deadline_ns) {
  if (type == Type::publish_reply && !published_.empty()) {
    taken_ = std::move(published_.front());
    published_.pop_front();
    return ByteSpan(taken_);
  }
  for (;;) {
    auto message = take();
    if (!message) return message.error();
    if (!*message) {
      const Status ready = channel_.wait(deadline_ns);
      // A publish reply is asked for again; any other will come too late.
      if (!ready && type != Type::publish_reply) abandoned_.push_back(type);
      if (!ready) return ready.error();
      continue;
    }
    if ((*message)->type == type) return (*message)->body;
    const Status kept = stash(**message);
    if (!kept) return kept.error();
  }
}

Result<Client::CommandReply> Client::command(std::string_view line, bool json, int timeout_ms,
                                             bool detached) {
  const TimeNs deadline = deadline_after(timeout_ms);
  ByteWriter body;
  body.u8(static_cast<uint8_t>((json ? local::command_flag_json : 0) |
                               (detached ? local::command_flag_detached : 0)));
  body.text(line);
  const Status sent = send(Type::command, body.buffer(), {}, deadline);
  if (!sent) return sent.error();
  const auto answer = reply(Type::command_reply, deadline);
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  CommandReply out;
  out.exit_code = reader.u8();
  out.text = rest_text(reader);
  return out;
}

Result<std::vector<std::string>> Client::complete(std::string_view line) {
  const Status sent = request(Type::complete, as_bytes(line));
  if (!sent) return sent.error();
  const auto answer = reply(Type::complete_reply, deadline_after(reply_timeout_ms));
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  std::vector<std::string> out;
  for (std::string_view rest = rest_text(reader); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

Result<ops::Json> Client::status() {
  const Status sent = request(Type::status, {});
  if (!sent) return sent.error();
  const auto answer = reply(Type::status_reply, deadline_after(reply_timeout_ms));
  if (!answer) return answer.error();
  auto document = ops::Json::parse(answer->begin(), answer->end(), nullptr, false);
  if (document.is_discarded()) return channel_.lost("the status is no JSON");
  return document;
}

Result<cli::StreamInfo> Client::stream(std::string_view name) {
  const Status sent = request(Type::stream, named(name));
  if (!sent) return sent.error();
  const auto answer = reply(Type::stream_reply, deadline_after(reply_timeout_ms));
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  const bool failed = reader.u8() != 0;
  cli::StreamInfo info;
  info.stream.value = reader.be64();
  info.object_bytes_max = reader.be32();
  info.can_publish = reader.u8() != 0;
  if (failed) return error(ErrorCode::not_found, std::string(rest_text(reader)));
  return info;
}

Status Client::send_publish(std::string_view stream, ByteSpan object, int timeout_ms, bool more) {
  if (under_way_ >= under_way_max) {
    return error(
        ErrorCode::refused,
        fmt::format("control socket {}: {} objects are under way; take their replies first",
                    channel_.path(), under_way_));
  }
  name_.assign(1, static_cast<uint8_t>(std::min(stream.size(), local::name_bytes_max)));
  name_.insert(name_.end(), stream.begin(), stream.begin() + name_[0]);
  const Status sent = send(Type::publish, name_, object, deadline_after(timeout_ms), more);
  if (sent) ++under_way_;
  return sent;
}

Result<cli::PublishResult> Client::receive_published(int timeout_ms) {
  if (under_way_ == 0) {
    return error(ErrorCode::invalid, fmt::format("control socket {}: no object is under way; send "
                                                 "one before its reply is asked for",
                                                 channel_.path()));
  }
  const auto answer = reply(Type::publish_reply, deadline_after(timeout_ms));
  if (!answer) return answer.error();
  --under_way_;
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
  const Status sent = request(Type::subscribe, named(stream));
  if (!sent) return sent.error();
  const auto answer = reply(Type::subscribe_reply, deadline_after(reply_timeout_ms));
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  const bool failed = reader.u8() != 0;
  const uint32_t index = reader.be32();
  if (failed) return error(ErrorCode::refused, std::string(rest_text(reader)));
  return index;
}

Status Client::needs_protocol(int protocol, std::string_view lacks) {
  const auto node = status();
  if (!node) return node.error();
  const auto said = node->find("protocol");
  if (said != node->end() && said->is_number() && said->get<int>() >= protocol) return {};
  return error(ErrorCode::unsupported, fmt::format("control socket {}: this node (protocol below "
                                                   "{}) has no {}",
                                                   channel_.path(), protocol, lacks));
}

Status Client::watch_origins() {
  const Status has_notices = needs_protocol(
      3, "notices of origins; do without, look at its `show streams`, or upgrade the node");
  if (!has_notices) return has_notices;
  const Status sent = request(Type::watch_origins, {});
  if (!sent) return sent;
  const auto answer = reply(Type::watch_origins_reply, deadline_after(reply_timeout_ms));
  return answer ? Status() : Status(answer.error());
}

Result<uint32_t> Client::subscribe_ring(std::string_view stream, uint32_t ring_bytes) {
  const Status has_rings =
      needs_protocol(2, "rings; subscribe through the socket, or upgrade the node");
  if (!has_rings) return has_rings.error();
  ByteWriter body;
  body.be32(ring_bytes);
  local::put_name(body, stream);
  const Status sent = request(Type::subscribe_ring, body.buffer());
  if (!sent) return sent.error();
  const auto answer = reply(Type::subscribe_ring_reply, deadline_after(reply_timeout_ms));
  const int descriptor = channel_.take_descriptor();
  if (!answer) return answer.error();
  ByteReader reader(*answer);
  const bool failed = reader.u8() != 0;
  const uint32_t index = reader.be32();
  const uint32_t data_bytes = reader.be32();
  if (failed) return error(ErrorCode::refused, std::string(rest_text(reader)));
  auto memory = SharedRing::adopt(descriptor, data_bytes);
  if (!memory) return memory.error();
  rings_.push_back(std::make_unique<Ring>(std::move(*memory), index));
  return index;
}

bool Client::rings_asleep() {
  bool all = true;
  for (const auto& ring : rings_) all &= ring->reader.fall_asleep();
  return all;
}

bool Client::has_event() {
  const bool stashed = !events_.empty() || !published_.empty();
  if (stashed || channel_.has_input() || !rings_asleep()) return true;
  channel_.flush();
  return false;
}

Result<std::optional<Client::Event>> Client::ring_event() {
  for (size_t i = 0; i < rings_.size(); ++i) {
    Ring& ring = *rings_[ring_turn_];
    local::RingRecord record;
    const auto step = ring.reader.next(record);
    if (step == local::RingReader::Step::damaged) {
      return channel_.lost(
          fmt::format("the ring of subscription {} is damaged", ring.subscription));
    }
    if (step == local::RingReader::Step::empty) {
      ring_turn_ = (ring_turn_ + 1) % rings_.size();
      continue;
    }
    Event event;
    event.subscription = ring.subscription;
    event.stream = record.stream;
    event.first_seq = record.first_seq;
    event.last_seq = record.last_seq;
    event.object = record.bytes;
    event.kind = kind_of(record.type).value_or(EventKind::object);
    if (event.kind == EventKind::closed) {
      event.reason = {reinterpret_cast<const char*>(record.bytes.data()), record.bytes.size()};
    }
    return std::optional<Event>(event);
  }
  return std::optional<Event>();
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
  const auto kind = kind_of(type);
  if (!kind || !reader.ok()) {
    return channel_.lost(
        fmt::format("message type {:#04x} is unexpected here", static_cast<unsigned>(type)));
  }
  event.kind = *kind;
  event.object = reader.bytes(reader.left());
  return event;
}

Result<Client::Event> Client::next_event(int timeout_ms) {
  // The clock is asked only where there is something to wait for.
  std::optional<TimeNs> deadline;
  for (;;) {
    if (ring_events_++ < ring_events_max) {
      auto event = ring_event();
      if (!event) return event.error();
      if (*event) return **event;
    }
    ring_events_ = 0;
    if (!rings_.empty()) ring_turn_ = (ring_turn_ + 1) % rings_.size();
    if (!events_.empty()) {
      const Type type = events_.front().type;
      taken_ = std::move(events_.front().body);
      events_.pop_front();
      events_bytes_ -= taken_.size();
      return parse_event(type, taken_);
    }
    auto message = take();
    if (!message) {
      // What the node wrote before the connection ended is still to be read.
      auto event = ring_event();
      if (event && *event) return **event;
      return message.error();
    }
    if (*message) {
      const bool is_reply =
          (*message)->type == Type::publish_reply && published_.size() < under_way_;
      if (!is_reply) return parse_event((*message)->type, (*message)->body);
      const Status kept = stash(**message);
      if (!kept) return kept.error();
      continue;
    }
    if (!rings_asleep()) continue;
    if (!deadline) deadline = deadline_after(timeout_ms);
    const Status ready = channel_.wait(*deadline);
    if (!ready) return ready.error();
  }
}

}  // namespace chaincast::console
