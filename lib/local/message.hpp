// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/ids.hpp"

// What passes between a node and programs on its host. Messages of the control socket
// (docs/socket.md): type (1), body length (4, big-endian), body. Pure; any thread; shared by the
// node's end (console/unix) and the client library.
namespace chaincast::local {

enum class Type : uint8_t {
  // requests, answered one by one in order
  command = 0x01,         // flags (1; bit 0: JSON, bit 1: detached), text
  publish = 0x02,         // name length (1), name, object; answered once the node took it
  subscribe = 0x03,       // name length (1), name
  status = 0x04,          // empty
  stream = 0x05,          // name length (1), name
  subscribe_ring = 0x06,  // ring bytes wanted (4), name length (1), name; protocol 2
  complete = 0x07,        // beginning of a command line; protocol 2
  watch_origins = 0x08,   // empty; protocol 3
  // replies: request type + 0x80
  command_reply = 0x81,    // exit code (1), text
  publish_reply = 0x82,    // state (1; 0: done, 1: failed), stream id (8), first seq (8), text
  subscribe_reply = 0x83,  // state (1), subscription (4), text
  status_reply = 0x84,     // JSON text
  stream_reply = 0x85,     // state (1), stream id (8), object_bytes_max (4), can publish (1), text
  // state (1), subscription (4), data bytes (4), text; done: the ring's memory comes with it
  subscribe_ring_reply = 0x86,
  complete_reply = 0x87,       // what may follow, one word a line
  watch_origins_reply = 0x88,  // empty
  // pushes, between replies
  object = 0xc0,  // subscription (4), stream id (8), first seq (8), last seq (8), object
  lost = 0xc1,    // subscription (4), stream id (8), first seq (8), last seq (8)
  closed = 0xc2,  // subscription (4), text
  wake = 0xc3,    // the ring of a reader that sleeps has something; empty; protocol 2
  // to whoever watches origins; subscription (4), stream id (8), zeros (16); protocol 3
  origin_lost = 0xc4,
  origin_back = 0xc5,
  // the server gives up on this connection and says why; text
  error = 0xff,
};

inline constexpr uint32_t protocol_version = 3;  // in the status reply as "protocol"
inline constexpr size_t message_header_bytes = 5;
inline constexpr size_t object_header_bytes = 28;
inline constexpr size_t name_bytes_max = 255;
inline constexpr size_t command_bytes_max = 64 * 1024 + 1;
inline constexpr size_t object_bytes_limit = 16 * 1024 * 1024;
inline constexpr uint8_t command_flag_json = 0x01;
// The client will leave on purpose: what the command begins does not end with the connection.
inline constexpr uint8_t command_flag_detached = 0x02;

struct Header {
  Type type = Type::error;
  uint32_t body_bytes = 0;
};

// What a subscription brings: everything but `wake` among the pushes.
bool is_event(Type type);
// `p` must hold message_header_bytes.
Header load_header(const uint8_t* p);
// A whole message.
Bytes message(Type type, ByteSpan body);
// The longest body a client may send of that type; nothing for a type no client sends.
std::optional<size_t> request_bytes_max(uint8_t type, size_t object_bytes_max);

// Appends a name behind its length byte. Longer names than name_bytes_max are cut.
void put_name(ByteWriter& writer, std::string_view name);
std::string_view get_name(ByteReader& reader);
// Whatever is left.
std::string_view rest_text(ByteReader& reader);

}  // namespace chaincast::local
