// SPDX-License-Identifier: BSD-3-Clause
#include "rig/origin.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "base/random.hpp"

namespace chaincast::bench {

namespace {

stream::SignedDescriptor describe(const crypto::Toolbox& toolbox, const OriginConfig& config) {
  wire::Descriptor d;
  d.network.fill(7);
  d.resource = config.resource;
  d.suite = config.suite;
  d.suite_class = wire::suite_class_of(config.suite).value();
  d.payload_bytes_max = std::max(config.payload_bytes, wire::payload_default_bytes);
  const auto signer = toolbox.signer(Secret{1});
  auto made = stream::sign_descriptor(d, toolbox, *signer);
  CC_ASSERT(made.ok());
  return std::move(made).value();
}

}  // namespace

Origin::Origin(const crypto::Toolbox& toolbox, crypto::FrameEngine& engine,
               const OriginConfig& config)
    : toolbox_(toolbox),
      engine_(engine),
      config_(config),
      descriptor_(describe(toolbox, config)),
      key_(make_key(engine, true)),
      reference_(toolbox.reference_engine()),
      reference_key_(make_key(*reference_, true)) {
  std::copy_n(descriptor_.digest.begin(), link_.size(), link_.begin());
}

std::unique_ptr<crypto::SuiteKey> Origin::make_key(crypto::FrameEngine& engine,
                                                   bool can_read) const {
  crypto::StreamSecrets secrets = crypto::secrets_from_configured(toolbox_, Secret{2});
  secrets.has_encrypt = secrets.has_encrypt && can_read;
  auto key = stream::make_frame_key(descriptor_, 0, secrets, toolbox_, engine);
  CC_ASSERT(key.ok());
  return std::move(key).value();
}

void Origin::fill(uint8_t* payload, size_t bytes, Seq seq) {
  Random random(seq);
  size_t at = 0;
  for (; at + 8 <= bytes; at += 8) store_be64(payload + at, random.next());
  for (; at < bytes; ++at) payload[at] = static_cast<uint8_t>(random.next());
}

void Origin::seal_next(uint8_t* frame, uint16_t payload_bytes, const uint8_t* payload) {
  wire::FrameHeader header;
  header.payload_bytes = payload_bytes;
  header.kind = wire::kind_first | wire::kind_last;
  header.suite = static_cast<uint8_t>(config_.suite);
  header.stream = descriptor_.id;
  header.seq = next_seq_;
  header.link = link_;
  wire::store_frame_header(frame, header);
  if (payload == nullptr) {
    fill(frame + wire::frame_header_bytes, payload_bytes, next_seq_);
  } else {
    std::memcpy(frame + wire::frame_header_bytes, payload, payload_bytes);
  }
  digest_ =
      engine_.seal(*key_, frame, static_cast<uint16_t>(wire::frame_header_bytes + payload_bytes));
  std::copy_n(digest_.begin(), link_.size(), link_.begin());
  ++next_seq_;
}

bool Origin::has_made(ByteSpan frame) const {
  const wire::FrameHeader header = wire::load_frame_header(frame.data());
  return header.stream == descriptor_.id && header.seq < next_seq_;
}

std::shared_ptr<stream::Stream> Origin::stream(crypto::FrameEngine& engine) const {
  auto made = std::make_shared<stream::Stream>();
  made->descriptor = descriptor_.descriptor;
  made->descriptor_digest = descriptor_.digest;
  made->id = descriptor_.id;
  made->name = "bench";
  made->frame_bytes_max =
      static_cast<uint16_t>(made->descriptor.payload_bytes_max + wire::frame_header_bytes);
  auto window = dedup::Window::create(stream::window_config(made->descriptor));
  CC_ASSERT(window.ok());
  made->window = std::move(window).value();
  made->window->anchor(0, descriptor_.digest);
  made->window->mark_signed(Seq{1} << 40);
  made->keys_owned[0] = make_key(engine, false);
  made->keys[0].key.store(made->keys_owned[0].get(), std::memory_order_release);
  return made;
}

std::string Origin::judge(ByteSpan frame) const {
  if (!has_made(frame)) return "a frame nobody made";
  const Seq seq = wire::load_frame_header(frame.data()).seq;
  Bytes expected(frame.size() - wire::frame_header_bytes);
  Bytes payload(expected.size());
  fill(expected.data(), expected.size(), seq);
  if (config_.is_plain) {
    const ByteSpan found = frame.subspan(wire::frame_header_bytes);
    return std::equal(found.begin(), found.end(), expected.begin(), expected.end())
               ? ""
               : fmt::format("seq {}: another payload", seq);
  }
  crypto::FrameJob job{.key = reference_key_.get(),
                       .frame = frame.data(),
                       .frame_bytes = static_cast<uint16_t>(frame.size())};
  reference_->verify({&job, 1});
  if (!job.ok) return fmt::format("seq {}: the reference refuses digest or tag", seq);
  if (!reference_->open(*reference_key_, frame.data(), job.frame_bytes, payload.data())) {
    return fmt::format("seq {}: cannot be opened", seq);
  }
  return payload == expected ? "" : fmt::format("seq {}: another payload", seq);
}

}  // namespace chaincast::bench
