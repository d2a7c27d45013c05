// SPDX-License-Identifier: BSD-3-Clause
#include "sim/fake_crypto.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "wire/frame.hpp"

namespace chaincast::sim {
namespace {

// 256 bits of a word-wise mix over any number of spans.
class Mixer {
 public:
  Mixer& add(ByteSpan data) {
    size_t at = 0;
    for (; at + 8 <= data.size(); at += 8) word(load_be64(data.data() + at));
    uint64_t last = data.size() << 1 | 1;
    for (; at < data.size(); ++at) last = last << 8 | data[at];
    word(last);
    return *this;
  }
  Digest take() const {
    Digest out;
    for (size_t i = 0; i < 4; ++i) {
      uint64_t z = (a_ + i) * 0xbf58476d1ce4e5b9ull ^ b_;
      z = (z ^ (z >> 29)) * 0x94d049bb133111ebull;
      store_be64(out.data() + 8 * i, z ^ (z >> 32));
    }
    return out;
  }

 private:
  void word(uint64_t value) {
    a_ = (a_ ^ value) * 0x9e3779b97f4a7c15ull;
    a_ ^= a_ >> 31;
    b_ = (b_ + a_) * 0xff51afd7ed558ccdull;
    b_ ^= b_ >> 29;
  }
  uint64_t a_ = 0x243f6a8885a308d3ull;
  uint64_t b_ = 0x13198a2e03707344ull;
};

struct FakeKey final : crypto::SuiteKey {
  Secret kmac{};
};

class FakeEngine final : public crypto::FrameEngine {
 public:
  std::string_view name() const noexcept override { return "fake"; }
  Result<std::unique_ptr<crypto::SuiteKey>> make_key(wire::Suite suite, Epoch epoch,
                                                     const Secret& kmac, const Secret*) override {
    auto key = std::make_unique<FakeKey>();
    key->suite = suite;
    key->epoch = epoch;
    key->kmac = kmac;
    key->can_open = true;
    return std::unique_ptr<crypto::SuiteKey>(std::move(key));
  }
  void verify(std::span<crypto::FrameJob> jobs) noexcept override {
    for (crypto::FrameJob& job : jobs) {
      const Digest whole = content({job.frame, job.frame_bytes});
      const Tag tag = tag_of(*job.key, whole);
      job.ok = std::equal(tag.begin(), tag.end(), job.frame + wire::frame_offset_tag);
      job.digest = chained(*job.key, whole, tag);
    }
  }
  Digest seal(const crypto::SuiteKey& key, uint8_t* frame, uint16_t frame_bytes) noexcept override {
    const Digest whole = content({frame, frame_bytes});
    const Tag tag = tag_of(key, whole);
    std::copy(tag.begin(), tag.end(), frame + wire::frame_offset_tag);
    return chained(key, whole, tag);
  }
  bool open(const crypto::SuiteKey&, const uint8_t* frame, uint16_t frame_bytes,
            uint8_t* out) noexcept override {
    std::copy(frame + wire::frame_header_bytes, frame + frame_bytes, out);
    return true;
  }
  unsigned crossover_frames() const noexcept override { return 0; }

  static Digest content(ByteSpan frame) {
    return Mixer()
        .add(frame.first(wire::frame_hashed_header_bytes))
        .add(frame.subspan(wire::frame_header_bytes))
        .take();
  }

 private:
  static Tag tag_of(const crypto::SuiteKey& key, const Digest& whole) {
    const Digest mac = Mixer().add(static_cast<const FakeKey&>(key).kmac).add(whole).take();
    Tag tag;
    std::copy_n(mac.begin(), tag.size(), tag.begin());
    return tag;
  }
  static Digest chained(const crypto::SuiteKey& key, const Digest& whole, const Tag& tag) {
    if (key.suite != wire::Suite::gmac) return whole;
    Digest padded{};
    std::copy(tag.begin(), tag.end(), padded.begin());
    return padded;
  }
};

Signature signature_of(const PublicKey& key, ByteSpan message) {
  Signature out{};
  const Digest half = Mixer().add(key).add(message).take();
  std::copy(half.begin(), half.end(), out.begin());
  return out;
}

class FakeSigner final : public crypto::Signer {
 public:
  explicit FakeSigner(const Secret& seed) : key_(Mixer().add(seed).take()) {}
  const PublicKey& public_key() const override { return key_; }
  Signature sign(ByteSpan message) const override { return signature_of(key_, message); }

 private:
  PublicKey key_;
};

class FakeCrypto final : public crypto::Toolbox {
 public:
  explicit FakeCrypto(uint64_t seed) : random_(seed) {}
  // As the receiver hashes -ct frames: 40 header bytes and the payload in one span.
  Digest sha256(ByteSpan data) const override {
    if (data.size() < wire::frame_hashed_header_bytes) return Mixer().add(data).take();
    return Mixer()
        .add(data.first(wire::frame_hashed_header_bytes))
        .add(data.subspan(wire::frame_hashed_header_bytes))
        .take();
  }
  Digest hmac_sha256(ByteSpan key, ByteSpan data) const override {
    return Mixer().add(key).add(data).take();
  }
  Secret hkdf_extract(ByteSpan salt, ByteSpan input) const override {
    return Mixer().add(salt).add(input).take();
  }
  Bytes hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const override {
    const Digest block = Mixer().add(prk).add(info).take();
    Bytes out(length);
    for (size_t i = 0; i < length; ++i) out[i] = block[i % block.size()];
    return out;
  }
  bool verify_signature(const PublicKey& key, ByteSpan message,
                        const Signature& signature) const override {
    return signature_of(key, message) == signature;
  }
  std::unique_ptr<crypto::Aead> aead(const Secret&) const override { return nullptr; }
  std::unique_ptr<crypto::Signer> signer(const Secret& seed) const override {
    return std::make_unique<FakeSigner>(seed);
  }
  void random_bytes(std::span<uint8_t> out) const override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(random_.next());
  }
  std::unique_ptr<crypto::FrameEngine> reference_engine() const override {
    return std::make_unique<FakeEngine>();
  }

 private:
  mutable Random random_;
};

}  // namespace

std::unique_ptr<crypto::Toolbox> make_fake_crypto(uint64_t seed) {
  return std::make_unique<FakeCrypto>(seed);
}

}  // namespace chaincast::sim
