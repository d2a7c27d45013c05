// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "local/message.hpp"

namespace chaincast::console {

// A client's connection to a control socket, message by message; never blocks but in wait().
// Memory: the message being sent, and what has been read ahead (1 MiB, or one message if longer).
// One thread at a time; move-only. Errors name the socket's path: `io` when the connection is
// lost, `refused` when the node gave up on us (its reason in the message).
class Channel {
 public:
  static Result<Channel> connect(const std::string& path);
  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&& other) noexcept;
  ~Channel();

  struct Message {
    local::Type type = local::Type::error;
    ByteSpan body;  // valid until the next take()
  };
  // The next whole message that has come, if any.
  Result<std::optional<Message>> take();
  // The descriptor that came with what take() has returned so far; -1: none. The caller owns it.
  int take_descriptor();
  bool has_input() const { return whole_message_bytes() > 0; }

  // One message, whose body is `head` and then `tail`. What the socket does not take at once waits
  // here; while it does, nothing else can be sent (`output_waits`). `more`: others follow, so it
  // may be kept here and go with them, at the latest when 64 KiB are kept or at flush(), which
  // take() does before it finds nothing.
  void send(local::Type type, ByteSpan head, ByteSpan tail = {}, bool more = false);
  // Sends what the socket takes.
  void flush();
  bool output_waits() const { return is_blocked_; }

  // Until something can be read or, where output waits, sent; `timeout` at the deadline.
  Status wait(TimeNs deadline_ns) const;
  // Readable when wait() would return.
  int fd() const { return epoll_; }
  const std::string& path() const { return path_; }
  Error lost(const std::string& why) const;

 private:
  Channel(int fd, int epoll, std::string path);
  void watch();
  size_t whole_message_bytes() const;
  Status fill();
  void keep_descriptor(msghdr& message);

  int fd_ = -1;
  int epoll_ = -1;
  std::string path_;
  Bytes out_;
  size_t out_start_ = 0;
  bool is_blocked_ = false;  // the socket takes no more
  bool watches_output_ = false;
  Bytes ahead_;  // [start, end) is received and not yet taken
  size_t ahead_start_ = 0;
  size_t ahead_end_ = 0;
  int descriptor_ = -1;
};

}  // namespace chaincast::console
