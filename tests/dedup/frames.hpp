// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/ids.hpp"
#include "wire/frame.hpp"

// Frames made from (seq, variant): tag, digest and content follow from both, so that a test knows
// what it must read back. No cryptography.
namespace chaincast::test {

inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t z = a * 0x9e3779b97f4a7c15ull + b * 0xff51afd7ed558ccdull + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  return z ^ (z >> 31);
}

inline Digest made_digest(Seq seq, unsigned variant) {
  Digest digest;
  for (size_t i = 0; i < 4; ++i) store_be64(digest.data() + 8 * i, mix(seq, variant * 8 + i));
  return digest;
}

inline uint64_t made_tag48(Seq seq, unsigned variant) {
  return mix(seq, variant + 1000) >> 16;
}

struct MadeFrame {
  std::array<uint8_t, 96> bytes{};
  uint16_t length = 96;
  Digest digest{};
  uint64_t tag48 = 0;
};

// Links to variant `previous_variant` of seq - 1.
inline MadeFrame made_frame(Seq seq, unsigned variant, unsigned previous_variant = 0) {
  MadeFrame frame;
  frame.length = static_cast<uint16_t>(wire::frame_header_bytes + mix(seq, variant) % 41);
  wire::FrameHeader header;
  header.payload_bytes = static_cast<uint16_t>(frame.length - wire::frame_header_bytes);
  header.seq = seq;
  const Digest previous = made_digest(seq - 1, previous_variant);
  std::copy_n(previous.begin(), header.link.size(), header.link.begin());
  frame.tag48 = made_tag48(seq, variant);
  store_be64(header.tag.data(), frame.tag48 << 16);
  wire::store_frame_header(frame.bytes.data(), header);
  for (size_t i = wire::frame_header_bytes; i < frame.length; ++i)
    frame.bytes[i] = static_cast<uint8_t>(mix(seq, i + variant));
  frame.digest = made_digest(seq, variant);
  return frame;
}

}  // namespace chaincast::test
