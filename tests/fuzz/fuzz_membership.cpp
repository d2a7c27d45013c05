// SPDX-License-Identifier: BSD-3-Clause
// Records, suspicions and messages of membership: what parses re-encodes to the same bytes. The
// signatures are a stand-in that holds for anything, so that what is behind them is reached.
#include <algorithm>

#include "fuzz.hpp"
#include "graph/message.hpp"
#include "sim/fake_crypto.hpp"

namespace {

using namespace chaincast;

// Believes every signature.
class Gullible final : public crypto::Toolbox {
 public:
  Digest sha256(ByteSpan data) const override { return mixer_->sha256(data); }
  Digest hmac_sha256(ByteSpan key, ByteSpan data) const override {
    return mixer_->hmac_sha256(key, data);
  }
  Secret hkdf_extract(ByteSpan salt, ByteSpan input) const override {
    return mixer_->hkdf_extract(salt, input);
  }
  Bytes hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const override {
    return mixer_->hkdf_expand(prk, info, length);
  }
  bool verify_signature(const PublicKey&, ByteSpan, const Signature&) const override {
    return true;
  }
  std::unique_ptr<crypto::Aead> aead(const Secret&) const override { return nullptr; }
  std::unique_ptr<crypto::Signer> signer(const Secret& seed) const override {
    return mixer_->signer(seed);
  }
  void random_bytes(std::span<uint8_t> out) const override { mixer_->random_bytes(out); }
  std::unique_ptr<crypto::FrameEngine> reference_engine() const override { return nullptr; }

 private:
  std::unique_ptr<crypto::Toolbox> mixer_ = sim::make_fake_crypto(1);
};

struct Anyone final : graph::Admission {
  bool admits(const PublicKey&) const override { return true; }
};

bool equals(const Bytes& again, ByteSpan bytes) {
  return std::equal(again.begin(), again.end(), bytes.begin(), bytes.end());
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  if (const auto record = wire::parse_node_record(bytes); record.ok()) {
    CC_ASSERT(equals(wire::encode(*record), bytes));
  }
  if (const auto suspicion = wire::parse_suspicion(bytes); suspicion.ok()) {
    CC_ASSERT(equals(wire::encode(*suspicion), bytes));
  }
  const Gullible toolbox;
  const Anyone anyone;
  const graph::Authority authority{toolbox, anyone, {}};
  graph::Store store(toolbox);
  const graph::View known(store);
  const auto message = graph::decode(bytes, authority, known);
  if (!message.ok()) return 0;
  // A graph may be compressed in more than one way, and hold facts that count for nothing.
  if (std::holds_alternative<graph::Graph>(*message)) return 0;
  CC_ASSERT(equals(graph::encode(*message), bytes));
  CC_ASSERT(graph::encoded_bytes(*message) == size);
  return 0;
}
