// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/ring.hpp"
#include "stage/burst.hpp"
#include "stage/observer.hpp"

// The way of single frames through the line: which stages each passed, when, and why it was lost.
namespace chaincast::trace {

inline constexpr uint32_t frames_max = 4096;  // of one trace

// One frame; or a whole datagram that was lost before it was cut into frames.
struct Entry {
  TimeNs arrived_ns = 0;  // monotonic; of a frame of this node's own: when its stages began
  unsigned worker = 0;
  bool is_own = false;       // of an origin of this node
  bool is_datagram = false;  // the fields of the frame are those of its first one, if it has any
  uint8_t frames = 1;        // of the datagram
  uint16_t port_id = 0;
  uint32_t peer = stage::no_peer;
  Endpoint source;
  uint32_t link_id = 0, link_seq = 0;
  StreamId stream;
  Epoch epoch = 0;
  Seq seq = 0;
  uint16_t length = 0;
  // Where it was lost and why; or fanout and Drop::count_.
  stage::Point last = stage::Point::rx;
  stage::Drop reason = stage::Drop::count_;
  // Nanoseconds from the arrival until the burst was through a stage; 0: it did not pass it.
  std::array<uint32_t, stage::point_count> passed_ns{};
  // Copies made for peers, copies lost, and the reason of the last loss.
  uint16_t copies = 0, lost_copies = 0;
  stage::Drop copy_reason = stage::Drop::count_;
};

// How many frames are still wanted, over all workers.
class Budget {
 public:
  explicit Budget(uint32_t frames) : left_(frames) {}
  // Any thread. False: no more.
  bool take() noexcept {
    uint32_t left = left_.load(std::memory_order_relaxed);
    while (left > 0 && !left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
    }
    return left > 0;
  }
  uint32_t left() const noexcept { return left_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> left_;
};

// One per worker: follows the frames of a burst until the last stage, then hands them to control.
// Cost when on: one clock reading per stage of a burst, and per traced frame a few stores a stage;
// once the budget is used up, a load a burst. Memory: 200 bytes per frame that may be traced.
// Thread: the worker, but for take_finished().
class Tracer final : public stage::Observer {
 public:
  // `budget` and `clock` are shared with others and outlive the tracer.
  Tracer(unsigned worker, Budget& budget, const Clock& clock);

  void arrived(const stage::Burst& burst) noexcept override;
  void dropped(const stage::Burst& burst, const stage::Datagram& datagram,
               stage::Drop reason) noexcept override;
  void dropped(const stage::Burst& burst, const stage::Frame& frame,
               stage::Drop reason) noexcept override;
  void passed(const stage::Burst& burst, stage::Point point) noexcept override;
  void copied(const stage::Burst& burst, std::span<const uint8_t> frames, uint32_t peer,
              stage::Drop reason) noexcept override;

  // Control: one finished entry, oldest first. False: none.
  bool take_finished(Entry& out) noexcept { return finished_.pop(out); }

 private:
  // A frame on its way; frames of a burst are told apart by where they lie.
  struct Live {
    const uint8_t* bytes = nullptr;
    Entry entry;
  };
  Entry describe(const stage::Datagram& datagram) const noexcept;
  Entry describe(const stage::Burst& burst, const stage::Frame& frame) const noexcept;
  Entry* find(const stage::Frame& frame) noexcept;
  void follow(const stage::Burst& burst) noexcept;
  void finish(Entry& entry, stage::Point last, stage::Drop reason) noexcept;
  uint32_t since_arrival() const noexcept;

  const unsigned worker_;
  Budget& budget_;
  const Clock& clock_;
  base::SpscRing<Entry> finished_{frames_max};
  std::array<Live, stage::frames_max> live_;
  unsigned live_count_ = 0;
  unsigned cursor_ = 0;  // where the next look-up is likely to succeed
  TimeNs arrived_ns_ = 0;
  uint32_t hop_ns_ = 0;                 // of the burst, before its frames are known
  stage::Point at_ = stage::Point::rx;  // the stage that is at work
};

}  // namespace chaincast::trace
