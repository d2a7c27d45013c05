// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/openssl/reference_engine.hpp"

#include <openssl/crypto.h>

#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "crypto/frame_rules.hpp"
#include "crypto/openssl/gcm.hpp"
#include "crypto/openssl/sha256.hpp"

namespace chaincast::crypto::openssl {
namespace {

struct ReferenceKey final : SuiteKey {
  ~ReferenceKey() override {
    OPENSSL_cleanse(kmac.data(), kmac.size());
    OPENSSL_cleanse(kenc.data(), kenc.size());
  }
  Secret kmac{};
  Secret kenc{};
};

class ReferenceEngine final : public FrameEngine {
 public:
  std::string_view name() const noexcept override { return "openssl"; }

  Result<std::unique_ptr<SuiteKey>> make_key(wire::Suite suite, Epoch epoch, const Secret& kmac,
                                             const Secret* kenc) override {
    if (!is_known(suite)) return unknown_suite(suite);
    auto key = std::make_unique<ReferenceKey>();
    key->suite = suite;
    key->epoch = epoch;
    key->kmac = kmac;
    key->can_open = is_confidential(suite) && kenc != nullptr;
    if (key->can_open) key->kenc = *kenc;
    return std::unique_ptr<SuiteKey>(std::move(key));
  }

  void verify(std::span<FrameJob> jobs) noexcept override {
    for (FrameJob& job : jobs) {
      job.ok = false;
      job.digest = {};
      if (!is_consistent(job)) continue;
      const ReferenceKey& key = static_cast<const ReferenceKey&>(*job.key);
      if (is_strict(key.suite) || (job.want_digest && has_digest(key.suite))) {
        job.digest = digest(job.frame, job.frame_bytes);
      }
      const Tag expected = tag(key, job.frame, job.frame_bytes, job.digest);
      job.ok = tags_equal(expected.data(), job.frame + wire::frame_offset_tag);
      if (!has_digest(key.suite)) job.digest = digest_of_tag(expected);
    }
  }

  Digest seal(const SuiteKey& any, uint8_t* frame, uint16_t frame_bytes) noexcept override {
    CC_ASSERT(is_consistent({.key = &any, .frame = frame, .frame_bytes = frame_bytes}));
    const ReferenceKey& key = static_cast<const ReferenceKey&>(any);
    if (is_confidential(key.suite)) {
      CC_ASSERT(key.can_open);
      gcm_.crypt(key.kenc, nonce_of(frame), payload_of(frame, frame_bytes),
                 frame + wire::frame_header_bytes);
    }
    Digest result{};
    if (has_digest(key.suite)) result = digest(frame, frame_bytes);
    const Tag computed = tag(key, frame, frame_bytes, result);
    std::memcpy(frame + wire::frame_offset_tag, computed.data(), computed.size());
    return has_digest(key.suite) ? result : digest_of_tag(computed);
  }

  bool open(const SuiteKey& any, const uint8_t* frame, uint16_t frame_bytes,
            uint8_t* out) noexcept override {
    if (!is_consistent({.key = &any, .frame = frame, .frame_bytes = frame_bytes})) return false;
    const ReferenceKey& key = static_cast<const ReferenceKey&>(any);
    if (!is_confidential(key.suite)) {
      const ByteSpan payload = payload_of(frame, frame_bytes);
      if (!payload.empty()) std::memmove(out, payload.data(), payload.size());
      return true;
    }
    if (!key.can_open) return false;
    gcm_.crypt(key.kenc, nonce_of(frame), payload_of(frame, frame_bytes), out);
    return true;
  }

  unsigned crossover_frames() const noexcept override { return 0; }

 private:
  Digest digest(const uint8_t* frame, uint16_t frame_bytes) noexcept {
    Digest out;
    sha256(hashed_header_of(frame), payload_of(frame, frame_bytes), out);
    return out;
  }

  Tag tag(const ReferenceKey& key, const uint8_t* frame, uint16_t frame_bytes,
          const Digest& frame_digest) noexcept {
    const Nonce nonce = nonce_of(frame);
    if (is_strict(key.suite)) return gcm_.mac(key.kmac, nonce, frame_digest, {});
    return gcm_.mac(key.kmac, nonce, hashed_header_of(frame), payload_of(frame, frame_bytes));
  }

  Gcm gcm_{sizeof(Secret)};
};

}  // namespace

std::unique_ptr<FrameEngine> make_reference_engine() {
  return std::make_unique<ReferenceEngine>();
}

}  // namespace chaincast::crypto::openssl
