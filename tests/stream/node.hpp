// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dedup/window.hpp"
#include "stream/fixture.hpp"
#include "stream/receiver.hpp"

// One receiving node of one stream, without ports or threads: what the stages do to a frame, and
// the receiver over it.
namespace chaincast::test {

struct RecordingSink final : stream::Sink {
  struct Got {
    Seq first = 0, last = 0;
    Bytes bytes;
    bool is_route = false;
  };
  bool on_object(const stream::Object& o) override {
    if (room == 0) return false;
    --room;
    EXPECT_GE(o.first_seq, next_seq) << "out of order";
    next_seq = o.first_seq;
    objects.push_back({o.first_seq, o.last_seq, Bytes(o.bytes.begin(), o.bytes.end()), o.is_route});
    return true;
  }
  void on_lost(Seq first, Seq last) override {
    EXPECT_LE(first, last);
    EXPECT_GE(first, next_seq);
    next_seq = last + 1;
    lost.emplace_back(first, last);
  }
  // Exactly these objects, from the `from`th on.
  void expect_objects(const std::vector<Bytes>& expected, size_t from = 0) const {
    ASSERT_EQ(objects.size(), expected.size() - from);
    for (size_t i = 0; i < objects.size(); ++i)
      ASSERT_TRUE(objects[i].bytes == expected[from + i]) << "object " << i;
  }
  std::vector<Got> objects;
  std::vector<std::pair<Seq, Seq>> lost;
  Seq next_seq = 0;
  size_t room = ~size_t{0};
};

struct NodeConfig {
  uint8_t window_log2 = 8;
  unsigned variants_max = 64;
  stream::ReceiverConfig receiver{};
  bool holds_key = true;
  uint32_t object_bytes_max = 0;  // 0: the descriptor's
};

class TestNode {
 public:
  using Config = NodeConfig;

  TestNode(Crypto& crypto, const stream::Origin& origin, Config config = {})
      : crypto_(crypto), key_(crypto.key(origin)), holds_key_(config.holds_key) {
    dedup::WindowConfig window_config = stream::window_config(origin.descriptor());
    window_config.size_log2 = config.window_log2;
    window_config.signed_lead_max >>= origin.descriptor().window_log2 - config.window_log2;
    window_config.variants_max = config.variants_max;
    window = std::move(dedup::Window::create(window_config, 1).value());
    is_cut_through_ = !window_config.links_by_digest;
    wire::Descriptor descriptor = origin.descriptor();
    if (config.object_bytes_max != 0) descriptor.object_bytes_max = config.object_bytes_max;
    receiver = stream::Receiver::create(
        config.receiver, descriptor, origin.descriptor_digest(), *window, *crypto.toolbox,
        *crypto.engine, [this](Epoch) { return holds_key_ ? key_.get() : nullptr; });
  }

  // probe, verify, commit, advance. True if the frame is to be re-emitted.
  bool offer(ByteSpan frame) {
    const wire::FrameHeader h = wire::load_frame_header(frame.data());
    const uint64_t tag48 = wire::tag48(h.tag.data());
    const dedup::Probe probe = window->probe(h.seq, tag48);
    if (probe != dedup::Probe::fresh && probe != dedup::Probe::conflict) return false;
    const uint16_t length = static_cast<uint16_t>(frame.size());
    crypto::FrameJob job{.key = key_.get(),
                         .frame = frame.data(),
                         .frame_bytes = length,
                         .want_digest = !is_cut_through_ || probe == dedup::Probe::conflict};
    crypto_.engine->verify({&job, 1});
    if (!job.ok) {
      ++bad_tags;
      return false;
    }
    if (!job.want_digest) job.digest = {};
    const dedup::CommitResult result =
        window->commit(h.seq, tag48, job.digest, frame.data(), length, true);
    window->advance();
    reordered += result.is_reordered;
    const bool drop = result.contradicts_previous && result.previous_is_final;
    return !drop &&
           (result.outcome == dedup::Commit::committed || result.outcome == dedup::Commit::second);
  }

  void poll(TimeNs now_ns) {
    for (unsigned i = 0; i < 10'000 && receiver->poll(now_ns, 64, &sink); ++i) {
    }
  }

  // Every seq that delivery has passed is accounted for, apart from the object being put together.
  void expect_accounts_add_up() const {
    const stream::ReceiverCounters& c = receiver->counters();
    const stream::ReceiverStatus& s = receiver->status();
    const uint64_t sum = c.delivered_frames + c.dropped_frames + c.other_frames + c.lost_frames;
    EXPECT_EQ(sum, s.delivered_next - s.anchor_seq);
  }

  std::unique_ptr<dedup::Window> window;
  std::unique_ptr<stream::Receiver> receiver;
  RecordingSink sink;
  uint64_t bad_tags = 0, reordered = 0;

 private:
  Crypto& crypto_;
  std::unique_ptr<crypto::SuiteKey> key_;
  bool holds_key_;
  bool is_cut_through_ = false;
};

// A member's forgery: the header of a true frame, another payload, the right group key.
inline Emitted forge(Crypto& crypto, const crypto::SuiteKey& key, const Emitted& original,
                     uint8_t salt = 1) {
  Emitted forged = original;
  for (size_t i = wire::frame_header_bytes; i < forged.frame.size(); ++i) forged.frame[i] ^= salt;
  forged.digest =
      crypto.engine->seal(key, forged.frame.data(), static_cast<uint16_t>(forged.frame.size()));
  return forged;
}

}  // namespace chaincast::test
