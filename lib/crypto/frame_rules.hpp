// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstring>
#include <string>

#include "crypto/crypto.hpp"

// What every FrameEngine agrees on about a frame: which suites exist, their traits, the nonce, the
// consistency rules, the tag compare. docs/security.md "Suites". Pure, a few loads each.
namespace chaincast::crypto {

using Nonce = std::array<uint8_t, 12>;

inline bool is_known(wire::Suite suite) {
  return suite >= wire::Suite::sha256_gmac && suite <= wire::Suite::gmac;
}
// Strict: the tag covers the digest, so who has checked the tag has checked the chained hash.
inline bool is_strict(wire::Suite suite) {
  return suite == wire::Suite::sha256_gmac || suite == wire::Suite::sha256_gcm;
}
inline bool is_confidential(wire::Suite suite) {
  return suite == wire::Suite::sha256_gcm || suite == wire::Suite::sha256_gcm_ct;
}
// False where the chain is over tags.
inline bool has_digest(wire::Suite suite) {
  return suite != wire::Suite::gmac;
}

inline Error unknown_suite(wire::Suite suite) {
  return error(ErrorCode::unsupported,
               "suite " + std::to_string(static_cast<unsigned>(suite)) +
                   ": this build does not know it; choose one of docs/security.md \"Suites\"");
}

// epoch (4), seq (8), as they stand in the header.
inline Nonce nonce_of(const uint8_t* frame) {
  Nonce nonce;
  std::memcpy(nonce.data(), frame + wire::frame_offset_epoch, 4);
  std::memcpy(nonce.data() + 4, frame + wire::frame_offset_seq, 8);
  return nonce;
}

// The job names a key, and the frame's length, suite and epoch are the ones its header states.
// Otherwise the frame is refused before any cryptography: a nonce is good under its own epoch's
// key only.
inline bool is_consistent(const FrameJob& job) {
  return job.key != nullptr && job.frame != nullptr &&
         job.frame_bytes >= wire::frame_header_bytes &&
         load_be16(job.frame) == job.frame_bytes - wire::frame_header_bytes &&
         job.frame[wire::frame_offset_suite] == static_cast<uint8_t>(job.key->suite) &&
         load_be32(job.frame + wire::frame_offset_epoch) == job.key->epoch;
}

inline ByteSpan hashed_header_of(const uint8_t* frame) {
  return {frame, wire::frame_hashed_header_bytes};
}
inline ByteSpan payload_of(const uint8_t* frame, uint16_t frame_bytes) {
  return {frame + wire::frame_header_bytes, frame_bytes - wire::frame_header_bytes};
}

// Constant time.
inline bool tags_equal(const uint8_t* a, const uint8_t* b) {
  uint64_t x[2];
  uint64_t y[2];
  std::memcpy(x, a, sizeof x);
  std::memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

// `gmac`: the chain's element is the tag, zero-padded.
inline Digest digest_of_tag(const Tag& tag) {
  Digest out{};
  std::memcpy(out.data(), tag.data(), tag.size());
  return out;
}

}  // namespace chaincast::crypto
