// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "stage/drop.hpp"
#include "stage/observer.hpp"
#include "stats/counter.hpp"

// The unit of the data plane: up to 64 received datagrams and up to 256 frames inside them.
//
// Ownership: the burst owns one reference to each datagram's mbuf until release(); fanout takes
// references of its own. Thread: one worker. Stages read and write the fields that their header
// names; a frame leaves a stage kept or dropped with a counted reason, never otherwise.
namespace chaincast::stream {
struct Stream;
}
namespace chaincast::hop {
struct RxLane;
}
namespace chaincast::crypto {
class SuiteKey;
}

namespace chaincast::stage {

inline constexpr unsigned datagrams_max = 64;
inline constexpr unsigned frames_max = 256;
inline constexpr uint32_t no_sum = ~uint32_t{0};   // of a frame: nobody has made it
inline constexpr uint32_t no_peer = ~uint32_t{0};  // frames of this node's own origins
// What a judge of filter_datagrams says of a datagram whose content somebody else has copied: its
// mbuf is freed, and it is no drop.
inline constexpr Drop handed_over = static_cast<Drop>(drop_count + 1);

// One received datagram, as ports hand it out. Written by the port: mbuf .. local_port.
struct Datagram {
  rte_mbuf* mbuf = nullptr;
  const uint8_t* data = nullptr;  // hop header; inside the mbuf's first segment
  uint16_t bytes = 0;             // hop header and all behind it
  uint16_t local_port = 0;        // UDP destination port, host order
  uint16_t port_id = 0;
  Endpoint source;
  // hop:
  uint32_t peer = no_peer;
  uint8_t hops = 0;
  uint8_t frame_count = 0;
  // classify; counted down when frames leave:
  uint16_t frames_kept = 0;
  // Its place in the burst when it arrived; written for observers only.
  uint8_t arrival = 0;
};

struct Frame {
  const uint8_t* bytes = nullptr;  // classify: 56-byte header, payload behind it
  uint16_t length = 0;             // header and payload
  uint8_t datagram = 0;            // index into Burst::datagrams
  uint8_t kind = 0;                // the kind byte
  uint8_t suite = 0;
  bool is_conflict = false;  // probe: another variant of a committed frame
  bool is_priority = false;  // classify: route or lane 0 traffic
  Epoch epoch = 0;
  uint64_t tag48 = 0;
  Seq seq = 0;
  stream::Stream* stream = nullptr;       // classify; valid until the end of the burst
  const crypto::SuiteKey* key = nullptr;  // as long
  Digest digest{};                        // verify
  uint32_t sum = no_sum;                  // commit, where Burst::wants_sums: internet_sum()
};

class Burst {
 public:
  using Drops = stats::CounterSet<Drop>;
  // `worker_index`: of the worker that owns the burst.
  explicit Burst(Drops& drops, unsigned worker_index = 0) : worker(worker_index), drops_(drops) {}
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;

  const unsigned worker;
  std::array<Datagram, datagrams_max> datagrams;
  unsigned datagram_count = 0;
  std::array<Frame, frames_max> frames;
  unsigned frame_count = 0;
  TimeNs now_ns = 0;
  // Set by the owner: commit makes the sums of long frames that fanout needs, while it copies them.
  bool wants_sums = false;

  // Who is told what happens to the burst; null: nobody. Set by the burst's owner while it is
  // empty.
  void observe(Observer* observer) noexcept { observer_ = observer; }
  Observer* observer() const noexcept { return observer_; }

  // Removes datagrams for which `judge(datagram)` names a reason (Drop::count_ keeps them), counts
  // them (but for handed_over), frees their mbufs, and closes the gaps. Only before frames refer to
  // them.
  template <typename Judge>
  void filter_datagrams(Judge&& judge) {
    if (observer_ == nullptr) [[likely]]
      return keep_datagrams(judge);
    keep_datagrams([&](Datagram& datagram) {
      const Drop reason = judge(datagram);
      if (reason != Drop::count_ && reason != handed_over) {
        observer_->dropped(*this, datagram, reason);
      }
      return reason;
    });
  }

  // The same for frames, by index: `judge(i)`; frames keep their order.
  template <typename Judge>
  void filter_frames(Judge&& judge) {
    if (observer_ == nullptr) [[likely]]
      return keep_frames(judge);
    keep_frames([&](unsigned i) {
      const Drop reason = judge(i);
      if (reason != Drop::count_) observer_->dropped(*this, frames[i], reason);
      return reason;
    });
  }

  void count(Drop reason, uint64_t by = 1) noexcept { drops_.add(reason, by); }
  // Counts what is left of a datagram behind its last good frame, as one.
  void drop_rest(const Datagram& datagram, Drop reason) noexcept {
    drops_.add(reason);
    if (observer_ != nullptr) observer_->dropped(*this, datagram, reason);
  }

  // Gives back the burst's reference to every datagram; the burst is empty afterwards.
  void release() noexcept {
    for (unsigned i = 0; i < datagram_count; ++i) rte_pktmbuf_free(datagrams[i].mbuf);
    datagram_count = 0;
    frame_count = 0;
  }

 private:
  template <typename Judge>
  void keep_datagrams(Judge&& judge) {
    unsigned kept = 0;
    for (unsigned i = 0; i < datagram_count; ++i) {
      const Drop reason = judge(datagrams[i]);
      if (reason == Drop::count_) {
        if (kept != i) datagrams[kept] = datagrams[i];
        ++kept;
      } else {
        if (reason != handed_over) drops_.add(reason);
        rte_pktmbuf_free(datagrams[i].mbuf);
      }
    }
    datagram_count = kept;
  }

  template <typename Judge>
  void keep_frames(Judge&& judge) {
    unsigned kept = 0;
    unsigned dropped = 0;
    for (unsigned i = 0; i < frame_count; ++i) {
      const Drop reason = judge(i);
      if (reason == Drop::count_) {
        if (kept != i) frames[kept] = frames[i];
        ++kept;
      } else {
        drops_.add(reason);
        --datagrams[frames[i].datagram].frames_kept;
        ++dropped;
      }
    }
    CC_ASSERT(kept + dropped == frame_count);
    frame_count = kept;
  }

  Drops& drops_;
  Observer* observer_ = nullptr;
};

}  // namespace chaincast::stage
