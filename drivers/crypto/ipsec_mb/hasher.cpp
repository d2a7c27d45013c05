// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/ipsec_mb/hasher.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "crypto/frame_rules.hpp"
#include "crypto/sha256_lanes.hpp"

namespace chaincast::crypto::ipsec_mb {
namespace {

constexpr size_t batch_max = 256;
// Frames up to this mean size count as short: between the two sizes that are measured.
constexpr size_t short_frame_bytes = 512;
constexpr uint16_t short_payload_bytes = 64;
constexpr uint16_t long_payload_bytes = wire::payload_lan_ipv4_bytes;
// Header and payload meet at a cache line's start, so that the payload's stores are aligned.
constexpr size_t staging_offset = 64 - wire::frame_hashed_header_bytes;

static_assert(wire::payload_bytes_limit + 64 <= 65'728);

}  // namespace

Hasher::Hasher(IMB_MGR* lanes, IMB_MGR* pairs, Sha256 sha256, bool own_lanes)
    : lanes_(lanes),
      pairs_(pairs),
      sha256_(sha256),
      has_own_lanes_(own_lanes && has_sha256_lanes()),
      staging_(static_cast<uint8_t*>(std::aligned_alloc(64, staging_count * staging_bytes))) {
  static_assert(staging_bytes % 128 == 64);
  CC_ASSERT(staging_ != nullptr);
  for (size_t i = 0; i < staging_count; ++i) free_[i] = static_cast<uint8_t>(staging_count - 1 - i);
  free_count_ = staging_count;
}

void Hasher::hash(std::span<FrameJob* const> jobs) noexcept {
  CC_ASSERT(jobs.size() <= batch_max);
  if (jobs.empty()) return;
  size_t bytes = 0;
  for (const FrameJob* job : jobs) bytes += job->frame_bytes;
  const unsigned limit =
      bytes <= short_frame_bytes * jobs.size() ? crossover_.short_frames : crossover_.long_frames;
  size_t wide = limit >= lane_group ? 0 : jobs.size() / lane_group * lane_group;
  if (limit < lane_group && jobs.size() - wide > limit) wide = jobs.size();
  hash_wide(jobs.first(wide));
  hash_small(jobs.subspan(wide));
  CC_ASSERT(free_count_ == staging_count);
}

void Hasher::hash_one(const uint8_t* frame, uint16_t frame_bytes, Digest& out) noexcept {
  sha256_(hashed_header_of(frame), payload_of(frame, frame_bytes), out);
}

// A single message on the two SHA-NI lanes pays for both, so the odd one goes alone.
void Hasher::hash_small(std::span<FrameJob* const> jobs) noexcept {
  const size_t even = jobs.size() / 2 * 2;
  hash_on(pairs_, jobs.first(even));
  for (FrameJob* job : jobs.subspan(even)) hash_one(job->frame, job->frame_bytes, job->digest);
}

void Hasher::hash_wide(std::span<FrameJob* const> jobs) noexcept {
  if (has_own_lanes_) {
    sha256_lanes(jobs);
  } else {
    hash_on(lanes_, jobs);
  }
}

void Hasher::hash_on(IMB_MGR* manager, std::span<FrameJob* const> jobs) noexcept {
  for (size_t i = 0; i < jobs.size(); ++i) {
    FrameJob* const frame = jobs[i];
    if (const size_t next = i + prefetch_ahead(*frame); next < jobs.size()) prefetch(*jobs[next]);
    while (free_count_ == 0) reclaim(IMB_FLUSH_JOB(manager));
    const uint8_t slot = free_[--free_count_];
    uint8_t* const message = staging_.get() + slot * staging_bytes + staging_offset;
    const ByteSpan payload = payload_of(frame->frame, frame->frame_bytes);
    std::memcpy(message, frame->frame, wire::frame_hashed_header_bytes);
    if (!payload.empty()) {
      std::memcpy(message + wire::frame_hashed_header_bytes, payload.data(), payload.size());
    }
    IMB_JOB* const job = IMB_GET_NEXT_JOB(manager);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = message;
    job->dst = message;
    job->msg_len_to_cipher_in_bytes = 0;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = wire::frame_hashed_header_bytes + payload.size();
    job->auth_tag_output = frame->digest.data();
    job->auth_tag_output_len_in_bytes = sizeof(Digest);
    job->user_data = message;
    for (const IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(manager); done != nullptr;
         done = IMB_GET_COMPLETED_JOB(manager)) {
      reclaim(done);
    }
  }
  while (const IMB_JOB* done = IMB_FLUSH_JOB(manager)) reclaim(done);
}

void Hasher::reclaim(const IMB_JOB* done) noexcept {
  CC_ASSERT(done != nullptr && done->status == IMB_STATUS_COMPLETED);
  const auto offset = static_cast<size_t>(static_cast<uint8_t*>(done->user_data) - staging_.get());
  free_[free_count_++] = static_cast<uint8_t>(offset / staging_bytes);
}

void Hasher::measure_crossover() {
  crossover_ = {.short_frames = measure_for(short_payload_bytes),
                .long_frames = measure_for(long_payload_bytes)};
}

// The most messages that the small path still hashes faster than one pass of the lanes.
unsigned Hasher::measure_for(uint16_t payload_bytes) {
  constexpr unsigned repeats = 7;
  const MonotonicClock clock;
  const auto frame_bytes = static_cast<uint16_t>(wire::frame_header_bytes + payload_bytes);
  std::vector<uint8_t> frames(lane_group * frame_bytes);
  std::array<FrameJob, lane_group> jobs{};
  std::array<FrameJob*, lane_group> pointers{};
  for (size_t i = 0; i < lane_group; ++i) {
    jobs[i].frame = frames.data() + i * frame_bytes;
    jobs[i].frame_bytes = frame_bytes;
    pointers[i] = &jobs[i];
  }
  // The least of several: what disturbs a run only ever makes it longer.
  const auto best_ns = [&](auto&& run) {
    TimeNs best = time_never;
    for (unsigned i = 0; i < repeats; ++i) {
      const TimeNs start = clock.now_ns();
      run();
      best = std::min(best, clock.now_ns() - start);
    }
    return best;
  };
  const std::span<FrameJob* const> all(pointers);
  for (unsigned count = 1; count <= lane_group; ++count) {
    const TimeNs wide = best_ns([&] { hash_wide(all.first(count)); });
    const TimeNs small = best_ns([&] { hash_small(all.first(count)); });
    if (wide < small) return count - 1;
  }
  return lane_group;
}

}  // namespace chaincast::crypto::ipsec_mb
