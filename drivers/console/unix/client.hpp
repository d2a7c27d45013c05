// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "cli/console.hpp"
#include "console/unix/message.hpp"

namespace chaincast::console {

// The other end of the control socket, for programs: chaincastctl, chaincast-gen, tests. Blocking;
// one thread at a time; move-only. Errors name the socket's path: `io` when the connection is lost,
// `timeout`, `refused` when the server gave up on us (its reason in the message).
class Client {
 public:
  // Milliseconds; negative waits for ever.
  static constexpr int for_ever = -1;
  static constexpr int reply_timeout_ms = 60'000;

  static Result<Client> connect(const std::string& path);
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  struct CommandReply {
    int exit_code = 0;
    std::string text;  // as cli::Outcome::output
  };
  Result<CommandReply> command(std::string_view line, bool json, int timeout_ms = reply_timeout_ms);
  Result<ops::Json> status();
  Result<cli::StreamInfo> stream(std::string_view name);

  // One object; returns once the node has taken it (that is the back-pressure). A refusal by the
  // node is a PublishResult with state `failed`, not an Error.
  Result<cli::PublishResult> publish(std::string_view stream, ByteSpan object);
  // The same in two halves, so that several objects are under way: replies come in order. Keep at
  // most 1,000 under way.
  Status send_publish(std::string_view stream, ByteSpan object);
  Result<cli::PublishResult> receive_published(int timeout_ms = for_ever);

  // Returns the subscription's index, which its events carry.
  Result<uint32_t> subscribe(std::string_view stream);

  enum class EventKind : uint8_t { object, lost, closed };
  struct Event {
    EventKind kind = EventKind::object;
    uint32_t subscription = 0;
    StreamId stream;
    Seq first_seq = 0;
    Seq last_seq = 0;
    Bytes object;
    std::string reason;  // closed
  };
  // The next event; ErrorCode::timeout if none came.
  Result<Event> next_event(int timeout_ms = for_ever);

  // For a poll loop of one's own: readable means next_event may have something; so does
  // has_event(), since the client reads ahead.
  int fd() const { return fd_; }
  bool has_event() const { return !events_.empty() || ahead_start_ < ahead_.size(); }

 private:
  Client(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Error lost(const std::string& why) const;
  Status send(Type type, ByteSpan body);
  // Reads one message into `body`.
  Result<Type> receive(Bytes& body, int timeout_ms);
  // Reads ahead until `bytes` wait.
  Status wait_for(size_t bytes, int64_t deadline_ms);
  // Waits for that reply; events that come before it are kept for next_event.
  Result<Bytes> reply(Type type, int timeout_ms);
  Result<Event> parse_event(Type type, ByteSpan body) const;

  int fd_ = -1;
  std::string path_;
  std::deque<Event> events_;
  Bytes ahead_;  // received, not yet taken; a timeout in the middle of a message loses nothing
  size_t ahead_start_ = 0;
};

}  // namespace chaincast::console
