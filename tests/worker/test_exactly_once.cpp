// SPDX-License-Identifier: BSD-3-Clause
// Four workers share one stream; every frame is offered by four neighbours to every worker, the
// ring is full all the time, and each frame is committed and re-emitted exactly once.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "support/line_rig.hpp"
#include "worker/worker.hpp"

namespace chaincast::test {
namespace {

constexpr unsigned workers = 4;
constexpr unsigned neighbours = 4;
constexpr unsigned payload_bytes = 4;
constexpr unsigned frame_bytes = wire::frame_header_bytes + payload_bytes;
constexpr unsigned frames_per_datagram = 24;
// Not a multiple of what a worker cuts at once, so that rounds end inside of datagrams.
constexpr unsigned datagrams_per_chunk = 50;
constexpr unsigned frames_per_chunk = frames_per_datagram * datagrams_per_chunk;
constexpr unsigned chunks_kept = 64;

// The origin's frames, sealed in order by the main thread a little ahead of the workers.
class Reel {
 public:
  explicit Reel(uint64_t chunks) : chunks_(chunks) {}

  // Main thread. False when nothing could be made now.
  bool make_one(RigStream& origin, crypto::FrameEngine& engine) {
    const uint64_t made = made_.load(std::memory_order_relaxed);
    if (made == chunks_) return false;
    for (const auto& done : done_) {
      if (made >= done.load(std::memory_order_acquire) + chunks_kept) return false;
    }
    uint8_t* to = bytes_[made % chunks_kept].data();
    for (unsigned i = 0; i < frames_per_chunk; ++i, to += frame_bytes) {
      uint8_t payload[payload_bytes];
      store_be32(payload, static_cast<uint32_t>(origin.next_seq * 2654435761u));
      const Bytes frame = origin.next_frame(engine, payload);
      std::memcpy(to, frame.data(), frame_bytes);
    }
    made_.store(made + 1, std::memory_order_release);
    return true;
  }
  uint64_t chunks() const { return chunks_; }
  uint64_t made() const { return made_.load(std::memory_order_acquire); }
  const uint8_t* chunk(uint64_t index) const { return bytes_[index % chunks_kept].data(); }
  void set_done(unsigned worker, uint64_t chunk) {
    done_[worker].store(chunk, std::memory_order_release);
  }
  bool is_played() const {
    for (const auto& done : done_) {
      if (done.load(std::memory_order_acquire) < chunks_) return false;
    }
    return true;
  }

 private:
  const uint64_t chunks_;
  std::vector<std::array<uint8_t, size_t{frames_per_chunk} * frame_bytes>> bytes_{chunks_kept};
  std::atomic<uint64_t> made_{0};
  std::array<std::atomic<uint64_t>, workers> done_{};
};

// What one worker's queue is offered: each chunk by every neighbour in turn, the neighbours in an
// order of the worker's own; never a frame beyond the window.
class Offer {
 public:
  Offer(unsigned worker, LineRig& rig, const dedup::Window& window)
      : worker_(worker), rig_(rig), window_(window) {}

  // `times`: how many of the neighbours offer each chunk.
  void start(Reel* reel, Seq first_seq, unsigned times) {
    reel_ = reel;
    times_ = times;
    first_seq_ = first_seq;
    chunk_ = 0;
    neighbour_ = datagram_ = 0;
  }

