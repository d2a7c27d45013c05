// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "cli/console.hpp"
#include "console/unix/channel.hpp"
#include "local/message.hpp"

namespace chaincast::console {

// The other end of the control socket, for programs: libchaincast, chaincastctl, chaincast-gen,
// tests. One thread at a time; move-only. Every call that may wait has a timeout, in milliseconds:
// 0 does not wait, for_ever does. Errors name the socket's path: `io` when the connection is lost,
// `timeout`, `refused` when the server gave up on us (its reason in the message).
class Client {
 public:
  static constexpr int for_ever = -1;
  static constexpr int reply_timeout_ms = 60'000;
  static constexpr size_t under_way_max = 1'000;
  // Events that came while a reply was awaited. A connection on which more come is an error.
  static constexpr size_t stashed_bytes_max = 64u << 20;

  static Result<Client> connect(const std::string& path);
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  struct CommandReply {
    int exit_code = 0;
    std::string text;  // as cli::Outcome::output
  };
  // `detached`: what the command begins (`commit confirm`) outlives this connection.
  Result<CommandReply> command(std::string_view line, bool json, int timeout_ms = reply_timeout_ms,
                               bool detached = false);
  // What may follow `line`, whose last word may be incomplete.
  Result<std::vector<std::string>> complete(std::string_view line);
  Result<ops::Json> status();
  Result<cli::StreamInfo> stream(std::string_view name);

  // One object; returns once the node has taken it (that is the back-pressure). A refusal by the
  // node is a PublishResult with state `failed`, not an Error.
  Result<cli::PublishResult> publish(std::string_view stream, ByteSpan object);
  // The same in two halves, so that several objects are under way: replies come in order. After
  // `timeout` the object was not taken; otherwise it is under way, even where a part of it still
  // waits here for the socket. At most under_way_max (`refused`). `more`: another call follows,
  // so the object may go with what that one sends; waiting for an event or a reply sends it too.
  Status send_publish(std::string_view stream, ByteSpan object, int timeout_ms = for_ever,
                      bool more = false);
  Result<cli::PublishResult> receive_published(int timeout_ms = for_ever);
  size_t under_way() const { return under_way_; }

  // Returns the subscription's index, which its events carry.
  Result<uint32_t> subscribe(std::string_view stream);
  // The same through memory that this process shares with the node, for the rate of a local reader;
  // the node takes at least so many bytes for it, rounded up. `unsupported` by older nodes.
  static constexpr uint32_t ring_bytes_default = 4u << 20;
  Result<uint32_t> subscribe_ring(std::string_view stream,
                                  uint32_t ring_bytes = ring_bytes_default);

  // Subscriptions that are made from now on tell when the node that a stream comes from is gone
  // from the network, and when the stream goes on. `unsupported` by older nodes.
  Status watch_origins();

  enum class EventKind : uint8_t { object, lost, closed, origin_lost, origin_back };
  struct Event {
    EventKind kind = EventKind::object;
    uint32_t subscription = 0;
    StreamId stream;
    Seq first_seq = 0;
    Seq last_seq = 0;
    // Valid until the next call.
    ByteSpan object;
    std::string_view reason;  // closed
  };
  // The next event; ErrorCode::timeout if none came.
  Result<Event> next_event(int timeout_ms = for_ever);

  // For a poll loop of one's own, which waits for POLLIN only: readable means that a call with
  // timeout 0 may get on. Ask has_event() before each wait: the client reads ahead, and a ring has
  // to be told that its reader will sleep, and what send_publish has kept has to leave.
  int fd() const { return channel_.fd(); }
  bool has_event();
  // A part of an object waits for the socket: send_publish would wait, too.
  bool output_waits() const { return channel_.output_waits(); }
  void flush() { channel_.flush(); }

 private:
  struct Stashed {
    local::Type type;
    Bytes body;
  };

  struct Ring;

  explicit Client(Channel channel);
  // Waits until nothing else is on its way out.
  Status send(local::Type type, ByteSpan head, ByteSpan tail, TimeNs deadline_ns,
              bool more = false);
  Status request(local::Type type, ByteSpan body);
  // `unsupported` where the node is older than that; it would end the connection over a request
  // that it does not know. `lacks`: what it has not, and what to do without.
  Status needs_protocol(int protocol, std::string_view lacks);
  // Waits for that reply; what comes before it is kept. Valid until the next call.
  Result<ByteSpan> reply(local::Type type, TimeNs deadline_ns);
  // The next message that is not the late reply to a request whose time was over.
  Result<std::optional<Channel::Message>> take();
  Status stash(const Channel::Message& message);
  Result<Event> parse_event(local::Type type, ByteSpan body) const;
  // The next record of the rings, in turn.
  Result<std::optional<Event>> ring_event();
  // False: a ring has something to read.
  bool rings_asleep();

  Channel channel_;
  size_t under_way_ = 0;
  std::deque<local::Type> abandoned_;  // replies that nobody waits for any more
  std::deque<Bytes> published_;        // replies that came before they were asked for
  std::deque<Stashed> events_;         // likewise
  size_t events_bytes_ = 0;
  std::vector<std::unique_ptr<Ring>> rings_;
  size_t ring_turn_ = 0;
  unsigned ring_events_ = 0;  // since the socket was looked at
  Bytes name_;                // of the stream that is published on
  Bytes taken_;               // what was handed out last, where it had been stashed
};

}  // namespace chaincast::console
