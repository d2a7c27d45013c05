// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include "crypto/crypto.hpp"
#include "stream/descriptor.hpp"
#include "stream/stream.hpp"

// An origin that seals frames beforehand, and the reader that tells whether a relayed copy is one
// of them. Payloads follow from their seq.
namespace chaincast::bench {

struct OriginConfig {
  wire::Suite suite{};
  uint16_t payload_bytes = 0;  // of the largest frame
  std::string resource = "bench";
  bool is_plain = false;  // sealed by an engine without cryptography: nothing to check by it
};

class Origin {
 public:
  // Engine and toolbox are borrowed.
  Origin(const crypto::Toolbox& toolbox, crypto::FrameEngine& engine, const OriginConfig& config);

  // Writes the next frame of the chain, with what fill() makes or with that `payload`.
  void seal_next(uint8_t* frame, uint16_t payload_bytes, const uint8_t* payload = nullptr);
  // The payload that belongs to a seq.
  static void fill(uint8_t* payload, size_t bytes, Seq seq);
  // The digest of the newest frame.
  const Digest& digest() const { return digest_; }
  Seq next_seq() const { return next_seq_; }
  StreamId id() const { return descriptor_.id; }
  bool has_made(ByteSpan frame) const;

  // The stream as a relay holds it, which has no key to read with; its origin's word is known up to
  // any seq, as control would have it. Keys are made by `engine`.
  std::shared_ptr<stream::Stream> stream(crypto::FrameEngine& engine) const;

  // Checks tag, link to no other key, and payload with the scalar reference. Empty: all is well.
  std::string judge(ByteSpan frame) const;

 private:
  std::unique_ptr<crypto::SuiteKey> make_key(crypto::FrameEngine& engine, bool can_read) const;

  const crypto::Toolbox& toolbox_;
  crypto::FrameEngine& engine_;
  const OriginConfig config_;
  stream::SignedDescriptor descriptor_;
  std::unique_ptr<crypto::SuiteKey> key_;
  std::unique_ptr<crypto::FrameEngine> reference_;
  std::unique_ptr<crypto::SuiteKey> reference_key_;
  Seq next_seq_ = 0;
  Link16 link_{};
  Digest digest_{};
};

}  // namespace chaincast::bench
