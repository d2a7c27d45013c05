// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/ipsec_mb/engine.hpp"

#include <intel-ipsec-mb.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "crypto/cpu.hpp"
#include "crypto/frame_rules.hpp"
#include "crypto/gmac_lanes.hpp"
#include "crypto/ipsec_mb/hasher.hpp"

namespace chaincast::crypto::ipsec_mb {
namespace {

constexpr size_t chunk_max = 256;
// GMAC over header and payload: shorter payloads are staged behind the header and taken in one
// call, longer ones in two updates. Of frames in a cache the two cost the same at 1408 bytes; of
// frames in memory the second computes while it waits.
constexpr size_t staged_payload_max = 512;

// memcpy for what is too short to be worth its call.
inline void copy_short(uint8_t* to, ByteSpan from) noexcept {
  constexpr size_t step = 32;
  const size_t size = from.size();
  if (size < step) {
    if (size > 0) std::memcpy(to, from.data(), size);
    return;
  }
  for (size_t at = 0; at + step < size; at += step) std::memcpy(to + at, from.data() + at, step);
  std::memcpy(to + size - step, from.data() + size - step, step);
}

struct MbKey final : SuiteKey {
  ~MbKey() override {
    explicit_bzero(&mac, sizeof mac);
    explicit_bzero(&cipher, sizeof cipher);
    lanes.wipe();
  }
  alignas(64) gcm_key_data mac{};
  alignas(64) gcm_key_data cipher{};
  GmacKey lanes;  // empty where the processor has none
};

class MbEngine final : public FrameEngine {
 public:
  MbEngine(Manager best, Manager pairs, Sha256 sha256, bool own_lanes)
      : best_(std::move(best)),
        pairs_(std::move(pairs)),
        hasher_(best_.get(), pairs_.get(), sha256, own_lanes),
        has_own_lanes_(own_lanes && has_gmac_lanes()) {
    hasher_.measure_crossover();
  }

  std::string_view name() const noexcept override { return "ipsec_mb"; }

  Result<std::unique_ptr<SuiteKey>> make_key(wire::Suite suite, Epoch epoch, const Secret& kmac,
                                             const Secret* kenc) override {
    if (!is_known(suite)) return unknown_suite(suite);
    auto key = std::make_unique<MbKey>();
    key->suite = suite;
    key->epoch = epoch;
    key->can_open = is_confidential(suite) && kenc != nullptr;
    IMB_AES256_GCM_PRE(best_.get(), kmac.data(), &key->mac);
    if (has_gmac_lanes()) key->lanes.expand(kmac);
    if (key->can_open) IMB_AES256_GCM_PRE(best_.get(), kenc->data(), &key->cipher);
    return std::unique_ptr<SuiteKey>(std::move(key));
  }

  void verify(std::span<FrameJob> jobs) noexcept override {
    while (!jobs.empty()) {
      const size_t count = std::min(jobs.size(), chunk_max);
      verify_chunk(jobs.first(count));
      jobs = jobs.subspan(count);
    }
  }

  Digest seal(const SuiteKey& any, uint8_t* frame, uint16_t frame_bytes) noexcept override {
    CC_ASSERT(is_consistent({.key = &any, .frame = frame, .frame_bytes = frame_bytes}));
    const MbKey& key = static_cast<const MbKey&>(any);
    if (is_confidential(key.suite)) {
      CC_ASSERT(key.can_open);
      crypt(key, frame, frame_bytes, frame + wire::frame_header_bytes);
    }
    Digest digest{};
    if (has_digest(key.suite)) hasher_.hash_one(frame, frame_bytes, digest);
    Tag tag;
    make_tag(key, frame, frame_bytes, digest, tag);
    std::memcpy(frame + wire::frame_offset_tag, tag.data(), tag.size());
    return has_digest(key.suite) ? digest : digest_of_tag(tag);
  }

  bool open(const SuiteKey& any, const uint8_t* frame, uint16_t frame_bytes,
            uint8_t* out) noexcept override {
    if (!is_consistent({.key = &any, .frame = frame, .frame_bytes = frame_bytes})) return false;
    const MbKey& key = static_cast<const MbKey&>(any);
    if (!is_confidential(key.suite)) {
      const ByteSpan payload = payload_of(frame, frame_bytes);
      if (!payload.empty()) std::memmove(out, payload.data(), payload.size());
      return true;
    }
    if (!key.can_open) return false;
    crypt(key, frame, frame_bytes, out);
    return true;
  }

  unsigned crossover_frames() const noexcept override { return hasher_.crossover().long_frames; }

 private:
  void verify_chunk(std::span<FrameJob> jobs) noexcept {
    std::array<FrameJob*, chunk_max> hashed;
    size_t hashed_count = 0;
    for (FrameJob& job : jobs) {
      job.digest = {};
      job.ok = is_consistent(job);
      if (!job.ok) continue;
      const wire::Suite suite = job.key->suite;
      if (is_strict(suite) || (job.want_digest && has_digest(suite))) hashed[hashed_count++] = &job;
    }
    hasher_.hash({hashed.data(), hashed_count});
    if (has_own_lanes_) {
      check_by_lanes(jobs);
    } else {
      check_one_by_one(jobs, hashed_count == 0);
    }
  }

  static void compare(FrameJob& job, const Tag& tag) noexcept {
    job.ok = tags_equal(tag.data(), job.frame + wire::frame_offset_tag);
    if (!has_digest(job.key->suite)) job.digest = digest_of_tag(tag);
  }

