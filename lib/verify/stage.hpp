// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>

#include "crypto/crypto.hpp"
#include "stage/burst.hpp"

// Stage `verify`: digest and tag of every frame that probe let through, in one multi-buffer batch.
//
// Reads Frame bytes, length, stream, epoch; writes digest (zero for -ct suites, whose digest is
// checked at delivery). Drops: tag. A forged frame has not marked anything as seen.
namespace chaincast::verify {

// One per worker; owns nothing but scratch space. `engine` belongs to the same worker.
class Verify {
 public:
  explicit Verify(crypto::FrameEngine& engine) : engine_(engine) {}
  void process(stage::Burst& burst) noexcept;

 private:
  crypto::FrameEngine& engine_;
  std::array<crypto::FrameJob, stage::frames_max> jobs_;
};

}  // namespace chaincast::verify
