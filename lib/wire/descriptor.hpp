// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "wire/frame.hpp"

// Signed stream descriptors and statements (docs/wire.md, "Descriptor", "Statement").
// Encoding and parsing only; signatures are checked by stream/.
namespace chaincast::wire {

enum class SuiteClass : uint8_t { open = 1, confidential = 2, trusted = 3 };
// When objects are handed to applications. `accepted`: enough neighbours vouch for the frames.
enum class Delivery : uint8_t { linked = 1, final = 2, accepted = 3 };
enum class Reemit : uint8_t { verified = 1, linked = 2 };  // when relays pass frames on
enum class Keeping : uint8_t { live = 1, kept = 2 };

struct Descriptor {
  std::array<uint8_t, 32> network{};      // network id
  std::string resource;                   // 1..64 bytes of [a-z0-9._-]: the subnetwork's name
  PublicKey origin{};                     // Ed25519
  std::array<uint8_t, 16> incarnation{};  // random, new at every start of an origin
  SuiteClass suite_class = SuiteClass::open;
  Suite suite = Suite::sha256_gmac;  // of epoch 0
  uint16_t payload_bytes_max = payload_default_bytes;
  uint32_t object_bytes_max = 1u << 20;  // at least 1 MiB
  uint32_t rate_frames_per_s = 10'000;   // declared; sizes the window, enforced at the origin
  uint8_t window_log2 = 13;              // 10..20
  uint16_t statement_frames_max = 256;   // K: frames between two statements
  uint32_t statement_interval_ms = 10;   // T: least time between two statements
  Delivery delivery = Delivery::linked;
  Reemit reemit = Reemit::verified;
  Keeping keeping = Keeping::live;
  bool carries_routes = false;  // lane 0 and the priority class
  uint8_t votes_percent = 0;    // delivery at accepted: the share of parents that must vouch
  uint32_t created_unix_s = 0;  // for display only; no decision compares clocks
  Signature signature{};
};

inline constexpr size_t descriptor_bytes_max = 512;
inline constexpr size_t resource_bytes_max = 64;

inline constexpr size_t statement_bytes_max = 512;  // optional parts to come included

// Ranges that parse_descriptor enforces, besides those in the comments above.
inline constexpr uint16_t payload_bytes_min = statement_bytes_max;  // a statement is one frame
inline constexpr uint32_t object_bytes_min = 1u << 20;
inline constexpr uint32_t object_bytes_limit = 1u << 30;
inline constexpr uint32_t rate_frames_per_s_max = 100'000'000;
inline constexpr uint8_t window_log2_min = 10;
inline constexpr uint8_t window_log2_max = 20;
inline constexpr uint32_t statement_interval_ms_max = 10'000;

// The class that a suite belongs to; nothing for unknown suites.
std::optional<SuiteClass> suite_class_of(Suite suite) noexcept;
// Every rule that parse_descriptor applies to values, for whoever makes a descriptor: names the
// field, the value and the range. Trusted streams take no votes, no `final` and are not kept; kept
// ones are not delivered at `accepted`.
Status check_descriptor(const Descriptor& descriptor);

// What the signature covers: label "chaincast1 descriptor", 0, network id, body of the encoding.
Bytes descriptor_signed_bytes(const Descriptor& descriptor);
// Body and signature. SHA-256 of the whole is the descriptor digest; its first 8 bytes the stream
// id.
Bytes encode(const Descriptor& descriptor);
// Exact length, known enumerators, values in range, canonical (re-encodes to the same bytes).
Result<Descriptor> parse_descriptor(ByteSpan bytes);

struct Statement {
  Digest descriptor_digest{};
  uint64_t index = 0;  // 0, 1, 2, ... per descriptor
  Digest previous{};   // SHA-256 of the previous statement's payload; zero at index 0
  Seq first_seq = 0;   // first and last seq covered
  Seq last_seq = 0;
  Digest last_digest{};  // full digest of the frame at last_seq
  uint8_t flags = 0;     // statement_flag_end, ...; unknown flags refuse the statement
  Signature signature{};
};
inline constexpr uint8_t statement_flag_end = 0x01;  // the origin closes the stream

// What the signature covers: label "chaincast1 statement", 0, network id, body of the encoding.
Bytes statement_signed_bytes(const Statement& statement, const std::array<uint8_t, 32>& network);
Bytes encode(const Statement& statement);  // the payload of a statement frame
// Exact length, no unknown flag, first_seq <= last_seq (so a stream never starts with a statement),
// previous zero at index 0.
Result<Statement> parse_statement(ByteSpan payload);

}  // namespace chaincast::wire
