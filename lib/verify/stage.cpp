// SPDX-License-Identifier: BSD-3-Clause
#include "verify/stage.hpp"

#include "stream/stream.hpp"

namespace chaincast::verify {

namespace {

bool is_cut_through(wire::Suite suite) noexcept {
  return suite == wire::Suite::sha256_gmac_ct || suite == wire::Suite::sha256_gcm_ct;
}

}  // namespace

void Verify::process(stage::Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    const stage::Frame& frame = burst.frames[i];
    crypto::FrameJob& job = jobs_[i];
    job.key = frame.key;
    job.frame = frame.bytes;
    job.frame_bytes = frame.length;
    job.ok = false;
    // A second variant may have to show that it is the one which the origin has signed.
    job.want_digest = !is_cut_through(job.key->suite) || frame.is_conflict;
  }
  engine_.verify({jobs_.data(), burst.frame_count});
  burst.filter_frames([&](unsigned i) {
    stage::Frame& frame = burst.frames[i];
    if (!jobs_[i].ok) {
      frame.stream->bad_tags.fetch_add(1, std::memory_order_relaxed);
      return stage::Drop::tag;
    }
    frame.digest = jobs_[i].want_digest ? jobs_[i].digest : Digest{};
    return stage::Drop::count_;
  });
}

}  // namespace chaincast::verify
