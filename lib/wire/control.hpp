// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "wire/descriptor.hpp"
#include "wire/frame.hpp"

// Control messages on a link (docs/wire.md, "Control messages"). Parsing and encoding only.
// A hello travels in clear with an HMAC (it makes the keys); everything else is sealed with
// AES-256-GCM by hop/. All counts read from the network are bounded by the constants here.
namespace chaincast::wire {

inline constexpr size_t control_bytes_max =
    1200;                                // plaintext of one sealed message, mtu probes apart
inline constexpr size_t lanes_max = 64;  // bulk lanes of one link
inline constexpr size_t link_ids_max = lanes_max + 1;  // lane 0 and the bulk lanes
inline constexpr size_t hello_bytes_min = 130;         // encoded, no link ids
inline constexpr size_t hello_bytes_max = hello_bytes_min + 4 * link_ids_max;

// Hello, three messages: `ask` (A: here am I, nonce a), `answer` (B: nonce b, echoes a; no state
// kept by B for unproven addresses), `confirm` (A: echoes b). Keys come from both nonces.
enum class HelloStep : uint8_t { ask = 1, answer = 2, confirm = 3, refuse = 4 };
enum class HelloRefusal : uint8_t { none = 0, bad_version = 1, duplicate_id = 2, removed = 3 };

// In `suites`, where older nodes ignore it: the sender's base UDP port is for lane 0 alone.
inline constexpr uint32_t control_port_bit = uint32_t{1} << 31;

struct Hello {
  HelloStep step = HelloStep::ask;
  HelloRefusal refusal = HelloRefusal::none;  // step refuse only
  uint8_t version_min = version;
  uint8_t version_max = version;
  NodeId sender;
  PublicKey sender_key{};
  std::array<uint8_t, 16> nonce{};  // the sender's, fresh for each session
  std::array<uint8_t, 16> echo{};   // the other side's; zero in ask
  uint32_t suites = 0;              // bit per Suite that the sender can verify, control_port_bit
  uint16_t mtu_bytes = 0;           // largest IP packet the sender's port takes
  bool check_off = false;           // sender wants check 0 (both must agree)
  uint16_t lane_count = 0;          // bulk lanes on which the sender will send
  uint16_t receive_ports = 0;       // UDP ports base .. base + receive_ports - 1 it listens on
  std::vector<uint32_t>
      link_ids;  // for the peer's lanes: [0] lane 0, then its bulk lanes (answer, confirm)
  std::array<uint8_t, 32> mac{};  // HMAC-SHA-256 under the hello key over all before it
};

// The mac as given. The caller keeps the bounds (lane_count <= lanes_max, link_ids <=
// link_ids_max) and the rules of parse_hello.
Bytes encode(const Hello& hello);
// All but the mac; empty if `encoded` is shorter than a hello.
ByteSpan hello_authenticated_bytes(ByteSpan encoded);
// Structure only, the mac is not checked: exact length, known step and refusal (a reason exactly in
// step refuse), 1 <= version_min <= version_max, echo zero in ask, bounds. Unknown suite bits are
// kept.
Result<Hello> parse_hello(ByteSpan bytes);

// Sealed messages. The first plaintext byte is the type.
enum class ControlType : uint8_t {
  keepalive = 1,
  keepalive_reply = 2,
  descriptor = 3,
  refuse_stream = 4,
  report = 5,
  nack = 6,
  pending = 7,
  tip = 8,
  tip_request = 9,
  mtu_probe = 10,
  mtu_reply = 11,
  close = 12,
  votes = 13,
};

struct Keepalive {
  uint64_t stamp = 0;
};  // sender's clock, opaque to the receiver
struct KeepaliveReply {
  uint64_t stamp = 0;
};  // echoed
struct DescriptorMessage {
  Bytes encoded;
};  // wire::encode(Descriptor)
enum class StreamRefusal : uint8_t {
  unknown_resource = 1,
  mtu = 2,
  suite = 3,
  capacity = 4,
  bad_signature = 5,
  conflicting = 6
};
struct RefuseStream {
  StreamId stream;
  StreamRefusal why{};
  uint16_t mtu_bytes = 0;
};
// Receiver's view of the sender's bulk lanes since the link came up.
struct Report {
  uint64_t datagrams_received = 0;
  uint64_t datagrams_lost = 0;
  uint64_t bytes_received = 0;
};
// Missing frames: bit i of `map` (from the least significant) asks for first_seq + i. With
// `by_digest`, exactly the frame at first_seq whose digest starts with `digest8`.
struct Nack {
  StreamId stream;
  Seq first_seq = 0;
  uint64_t map = 0;
  bool by_digest = false;
  std::array<uint8_t, 8> digest8{};
};
// The answerer will have these soon (pending) or has lost them for good (gone).
struct Pending {
  StreamId stream;
  Seq first_seq = 0;
  uint64_t map = 0;
  bool gone = false;
};
struct Tip {
  StreamId stream;
  bool empty = true;   // no frame linked yet
  Seq linked_seq = 0;  // highest linked
  std::array<uint8_t, 8> digest8{};
  Seq retained_from = 0;  // lowest seq that can be asked for
  Bytes statement;        // newest checked statement's payload; may be empty
};
struct TipRequest {
  StreamId stream;
};
struct MtuProbe {
  uint32_t id = 0;
  uint16_t ip_bytes = 0;
};  // padded by hop/ to ip_bytes
struct MtuReply {
  uint32_t id = 0;
  uint16_t ip_bytes = 0;
};
enum class CloseReason : uint8_t { shutdown = 1, removed = 2, rekey = 3 };
struct Close {
  CloseReason reason = CloseReason::shutdown;
};
// The sender has accepted the frames first_seq, first_seq + 1, ..., which have these digests: 1 to
// votes_max of them.
inline constexpr size_t votes_max = 36;
struct Votes {
  StreamId stream;
  Seq first_seq = 0;
  std::vector<Digest> digests;
};

using ControlMessage =
    std::variant<Keepalive, KeepaliveReply, DescriptorMessage, RefuseStream, Report, Nack, Pending,
                 Tip, TipRequest, MtuProbe, MtuReply, Close, Votes>;

// Canonical: fields that a flag makes meaningless (digest8 without by_digest, the tip of an empty
// stream) are not sent. The caller keeps descriptor_bytes_max, statement_bytes_max and votes_max.
Bytes encode(const ControlMessage& message);
// Unknown types fail with `unsupported` (counted, never fatal); trailing bytes and unknown
// enumerators with `invalid`. Bytes behind an mtu probe are padding. A message above
// control_bytes_max, probes apart, is `invalid`.
Result<ControlMessage> parse_control(ByteSpan plaintext);

}  // namespace chaincast::wire
