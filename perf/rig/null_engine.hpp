// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "crypto/crypto.hpp"

// An engine without cryptography: tags follow from seqs, and every consistent frame is taken; the
// payload is not touched. What a line with it does is plain forwarding: what cryptography takes is
// the difference, and its instruction counts are those of the product's own code. For benchmarks
// alone. One thread.
namespace chaincast::bench {

class NullEngine final : public crypto::FrameEngine {
 public:
  std::string_view name() const noexcept override { return "null"; }
  Result<std::unique_ptr<crypto::SuiteKey>> make_key(wire::Suite suite, Epoch epoch,
                                                     const Secret& kmac,
                                                     const Secret* kenc) override;
  void verify(std::span<crypto::FrameJob> jobs) noexcept override;
  Digest seal(const crypto::SuiteKey& key, uint8_t* frame, uint16_t frame_bytes) noexcept override;
  bool open(const crypto::SuiteKey& key, const uint8_t* frame, uint16_t frame_bytes,
            uint8_t* out) noexcept override;
  unsigned crossover_frames() const noexcept override { return 0; }
};

}  // namespace chaincast::bench