  void check_one_by_one(std::span<FrameJob> jobs, bool is_first_touch) noexcept {
    for (size_t i = 0; i < jobs.size(); ++i) {
      FrameJob& job = jobs[i];
      if (const size_t next = i + prefetch_ahead(job); is_first_touch && next < jobs.size()) {
        prefetch(jobs[next]);
      }
      if (!job.ok) continue;
      Tag tag;
      make_tag(static_cast<const MbKey&>(*job.key), job.frame, job.frame_bytes, job.digest, tag);
      compare(job, tag);
    }
  }

  // Runs of frames that have their key in common.
  void check_by_lanes(std::span<FrameJob> jobs) noexcept {
    std::array<FrameJob*, chunk_max> run;
    size_t count = 0;
    for (FrameJob& job : jobs) {
      if (!job.ok) continue;
      if (!is_strict(job.key->suite) && job.frame_bytes > gmac_frame_bytes_max) {
        check_one_by_one({&job, 1}, false);
        continue;
      }
      if (count > 0 && run[0]->key != job.key) {
        check_run({run.data(), count});
        count = 0;
      }
      run[count++] = &job;
    }
    if (count > 0) check_run({run.data(), count});
  }

  void check_run(std::span<FrameJob* const> run) noexcept {
    const MbKey& key = static_cast<const MbKey&>(*run[0]->key);
    std::array<Tag, chunk_max> tags;
    if (is_strict(key.suite)) {
      gmac_lanes_digests(key.lanes, run, tags.data());
    } else {
      gmac_lanes_frames(key.lanes, run, tags.data());
    }
    for (size_t i = 0; i < run.size(); ++i) compare(*run[i], tags[i]);
  }

  void make_tag(const MbKey& key, const uint8_t* frame, uint16_t frame_bytes, const Digest& digest,
                Tag& tag) noexcept {
    const Nonce nonce = nonce_of(frame);
    if (is_strict(key.suite)) {
      gmac(key, nonce, digest, tag);
      return;
    }
    const ByteSpan payload = payload_of(frame, frame_bytes);
    if (payload.size() <= staged_payload_max) {
      std::memcpy(staging_.data(), frame, wire::frame_hashed_header_bytes);
      copy_short(staging_.data() + wire::frame_hashed_header_bytes, payload);
      gmac(key, nonce, {staging_.data(), wire::frame_hashed_header_bytes + payload.size()}, tag);
      return;
    }
    IMB_MGR* const mb = best_.get();
    IMB_AES256_GMAC_INIT(mb, &key.mac, &context_, nonce.data(), nonce.size());
    IMB_AES256_GMAC_UPDATE(mb, &key.mac, &context_, frame, wire::frame_hashed_header_bytes);
    IMB_AES256_GMAC_UPDATE(mb, &key.mac, &context_, payload.data(), payload.size());
    IMB_AES256_GMAC_FINALIZE(mb, &key.mac, &context_, tag.data(), tag.size());
  }

  // GMAC is GCM with nothing to encrypt.
  void gmac(const MbKey& key, const Nonce& nonce, ByteSpan data, Tag& tag) noexcept {
    IMB_AES256_GCM_ENC(best_.get(), &key.mac, &context_, nothing_.data(), nothing_.data(), 0,
                       nonce.data(), data.data(), data.size(), tag.data(), tag.size());
  }

  // Both directions: counter mode is its own inverse. GCM's tag over the ciphertext is not used.
  void crypt(const MbKey& key, const uint8_t* frame, uint16_t frame_bytes, uint8_t* out) noexcept {
    const ByteSpan payload = payload_of(frame, frame_bytes);
    if (payload.empty()) return;
    const Nonce nonce = nonce_of(frame);
    Tag unused;
    IMB_AES256_GCM_ENC(best_.get(), &key.cipher, &context_, out, payload.data(), payload.size(),
                       nonce.data(), nothing_.data(), 0, unused.data(), unused.size());
  }

  Manager best_;
  Manager pairs_;
  Hasher hasher_;
  const bool has_own_lanes_;
  gcm_context_data context_{};
  std::array<uint8_t, 16> nothing_{};
  // Header and payload meet at a cache line's start.
  alignas(64) std::array<uint8_t, 24> padding_{};
  std::array<uint8_t, wire::frame_hashed_header_bytes + staged_payload_max> staging_{};
};

Result<Manager> make_manager(void (*init)(IMB_MGR*)) {
  Manager manager(alloc_mb_mgr(0));
  if (!manager) {
    return error(ErrorCode::refused, "ipsec-mb: no memory for a manager; free some memory");
  }
  init(manager.get());
  if (const int code = imb_get_errno(manager.get()); code != 0) {
    return error(ErrorCode::unsupported,
                 "ipsec-mb " + std::string(imb_get_version_str()) + ": cannot start on this cpu (" +
                     imb_get_strerror(code) + "); choose the openssl engine, or another processor");
  }
  return manager;
}

}  // namespace

Result<std::unique_ptr<FrameEngine>> make_engine(Sha256 sha256, Lanes lanes) {
  if (Status cpu = require_cpu(); !cpu.ok()) return cpu.error();
  auto best = make_manager([](IMB_MGR* manager) { init_mb_mgr_auto(manager, nullptr); });
  if (!best.ok()) return best.error();
  auto pairs = make_manager(init_mb_mgr_sse);
  if (!pairs.ok()) return pairs.error();
  return std::unique_ptr<FrameEngine>(std::make_unique<MbEngine>(
      std::move(best).value(), std::move(pairs).value(), sha256, lanes == Lanes::own));
}

}  // namespace chaincast::crypto::ipsec_mb
