// SPDX-License-Identifier: BSD-3-Clause
#include "rig/null_engine.hpp"

#include <cstring>

#include "base/random.hpp"
#include "crypto/frame_rules.hpp"

namespace chaincast::bench {

namespace {

// The chain is over tags, as that of `gmac` is, whatever the suite is called.
Digest digest_of(const uint8_t* frame) noexcept {
  Digest out{};
  std::memcpy(out.data(), frame + wire::frame_offset_tag, sizeof(Tag));
  return out;
}

}  // namespace

Result<std::unique_ptr<crypto::SuiteKey>> NullEngine::make_key(wire::Suite suite, Epoch epoch,
                                                               const Secret&, const Secret*) {
  auto made = std::make_unique<crypto::SuiteKey>();
  made->suite = suite;
  made->epoch = epoch;
  return made;
}

void NullEngine::verify(std::span<crypto::FrameJob> jobs) noexcept {
  for (crypto::FrameJob& job : jobs) {
    job.ok = crypto::is_consistent(job);
    if (job.ok && job.want_digest) job.digest = digest_of(job.frame);
  }
}

Digest NullEngine::seal(const crypto::SuiteKey&, uint8_t* frame, uint16_t) noexcept {
  Random random(load_be64(frame + wire::frame_offset_seq));
  store_be64(frame + wire::frame_offset_tag, random.next());
  store_be64(frame + wire::frame_offset_tag + 8, random.next());
  return digest_of(frame);
}

bool NullEngine::open(const crypto::SuiteKey&, const uint8_t* frame, uint16_t frame_bytes,
                      uint8_t* out) noexcept {
  const size_t bytes = frame_bytes - wire::frame_header_bytes;
  std::memmove(out, frame + wire::frame_header_bytes, bytes);
  return true;
}

}  // namespace chaincast::bench
