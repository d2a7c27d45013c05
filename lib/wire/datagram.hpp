// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "wire/frame.hpp"

// One datagram as it arrives: which of the three kinds it is, and where its parts are
// (docs/wire.md, "Datagram"). Pure, noexcept, no allocation, never reads outside the span, so a
// data-plane stage may call all of it. Cost: one header load per frame.
namespace chaincast::wire {

enum class DatagramType : uint8_t { data, hello, control };

// Why a datagram is refused. lib/classify maps each to a drop reason of the same name.
enum class DatagramFault : uint8_t {
  none,
  truncated,      // ends inside a header or a payload, or before `frame_count` frames
  bad_version,    // not wire::version
  bad_count,      // a frame count where none may be, or none where one must be
  too_many_hops,  // hops above hops_max; or not 0 in a hello or control datagram
  trailing,       // bytes left behind the last frame
  oversized,      // a payload above payload_bytes_limit, or a control message above its bound
  bad_hello,      // a hello with a link id, seq or check
};
const char* to_string(DatagramFault fault) noexcept;

// One frame in place: header and payload.
struct FrameView {
  const uint8_t* data = nullptr;
  uint16_t bytes = 0;  // frame_header_bytes + payload
};

// Reads the hop header alone. A datagram shorter than it, or of another version, is refused;
// everything else about it is not looked at yet.
struct DatagramHead {
  DatagramFault fault = DatagramFault::none;
  DatagramType type = DatagramType::data;
  HopHeader hop;  // zero but for what could be read if fault is not `none`
};
DatagramHead read_head(ByteSpan datagram) noexcept;

// Full structural check of a data datagram: version, count >= 1, hops <= hops_max, and frames that
// consume it exactly. Faults are looked for in that order; the first one found is named.
DatagramFault check_data_datagram(ByteSpan datagram) noexcept;

// Walks the frames of a data datagram. Safe on unchecked bytes: next() stops at the first frame
// that does not lie inside the datagram, so a caller may check first (and drop the datagram whole)
// or walk and look at fault() afterwards. Copyable, so a caller with a full burst may resume.
class FrameWalker {
 public:
  explicit FrameWalker(ByteSpan datagram) noexcept;

  // True and the next frame, or false at the end or at a fault.
  bool next(FrameView& frame) noexcept;
  // `none` while frames follow and after a well-formed end.
  DatagramFault fault() const noexcept { return fault_; }
  unsigned frames_left() const noexcept { return frames_left_; }

 private:
  ByteSpan rest_;
  unsigned frames_left_ = 0;
  DatagramFault fault_ = DatagramFault::none;
};

// Fourth word of the link check's block: XOR of the tags' words over all frames.
uint32_t datagram_tag_xor(std::span<const FrameView> frames) noexcept;
// The same over a datagram that passed check_data_datagram.
uint32_t datagram_tag_xor(ByteSpan checked_datagram) noexcept;

// ---- sealed control datagram: hop header | counter (8) | ciphertext | tag (16) -----------------

inline constexpr size_t control_counter_bytes = 8;
inline constexpr size_t control_tag_bytes = 16;
inline constexpr size_t control_aad_bytes = 12;
// Hop header, counter and tag: what sealing adds to a plaintext.
inline constexpr size_t control_overhead_bytes =
    hop_header_bytes + control_counter_bytes + control_tag_bytes;

struct SealedControl {
  DatagramFault fault = DatagramFault::none;
  HopHeader hop;
  uint64_t counter = 0;
  ByteSpan sealed;       // ciphertext and tag, as crypto::Aead::open takes them
  uint32_t tag_xor = 0;  // of the AEAD tag, for the link check
};
// Plaintext of at least one byte (the type).
SealedControl read_sealed_control(ByteSpan datagram) noexcept;

// AAD of a sealed control message: version, flags, 0, 0, counter.
std::array<uint8_t, control_aad_bytes> control_aad(uint8_t version, uint8_t flags,
                                                   uint64_t counter) noexcept;

// ---- hello datagram: hop header (flag hello, all else zero) | encoded hello --------------------

// The encoded hello in place, or an empty span and the fault.
struct HelloView {
  DatagramFault fault = DatagramFault::none;
  ByteSpan encoded;
};
HelloView read_hello(ByteSpan datagram) noexcept;
// The 16 bytes in front of an encoded hello.
std::array<uint8_t, hop_header_bytes> hello_hop_header() noexcept;

}  // namespace chaincast::wire
