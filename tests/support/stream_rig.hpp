// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/crypto.hpp"
#include "stream/stream.hpp"
#include "wire/frame.hpp"

// One stream with keys and a table, and frames sealed for it: for tests of single stages.
namespace chaincast::test {

class StreamRig {
 public:
  StreamRig(const crypto::Toolbox& toolbox, crypto::FrameEngine& engine,
            wire::Suite suite = wire::Suite::sha256_gmac)
      : engine_(engine) {
    stream_ = std::make_shared<stream::Stream>();
    stream_->id = StreamId{0x1122334455667788};
    stream_->descriptor.suite = suite;
    stream_->frame_bytes_max = 1216;
    stream_->window = std::move(dedup::Window::create({})).value();
    crypto::StreamSecrets secrets;
    secrets.authenticate.fill(7);
    const Digest network{};
    const auto keys = crypto::derive_frame_keys(toolbox, secrets, suite, network, {}, 0);
    stream_->keys_owned[0] =
        std::move(engine.make_key(suite, 0, keys.kmac, keys.has_kenc ? &keys.kenc : nullptr))
            .value();
    stream_->keys[0].key.store(stream_->keys_owned[0].get());
    CC_ASSERT(table.insert(stream_));
  }

  // A sealed frame of `payload_bytes` bytes.
  Bytes frame(Seq seq, size_t payload_bytes) {
    Bytes out(wire::frame_header_bytes + payload_bytes, static_cast<uint8_t>(seq));
    wire::FrameHeader header;
    header.payload_bytes = static_cast<uint16_t>(payload_bytes);
    header.kind = wire::kind_first | wire::kind_last;
    header.suite = static_cast<uint8_t>(stream_->descriptor.suite);
    header.stream = stream_->id;
    header.seq = seq;
    wire::store_frame_header(out.data(), header);
    engine_.seal(*stream_->keys_owned[0], out.data(), static_cast<uint16_t>(out.size()));
    return out;
  }

  // A datagram (hop header first) of frames; link id, seq and check are zero.
  static Bytes datagram(const std::vector<Bytes>& frames) {
    Bytes out(wire::hop_header_bytes, 0);
    wire::HopHeader header;
    header.frame_count = static_cast<uint8_t>(frames.size());
    wire::store_hop_header(out.data(), header);
    for (const Bytes& frame : frames) out.insert(out.end(), frame.begin(), frame.end());
    return out;
  }

  stream::Stream& stream() { return *stream_; }
  stream::StreamTable table{16};

 private:
  crypto::FrameEngine& engine_;
  std::shared_ptr<stream::Stream> stream_;
};

}  // namespace chaincast::test
