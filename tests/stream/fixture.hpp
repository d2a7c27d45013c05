// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "crypto/openssl/toolbox.hpp"
#include "stream/descriptor.hpp"
#include "stream/origin.hpp"
#include "support/random.hpp"

// An origin and everything it needs, for tests of stream/ and repair/.
namespace chaincast::test {

struct Emitted {
  Bytes frame;
  Digest digest{};
  wire::FrameHeader header() const { return wire::load_frame_header(frame.data()); }
  ByteSpan payload() const { return ByteSpan(frame).subspan(wire::frame_header_bytes); }
  wire::Kind kind() const { return wire::kind_of(header().kind); }
};

inline wire::Descriptor small_descriptor(wire::Suite suite = wire::Suite::sha256_gmac) {
  wire::Descriptor d;
  d.network.fill(7);
  d.resource = "test";
  d.suite = suite;
  d.suite_class = wire::suite_class_of(suite).value();
  d.payload_bytes_max = 512;
  d.rate_frames_per_s = 1'000'000;
  d.window_log2 = 10;
  d.statement_frames_max = 16;
  return d;
}

// Toolbox, engine, signer and secrets of one network.
struct Crypto {
  explicit Crypto(std::unique_ptr<crypto::Toolbox> box = crypto::openssl::make_toolbox())
      : toolbox(std::move(box)) {}
  std::unique_ptr<crypto::Toolbox> toolbox;
  std::unique_ptr<crypto::FrameEngine> engine = toolbox->reference_engine();
  std::unique_ptr<crypto::Signer> signer = toolbox->signer(Secret{1});
  crypto::StreamSecrets secrets = crypto::secrets_from_configured(*toolbox, Secret{2});

  std::unique_ptr<stream::Origin> origin(wire::Descriptor descriptor, TimeNs now_ns = 0,
                                         TimeNs pack_wait_ns = 0) {
    auto made = stream::Origin::create({std::move(descriptor), pack_wait_ns}, *toolbox, *signer,
                                       *engine, secrets, now_ns);
    CC_ASSERT(made.ok());
    return std::move(made.value());
  }
  std::unique_ptr<crypto::SuiteKey> key(const stream::Origin& origin) {
    const stream::SignedDescriptor s{origin.descriptor(), origin.encoded_descriptor(),
                                     origin.descriptor_digest(), origin.id()};
    auto made = stream::make_frame_key(s, 0, secrets, *toolbox, *engine);
    CC_ASSERT(made.ok());
    return std::move(made.value());
  }
};

inline std::vector<Emitted> poll_all(stream::Origin& origin, TimeNs now_ns,
                                     unsigned frames_max = ~0u) {
  std::vector<Emitted> out;
  origin.poll(now_ns, frames_max, [&](ByteSpan frame, const Digest& digest) {
    out.push_back({Bytes(frame.begin(), frame.end()), digest});
  });
  return out;
}

}  // namespace chaincast::test