  bool fill(RigPort::Arrival& out) {
    if (reel_ == nullptr || chunk_ >= reel_->made()) return false;
    const Seq last = first_seq_ + chunk_ * frames_per_chunk + (datagram_ + 1) * frames_per_datagram;
    if (last > window_.floor() + window_.size()) return false;
    const uint32_t peer = (neighbour_ + worker_) % neighbours;
    const uint8_t* frames =
        reel_->chunk(chunk_) + size_t{datagram_} * frames_per_datagram * frame_bytes;
    uint32_t tag_xor = 0;
    for (unsigned i = 0; i < frames_per_datagram; ++i) {
      tag_xor ^= wire::tag_words_xor(frames + i * frame_bytes + wire::frame_offset_tag);
    }
    wire::HopHeader hop;
    hop.frame_count = frames_per_datagram;
    hop.hops = 1;
    out.bytes = rig_.stamp_raw(peer, worker_ + 1,
                               {frames, size_t{frames_per_datagram} * frame_bytes}, hop, tag_xor);
    out.source = rig_.source_of(peer, worker_ + 1);
    out.local_port = static_cast<uint16_t>(LineRig::base_port + worker_);
    offered += frames_per_datagram;
    step();
    return true;
  }

  uint64_t offered = 0;

 private:
  void step() {
    if (++datagram_ < datagrams_per_chunk) return;
    datagram_ = 0;
    if (++neighbour_ < times_) return;
    neighbour_ = 0;
    ++chunk_;
    reel_->set_done(worker_, chunk_);
  }

  const unsigned worker_;
  LineRig& rig_;
  const dedup::Window& window_;
  Reel* reel_ = nullptr;
  Seq first_seq_ = 0;
  unsigned times_ = neighbours;
  uint64_t chunk_ = 0;
  unsigned neighbour_ = 0;
  unsigned datagram_ = 0;
};

// One bit per seq and receiver; a copy of a frame that was copied before is counted.
class Ledger {
 public:
  explicit Ledger(Seq frames) : words_(frames / 64 + 1) {}
  void note(ByteSpan datagram) {
    const unsigned count = datagram[2];
    ASSERT_EQ(datagram.size(), wire::hop_header_bytes + size_t{count} * frame_bytes);
    for (unsigned i = 0; i < count; ++i) {
      const uint8_t* frame = datagram.data() + wire::hop_header_bytes + size_t{i} * frame_bytes;
      const Seq seq = load_be64(frame + wire::frame_offset_seq);
      const uint32_t payload = load_be32(frame + wire::frame_header_bytes);
      if (seq / 64 >= words_.size() || payload != static_cast<uint32_t>(seq * 2654435761u)) {
        wrong.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      const uint64_t bit = uint64_t{1} << (seq % 64);
      const uint64_t before = words_[seq / 64].fetch_or(bit, std::memory_order_relaxed);
      (before & bit ? twice : once).fetch_add(1, std::memory_order_relaxed);
    }
  }
  std::atomic<uint64_t> once{0}, twice{0}, wrong{0};

 private:
  std::vector<std::atomic<uint64_t>> words_;
};

struct Run {
  uint8_t window_log2 = 13;
  uint64_t chunks = 0;
  wire::Suite suite = wire::Suite::gmac;
  bool use_ipsec_mb = true;
};

class World {
 public:
  explicit World(const Run& run)
      : run_(run),
        rig_({workers, neighbours, {10, 11}, false, run.use_ipsec_mb, 2047}),
        origin_(rig_.add_stream("s", run.suite,
                                [&](wire::Descriptor& d) { d.window_log2 = run.window_log2; })),
        window_(*origin_.stream->window) {
    const Seq frames_max = (run.chunks + 1) * frames_per_chunk + 4 * window_.size();
    for (unsigned r = 0; r < 2; ++r) ledgers_.push_back(std::make_unique<Ledger>(frames_max));
    for (unsigned w = 0; w < workers; ++w) {
      offers_.push_back(std::make_unique<Offer>(w, rig_, window_));
      workers_.push_back(std::make_unique<worker::Worker>("t" + std::to_string(w), *rig_.lines[w],
                                                          worker::Idle::sleep));
    }
    rig_.port.fill = [this](unsigned queue, RigPort::Arrival& out) {
      return offers_[queue]->fill(out);
    };
    rig_.port.take = [this](unsigned, const port::Destination& to, ByteSpan datagram) {
      ledgers_[(to.remote.port - LineRig::base_port) / 100u - 11]->note(datagram);
    };
  }

