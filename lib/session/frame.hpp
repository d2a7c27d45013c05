// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "session/session.hpp"

// Bytes of a session (docs/membership.md, "Sessions"): every message behind its length, 4 bytes,
// big-endian; the first message each way is a hello. Pure: values, no owner, any thread.
namespace chaincast::session {

inline constexpr size_t frame_header_bytes = 4;
inline constexpr uint8_t hello_version = 1;
inline constexpr size_t hello_bytes_min = 1 + 32 + 2 + 2;  // without a card
inline constexpr size_t hello_bytes_max = hello_bytes_min + card_bytes_max;

//   version (1)  network id (32)  listening port (2)  card length (2)  card
struct Hello {
  Digest network{};
  uint16_t port = 0;  // not 0
  Bytes card;         // at most card_bytes_max
  bool operator==(const Hello&) const = default;
};

Bytes encode_hello(const Hello& hello);
// `invalid`: says what is wrong with it.
Result<Hello> parse_hello(ByteSpan message);
// The message behind its length.
Bytes encode_frame(ByteSpan message);

// Cuts a stream into messages. Memory: at most twice the bytes of one message that have come; a
// length alone takes none. A message is valid until the next call.
class FrameReader {
 public:
  enum class State : uint8_t {
    partial,    // more is needed
    whole,      // message() is there; next() goes on
    malformed,  // a length of 0, or above the limit: for good
  };

  explicit FrameReader(size_t limit_bytes) : bytes_max_(limit_bytes) {}

  // Takes bytes up to the end of the message, and says how many; none unless partial.
  size_t take(ByteSpan bytes);
  State state() const { return state_; }
  ByteSpan message() const { return message_; }
  void next();
  // Of messages from the next on.
  void set_limit(size_t limit_bytes) { bytes_max_ = limit_bytes; }
  // Part of a message has come, be it of its length.
  bool is_inside() const { return header_bytes_ > 0; }
  // What is kept of the message so far.
  size_t kept_bytes() const { return message_.size(); }

 private:
  static constexpr size_t kept_capacity_max = 64 * 1024;

  size_t bytes_max_;
  State state_ = State::partial;
  std::array<uint8_t, frame_header_bytes> header_{};
  size_t header_bytes_ = 0;
  size_t length_ = 0;
  Bytes message_;
};

}  // namespace chaincast::session
