// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "crypto/crypto.hpp"

// Tags of many frames at a time: AES-256-GMAC (NIST SP 800-38D), over header and payload or over
// digests, with the nonce that stands in the frame.
//
// A call of a library for each costs more than a short frame's few blocks. Here the counter blocks
// of sixteen frames are encrypted together, each frame's blocks are multiplied with the powers of H
// four at a time and reduced once, and header and payload are read where they are, without the tag
// between them.
namespace chaincast::crypto {

// Whether this processor can.
bool has_gmac_lanes() noexcept;

// An expanded key: round keys and powers of H. Plain value; wipe() before its memory is given back.
class GmacKey {
 public:
  // In place, so that no other memory holds it. Only with has_gmac_lanes().
  void expand(const Secret& secret) noexcept;
  void wipe() noexcept;

  // Blocks that one reduction serves, the block of lengths among them.
  static constexpr size_t powers = 128;

  alignas(64) std::array<std::array<uint8_t, 16>, 15> round_keys{};
  // H^128 .. H^1, each as its multiplication wants it, and zeros that stand for blocks beyond.
  alignas(64) std::array<std::array<uint8_t, 16>, powers + 3> descending{};
};

// Frames up to this length have one reduction; longer ones are not taken.
inline constexpr size_t gmac_frame_bytes_max =
    (GmacKey::powers - 1) * 16 + wire::frame_header_bytes - wire::frame_hashed_header_bytes;

// tags[i]: of jobs[i]'s header and payload. Of the jobs `frame` and `frame_bytes` are read, from 56
// to gmac_frame_bytes_max; their keys are not looked at. Frames behind those worked on are fetched
// ahead, up to the last job.
//
// Thread: any. No allocation; time does not depend on contents or key. Only with has_gmac_lanes().
void gmac_lanes_frames(const GmacKey& key, std::span<const FrameJob* const> jobs,
                       Tag* tags) noexcept;
// The same of their digests, 32 bytes each: the tags of strict suites.
void gmac_lanes_digests(const GmacKey& key, std::span<const FrameJob* const> jobs,
                        Tag* tags) noexcept;

}  // namespace chaincast::crypto
