// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"

// A feed: the UDP socket through which an application beside a node hands it objects, or takes them
// from it. An object is a datagram, with nothing around it. A host's feed takes objects and answers
// with counts; a member's takes requests and answers with objects (docs/rest.md). Loopback only.
namespace chaincast::feed {

// The most that UDP over IPv4 carries.
inline constexpr size_t object_bytes_max = 65'507;

// What a datagram counts against a socket's buffer: at least what the kernel charges for it, with
// its rounding up. Both sides keep what is on its way below the other's buffer by this measure.
inline constexpr size_t weight(size_t bytes) {
  return 2 * bytes + 1024;
}

// From a host's feed: what has become of the objects of one feeder. An empty datagram asks for it.
struct Answer {
  enum class Refusal : uint8_t {
    none = 0,
    too_long = 1,  // above the resource's largest object
    stream = 2,    // the stream takes no more
  };
  uint64_t taken = 0;    // objects, since this feeder was first heard
  uint64_t refused = 0;  // objects
  Refusal newest = Refusal::none;
  bool operator==(const Answer&) const = default;
};
inline constexpr size_t answer_bytes = 24;

// To a member's feed: "send me at most this much". Objects follow, then an empty datagram.
struct Request {
  uint64_t reader = 0;   // chosen at random: who asks
  uint32_t number = 0;   // one more with each; the same again if the end has not come
  uint32_t room = 0;     // by weight
  uint64_t taken = 0;    // objects that this reader has had so far
  uint16_t hold_ms = 0;  // how long to wait for a first object
  bool operator==(const Request&) const = default;
};
inline constexpr size_t request_bytes = 32;
inline constexpr uint16_t hold_max_ms = 10'000;

// Pure; any thread. Nothing where the bytes are no such datagram.
Bytes encode(const Answer& answer);
Bytes encode(const Request& request);
std::optional<Answer> parse_answer(ByteSpan datagram);
std::optional<Request> parse_request(ByteSpan datagram);

// How the machines here send; the driver implements it.
class Socket {
 public:
  virtual ~Socket() = default;
  // False: not now, nothing was sent.
  virtual bool send(const Endpoint& to, ByteSpan datagram) = 0;
};

}  // namespace chaincast::feed
