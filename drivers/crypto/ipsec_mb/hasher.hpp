// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <intel-ipsec-mb.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <span>

#include "crypto/ipsec_mb/engine.hpp"

// SHA-256 of batches of frames. Private to the driver.
namespace chaincast::crypto::ipsec_mb {

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

inline constexpr size_t lane_group = 16;  // lanes of the widest manager

// Frames left over after the groups of sixteen: up to this many take the small-batch path. 16: the
// lanes never win, and whole groups take that path too.
struct Crossover {
  unsigned short_frames = lane_group;
  unsigned long_frames = lane_group;
};

// Frames of a burst mostly lie where the NIC has put them. While one is worked on, those behind it
// are on their way; further ahead than two long ones, a core has no more requests to memory under
// way, and two short ones are done before the third is here.
inline size_t prefetch_ahead(const FrameJob& job) noexcept {
  return job.frame_bytes < 512 ? 8 : 2;
}
// Inline by force: GCC 12 takes a function that does nothing else for one without effect, and calls
// of it away.
[[gnu::always_inline]] inline void prefetch(const FrameJob& job) noexcept {
  // The last byte as well: frames begin anywhere in a line.
  for (size_t at = 0; at < job.frame_bytes; at += 64) __builtin_prefetch(job.frame + at);
  __builtin_prefetch(job.frame + job.frame_bytes - 1);
}

// One thread at a time. Nothing is left in a manager when a call returns.
class Hasher {
 public:
  // Both managers outlive the hasher. `lanes`: the best one; `pairs`: the SHA-NI one.
  // `own_lanes`: crypto::sha256_lanes() instead of the former, where the processor can.
  Hasher(IMB_MGR* lanes, IMB_MGR* pairs, Sha256 sha256, bool own_lanes);

  // Times both paths on this machine.
  void measure_crossover();
  void set_crossover(Crossover crossover) { crossover_ = crossover; }
  Crossover crossover() const { return crossover_; }

  // Fills `digest` of each job. At most 256 jobs with consistent frames.
  void hash(std::span<FrameJob* const> jobs) noexcept;
  void hash_one(const uint8_t* frame, uint16_t frame_bytes, Digest& out) noexcept;

 private:
  struct FreeStaging {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  // ipsec-mb, where it is asked, hashes contiguous messages and the tag stands between header and
  // payload, so each message is staged. Last used, first reused: a burst stays within a few
  // buffers, in cache.
  static constexpr size_t staging_count = 64;
  // An odd number of cache lines, so that the buffers do not compete for the same sets.
  static constexpr size_t staging_bytes = 65'728;

  void hash_wide(std::span<FrameJob* const> jobs) noexcept;
  void hash_on(IMB_MGR* manager, std::span<FrameJob* const> jobs) noexcept;
  void hash_small(std::span<FrameJob* const> jobs) noexcept;
  void reclaim(const IMB_JOB* done) noexcept;
  unsigned measure_for(uint16_t payload_bytes);

  IMB_MGR* const lanes_;
  IMB_MGR* const pairs_;
  const Sha256 sha256_;
  const bool has_own_lanes_;
  std::unique_ptr<uint8_t, FreeStaging> staging_;
  std::array<uint8_t, staging_count> free_{};
  size_t free_count_ = 0;
  Crossover crossover_;
};

}  // namespace chaincast::crypto::ipsec_mb
