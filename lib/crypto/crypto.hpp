// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "wire/descriptor.hpp"
#include "wire/frame.hpp"

// What the product needs of cryptography, as interfaces. drivers/crypto/openssl implements all of
// it and is the scalar reference; drivers/crypto/ipsec_mb implements the data-plane part with
// multi-buffer lanes. Suites: docs/security.md, "Suites".
namespace chaincast::crypto {

// ---- data plane -----------------------------------------------------------------------------

// Keys of one (stream, epoch), expanded for one engine. Immutable once made; shared by all
// workers; made and freed on the control thread. Kmac and Kenc never leave it. Good for every
// engine of the same name() as the one that made it, and no other; may outlive that engine.
class SuiteKey {
 public:
  virtual ~SuiteKey() = default;
  wire::Suite suite = wire::Suite::sha256_gmac;
  Epoch epoch = 0;
  bool can_open = false;  // holds Kenc (confidential suites)
};

// One frame to verify or to seal. `frame` points at its 56-byte header, payload behind it.
struct FrameJob {
  const SuiteKey* key = nullptr;
  const uint8_t* frame = nullptr;
  uint16_t frame_bytes = 0;  // header and payload
  // out: length, suite and epoch in the header are the job's and the key's, and the tag matches
  bool ok = false;
  // out: SHA-256(first 40 header bytes, payload) for strict suites; for -ct suites only where
  // `want_digest`; for `gmac`: the tag, zero-padded (the chain is over tags). Zero or meaningless
  // where not ok.
  bool want_digest = true;
  Digest digest{};
};

// A batch engine. Not thread-safe: one per worker, one for the control thread. noexcept, no
// allocation, bounded work per call. Lanes are filled from the batch and always flushed.
class FrameEngine {
 public:
  virtual ~FrameEngine() = default;
  virtual std::string_view name() const noexcept = 0;
  // Expands keys. `kenc` is empty for suites without encryption and for holders of A only.
  virtual Result<std::unique_ptr<SuiteKey>> make_key(wire::Suite suite, Epoch epoch,
                                                     const Secret& kmac, const Secret* kenc) = 0;
  // Computes digest and tag of each frame and compares the tag with the one in its header, in
  // constant time. Mixed suites, keys and lengths in one batch are allowed. Frames are read only.
  virtual void verify(std::span<FrameJob> jobs) noexcept = 0;
  // Origin: writes the tag of a frame whose header (tag apart) and payload are complete. For
  // confidential suites the payload is encrypted in place first. Returns the frame's digest.
  // Aborts where the header disagrees with key or length, or Kenc is missing: a sealed frame under
  // a wrong nonce or key would be a leak.
  virtual Digest seal(const SuiteKey& key, uint8_t* frame, uint16_t frame_bytes) noexcept = 0;
  // Decrypts the payload of a verified frame into `out` (payload bytes; may be the payload itself).
  // Plain copy for open suites. False without Kenc or where the header disagrees with key or
  // length; `out` is untouched then.
  virtual bool open(const SuiteKey& key, const uint8_t* frame, uint16_t frame_bytes,
                    uint8_t* out) noexcept = 0;
  // Batches of at most this many are hashed on the small-batch path (measured at start).
  virtual unsigned crossover_frames() const noexcept = 0;
};

// ---- control plane --------------------------------------------------------------------------

// AES-256-GCM for control messages. Nonce: 4 zero bytes, then the 64-bit counter; the caller never
// seals twice under one counter. Thread-safe; about 1 us and two allocations a call.
class Aead {
 public:
  virtual ~Aead() = default;
  virtual Bytes seal(uint64_t counter, ByteSpan aad,
                     ByteSpan plaintext) const = 0;  // + 16-byte tag
  virtual Result<Bytes> open(uint64_t counter, ByteSpan aad, ByteSpan sealed) const = 0;
};

// Ed25519 private key; signs on the control thread (about 50 us).
class Signer {
 public:
  virtual ~Signer() = default;
  virtual const PublicKey& public_key() const = 0;
  virtual Signature sign(ByteSpan message) const = 0;
};

// Everything else. Thread-safe, stateless; one object per process, handed down (never global).
class Toolbox {
 public:
  virtual ~Toolbox() = default;
  virtual Digest sha256(ByteSpan data) const = 0;
  virtual Digest hmac_sha256(ByteSpan key, ByteSpan data) const = 0;
  // RFC 5869 with SHA-256.
  virtual Secret hkdf_extract(ByteSpan salt, ByteSpan input) const = 0;
  virtual Bytes hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const = 0;
  virtual bool verify_signature(const PublicKey& key, ByteSpan message,
                                const Signature& signature) const = 0;
  virtual std::unique_ptr<Aead> aead(const Secret& key) const = 0;
  virtual std::unique_ptr<Signer> signer(const Secret& seed) const = 0;  // RFC 8032 seed
  virtual void random_bytes(std::span<uint8_t> out) const = 0;
  virtual std::unique_ptr<FrameEngine> reference_engine() const = 0;
};

// True if equal, in time independent of the content.
inline bool equal_constant_time(ByteSpan a, ByteSpan b) {
  if (a.size() != b.size()) return false;
  uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i)
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

// ---- keys of a stream (crypto/keys.cpp) ---------------------------------------------------------

// Per stream and epoch: A authenticates, C encrypts. Never used but as HKDF input.
struct StreamSecrets {
  Secret authenticate{};
  Secret encrypt{};
  bool has_encrypt = false;
};

// A and C of a configured 32-byte secret: HKDF-Expand(secret, "chaincast1 A" / "chaincast1 C").
StreamSecrets secrets_from_configured(const Toolbox& toolbox, const Secret& configured);

struct FrameKeys {
  Secret kmac{};
  Secret kenc{};
  bool has_kenc = false;
};

// Kmac = HKDF-Expand(A, "chaincast1 mac" ctx), Kenc = HKDF-Expand(C, "chaincast1 enc" ctx), with
// ctx = suite (1), network id (32), descriptor digest (32), epoch (4).
FrameKeys derive_frame_keys(const Toolbox& toolbox, const StreamSecrets& secrets, wire::Suite suite,
                            ByteSpan network, const Digest& descriptor_digest, Epoch epoch);

}  // namespace chaincast::crypto
