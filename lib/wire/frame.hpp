// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/ids.hpp"

// The hop header and the frame header (docs/wire.md, "Datagram" and "Frame"). Pure functions on
// byte spans; big-endian on the wire. Cost: a few loads; no allocation.
namespace chaincast::wire {

inline constexpr uint8_t version = 1;
inline constexpr uint8_t hops_max = 32;  // a datagram with more is dropped
inline constexpr size_t hop_header_bytes = 16;
inline constexpr size_t frame_header_bytes = 56;
inline constexpr size_t frame_hashed_header_bytes = 40;  // what precedes the tag
inline constexpr size_t payload_bytes_limit = 65'000;

// Payload profiles of a descriptor (docs/wire.md, "Frame").
inline constexpr uint16_t payload_default_bytes = 1160;  // fits an IPv6 path of 1280
inline constexpr uint16_t payload_lan_ipv4_bytes = 1400;
inline constexpr uint16_t payload_lan_ipv6_bytes = 1380;
inline constexpr uint16_t payload_jumbo_bytes = 8860;

// Flags of the hop header; unknown ones are ignored.
inline constexpr uint8_t hop_flag_hello = 0x01;  // frame_count 0: a hello message, not sealed

struct HopHeader {
  uint8_t version = wire::version;
  uint8_t flags = 0;
  uint8_t frame_count = 0;  // 0: a control message
  uint8_t hops = 0;
  uint32_t link_id = 0;   // of the lane, chosen by the receiver: low 12 bits index its lane table
  uint32_t link_seq = 0;  // low half of the lane's 64-bit counter
  uint32_t check = 0;
};

enum class Kind : uint8_t { data = 0, route = 1, statement = 2 };  // low 4 bits of the kind byte
inline constexpr uint8_t kind_mask = 0x0f;
inline constexpr uint8_t kind_first = 0x80;   // first frame of an object
inline constexpr uint8_t kind_last = 0x40;    // last frame of an object
inline constexpr uint8_t kind_packed = 0x20;  // several whole objects, each behind its length

enum class Suite : uint8_t {
  sha256_gmac = 1,
  sha256_gcm = 2,
  sha256_gmac_ct = 3,
  sha256_gcm_ct = 4,
  gmac = 5,
};

struct FrameHeader {
  uint16_t payload_bytes = 0;
  uint8_t kind = 0;   // Kind | kind_first | kind_last | kind_packed
  uint8_t suite = 0;  // Suite
  Epoch epoch = 0;
  StreamId stream;
  Seq seq = 0;
  Link16 link{};
  Tag tag{};
};

// Offsets of fields inside a frame, for code that reads single fields in place.
inline constexpr size_t frame_offset_payload_bytes = 0;
inline constexpr size_t frame_offset_kind = 2;
inline constexpr size_t frame_offset_suite = 3;
inline constexpr size_t frame_offset_epoch = 4;
inline constexpr size_t frame_offset_stream = 8;
inline constexpr size_t frame_offset_seq = 16;
inline constexpr size_t frame_offset_link = 24;
inline constexpr size_t frame_offset_tag = 40;

// `p` must hold hop_header_bytes.
inline HopHeader load_hop_header(const uint8_t* p) {
  return {p[0], p[1], p[2], p[3], load_be32(p + 4), load_be32(p + 8), load_be32(p + 12)};
}
inline void store_hop_header(uint8_t* p, const HopHeader& h) {
  p[0] = h.version;
  p[1] = h.flags;
  p[2] = h.frame_count;
  p[3] = h.hops;
  store_be32(p + 4, h.link_id);
  store_be32(p + 8, h.link_seq);
  store_be32(p + 12, h.check);
}

// `p` must hold frame_header_bytes.
inline FrameHeader load_frame_header(const uint8_t* p) {
  FrameHeader h;
  h.payload_bytes = load_be16(p);
  h.kind = p[2];
  h.suite = p[3];
  h.epoch = load_be32(p + 4);
  h.stream.value = load_be64(p + 8);
  h.seq = load_be64(p + 16);
  std::memcpy(h.link.data(), p + 24, 16);
  std::memcpy(h.tag.data(), p + 40, 16);
  return h;
}
inline void store_frame_header(uint8_t* p, const FrameHeader& h) {
  store_be16(p, h.payload_bytes);
  p[2] = h.kind;
  p[3] = h.suite;
  store_be32(p + 4, h.epoch);
  store_be64(p + 8, h.stream.value);
  store_be64(p + 16, h.seq);
  std::memcpy(p + 24, h.link.data(), 16);
  std::memcpy(p + 40, h.tag.data(), 16);
}

inline Kind kind_of(uint8_t kind_byte) {
  return static_cast<Kind>(kind_byte & kind_mask);
}

// First 6 tag bytes: what the dedup window's word holds.
inline uint64_t tag48(const uint8_t* tag) {
  return load_be64(tag) >> 16;
}

// XOR of the four big-endian words of one tag; a datagram's `tag_xor` is the XOR over its frames
// (for a sealed control message: over its AEAD tag). Fourth word of the link check's block.
inline uint32_t tag_words_xor(const uint8_t* tag) {
  return load_be32(tag) ^ load_be32(tag + 4) ^ load_be32(tag + 8) ^ load_be32(tag + 12);
}

}  // namespace chaincast::wire