  // All workers go through `chunks` chunks that begin at the origin's present frame.
  void play(uint64_t chunks, unsigned times) {
    Reel reel(chunks);
    const Seq first = origin_.next_seq;
    for (auto& offer : offers_) offer->start(&reel, first, times);
    for (auto& worker : workers_) ASSERT_TRUE(worker->start(*threads_, -1).ok());
    while (!reel.is_played()) {
      if (!reel.make_one(origin_, *rig_.engine)) std::this_thread::yield();
    }
    // Whatever was offered is handled within the turn that took it.
    for (auto& worker : workers_) worker->stop();
    for (auto& offer : offers_) offer->start(nullptr, 0, 0);
  }
  void rewind(Seq seq, const Link16& link) {
    origin_.next_seq = seq;
    origin_.link = link;
  }

  void expect_each_once(Seq frames) const {
    EXPECT_EQ(window_.committed(), frames);
    EXPECT_EQ(window_.next(), frames);
    EXPECT_EQ(window_.seconds(), 0u);
    uint64_t kept = 0, seen = 0, offered = 0;
    for (const auto& line : rig_.lines) {
      kept += line->counters().frames_kept.read();
      seen += line->counters().frames.read();
    }
    for (const auto& offer : offers_) offered += offer->offered;
    EXPECT_EQ(kept, frames);
    EXPECT_EQ(seen, offered);
    // Nothing is dropped but copies of what was kept.
    EXPECT_EQ(offered - frames,
              rig_.dropped(stage::Drop::duplicate) + rig_.dropped(stage::Drop::stale));
    EXPECT_EQ(rig_.dropped_total(), offered - frames);
    for (const auto& ledger : ledgers_) {
      EXPECT_EQ(ledger->once.load(), frames);
      EXPECT_EQ(ledger->twice.load(), 0u);
      EXPECT_EQ(ledger->wrong.load(), 0u);
    }
  }

  void run() {
    const Link16 first_link = origin_.link;
    play(run_.chunks, neighbours);
    const Seq finished = origin_.next_seq;
    expect_each_once(finished);
    // Three windows further.
    const uint64_t more = 3 * window_.size() / frames_per_chunk + 1;
    play(more, neighbours);
    const Seq end = origin_.next_seq;
    expect_each_once(end);
    // The whole run, and what follows up to the present: the newest of it is still in the window.
    rewind(0, first_link);
    play(run_.chunks + more, 1);
    ASSERT_EQ(origin_.next_seq, end);
    expect_each_once(end);
    EXPECT_GT(rig_.dropped(stage::Drop::stale), finished);
    EXPECT_GE(rig_.dropped(stage::Drop::duplicate), window_.size() / 2);
  }

 private:
  const Run run_;
  LineRig rig_;
  RigStream& origin_;
  dedup::Window& window_;
  std::vector<std::unique_ptr<Ledger>> ledgers_;
  std::vector<std::unique_ptr<Offer>> offers_;
  std::unique_ptr<worker::Threads> threads_ = worker::make_registered_threads(ensure_eal());
  std::vector<std::unique_ptr<worker::Worker>> workers_;
};

TEST(ExactlyOnceRace, FourWorkersFourNeighboursSmallWindow) {
  World world({.window_log2 = 13, .chunks = 167, .use_ipsec_mb = false});
  world.run();
}

TEST(ExactlyOnceRace, StrictSuite) {
  World world(
      {.window_log2 = 12, .chunks = 20, .suite = wire::Suite::sha256_gmac, .use_ipsec_mb = false});
  world.run();
}

// A tenth of it where instrumentation makes every access slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t many_frames = 800'000;
#else
constexpr uint64_t many_frames = 8'000'000;
#endif

TEST(ExactlyOnce, EightMillionFrames) {
  World world({.window_log2 = 16, .chunks = many_frames / frames_per_chunk + 1});
  world.run();
}

}  // namespace
}  // namespace chaincast::test
