// SPDX-License-Identifier: BSD-3-Clause
// The C++17 face of libchaincast, in this header alone: RAII over chaincast.h, whose comments say
// what each call does. Failures are thrown as client::Error; not being ready in time is not a
// failure, and is an empty optional or false.
#pragma once

#include <chaincast.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace chaincast::client {

class Error : public std::runtime_error {
 public:
  Error(int code, const std::string& message)
      : std::runtime_error(message.empty() ? chaincast_code_name(code) : message), code_(code) {}
  int code() const noexcept { return code_; }  // enum chaincast_code

 private:
  int code_;
};

using Milliseconds = std::chrono::milliseconds;
inline constexpr Milliseconds forever{CHAINCAST_FOREVER};

using StreamInfo = chaincast_stream_info;
using Receipt = chaincast_receipt;

// One event of a subscription. Views into the connection: valid until its next call.
class Event {
 public:
  explicit Event(const chaincast_event& event) : event_(event) {}
  bool is_object() const noexcept { return event_.kind == CHAINCAST_OBJECT; }
  bool is_lost() const noexcept { return event_.kind == CHAINCAST_LOST; }
  bool is_closed() const noexcept { return event_.kind == CHAINCAST_CLOSED; }
  bool is_origin_lost() const noexcept { return event_.kind == CHAINCAST_ORIGIN_LOST; }
  bool is_origin_back() const noexcept { return event_.kind == CHAINCAST_ORIGIN_BACK; }

  std::uint32_t subscription() const noexcept { return event_.subscription; }
  std::uint64_t stream() const noexcept { return event_.stream; }
  std::uint64_t first_seq() const noexcept { return event_.first_seq; }
  std::uint64_t last_seq() const noexcept { return event_.last_seq; }
  const std::byte* data() const noexcept { return static_cast<const std::byte*>(event_.object); }
  std::size_t size() const noexcept { return event_.object_bytes; }
  std::string_view text() const noexcept {
    return {static_cast<const char*>(event_.object), event_.object_bytes};
  }
  std::string_view reason() const noexcept { return event_.reason != nullptr ? event_.reason : ""; }

 private:
  chaincast_event event_;
};

// Move-only; one thread at a time.
class Connection {
 public:
  explicit Connection(const std::string& path) {
    char error[CHAINCAST_ERROR_BYTES];
    chaincast_connection* opened = nullptr;
    const int code = chaincast_open(path.c_str(), &opened, error, sizeof error);
    if (code != CHAINCAST_OK) throw Error(code, error);
    handle_.reset(opened);
  }

  // For calls that this header does not have; still owned here.
  chaincast_connection* handle() const noexcept { return handle_.get(); }
  int fd() const noexcept { return chaincast_fd(handle()); }

  StreamInfo stream(const std::string& name) {
    StreamInfo info{};
    check(chaincast_stream(handle(), name.c_str(), &info));
    return info;
  }
  std::string status() {
    const char* json = nullptr;
    check(chaincast_status(handle(), &json));
    return json;
  }

  // Empty: not in time (see chaincast_publish).
  std::optional<Receipt> publish(const std::string& stream, std::string_view object,
                                 Milliseconds timeout = forever) {
    Receipt receipt{};
    const int code = chaincast_publish(handle(), stream.c_str(), object.data(), object.size(),
                                       count(timeout), &receipt);
    return in_time(code) ? std::optional(receipt) : std::nullopt;
  }
  // False: the connection is full.
  bool submit(const std::string& stream, std::string_view object, Milliseconds timeout = forever) {
    return in_time(
        chaincast_submit(handle(), stream.c_str(), object.data(), object.size(), count(timeout)));
  }
  // The same, where another call follows at once (see chaincast_submit_more).
  bool submit_more(const std::string& stream, std::string_view object,
                   Milliseconds timeout = forever) {
    return in_time(chaincast_submit_more(handle(), stream.c_str(), object.data(), object.size(),
                                         count(timeout)));
  }
  std::optional<Receipt> take_receipt(Milliseconds timeout = forever) {
    Receipt receipt{};
    const int code = chaincast_take_receipt(handle(), &receipt, count(timeout));
    return in_time(code) ? std::optional(receipt) : std::nullopt;
  }
  std::size_t pending() const noexcept { return chaincast_pending(handle()); }

  // Before subscribing. False: the node is too old for it.
  bool watch_origins() {
    const int code = chaincast_watch_origins(handle());
    if (code == CHAINCAST_ERROR_UNSUPPORTED) return false;
    check(code);
    return true;
  }
  std::uint32_t subscribe(const std::string& stream) {
    std::uint32_t subscription = 0;
    check(chaincast_subscribe(handle(), stream.c_str(), &subscription));
    return subscription;
  }
  std::uint32_t subscribe_ring(const std::string& stream, std::size_t ring_bytes = 0) {
    std::uint32_t subscription = 0;
    check(chaincast_subscribe_ring(handle(), stream.c_str(), ring_bytes, &subscription));
    return subscription;
  }
  std::optional<Event> next(Milliseconds timeout = forever) {
    chaincast_event event{};
    const int code = chaincast_next(handle(), &event, count(timeout));
    return in_time(code) ? std::optional(Event(event)) : std::nullopt;
  }

 private:
  struct Close {
    void operator()(chaincast_connection* connection) const noexcept {
      chaincast_close(connection);
    }
  };
  static int count(Milliseconds timeout) noexcept {
    return timeout < Milliseconds(0) ? CHAINCAST_FOREVER : static_cast<int>(timeout.count());
  }
  void check(int code) const {
    if (code != CHAINCAST_OK) throw Error(code, chaincast_error(handle()));
  }
  bool in_time(int code) const {
    if (code == CHAINCAST_ERROR_TIMEOUT) return false;
    check(code);
    return true;
  }

  std::unique_ptr<chaincast_connection, Close> handle_;
};

}  // namespace chaincast::client
