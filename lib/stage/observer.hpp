// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "stage/drop.hpp"

// Who looks at what one worker's line does: captures, traces, latency. A line without an observer
// pays one load a turn, and one branch per stage of a burst and per call of a port.
namespace chaincast::port {
class Port;
struct Destination;
}  // namespace chaincast::port

namespace chaincast::stage {

class Burst;
struct Datagram;
struct Frame;

// Where in the line a burst is, in this order.
enum class Point : uint8_t { rx, hop, classify, probe, verify, commit, fanout, tx, count_ };

inline constexpr size_t point_count = static_cast<size_t>(Point::count_);

std::string_view point_text(Point point);

// Thread: the worker's. No call may block, allocate or make a system call; what is passed in
// is valid during the call only. The default of every call is to do nothing.
class Observer {
 public:
  static constexpr unsigned offer_max = 64;

  virtual ~Observer() = default;

  // The burst's datagrams have come from a port, or from the worker that received them; their
  // `arrival` numbers them. Nothing has been judged, and none of their bytes changed.
  virtual void arrived(const Burst&) noexcept {}
  // Another worker gets this datagram; it arrives there.
  virtual void handed_over(const Burst&, const Datagram&) noexcept {}
  // A datagram, a frame, or what is left of a datagram behind its last good frame, is lost.
  virtual void dropped(const Burst&, const Datagram&, Drop) noexcept {}
  virtual void dropped(const Burst&, const Frame&, Drop) noexcept {}
  // A stage is done with all that is in the burst now. For frames of this node's own origins the
  // first one is `commit`.
  virtual void passed(const Burst&, Point) noexcept {}
  // A copy for a peer of the frames with these indices in the burst has been made (Drop::count_) or
  // is lost; what is made goes to the port or waits in the peer's queue.
  virtual void copied(const Burst&, std::span<const uint8_t>, uint32_t, Drop) noexcept {}
  // These packets (at most offer_max; headers of the destination first) are about to be offered to
  // a port; taken() follows and says how many of them the port took, from the first on.
  virtual void offered(const port::Port&, const port::Destination&,
                       std::span<rte_mbuf* const>) noexcept {}
  virtual void taken(unsigned) noexcept {}
  // Packets for this peer have gone to its port, without waiting.
  virtual void sent(uint32_t, unsigned) noexcept {}
  // One has that waited in the peer's queue; since when, as the burst's now_ns of then, in
  // microseconds modulo 2^32.
  virtual void sent_late(uint32_t, uint32_t) noexcept {}
  // The end of the line's turn.
  virtual void turned() noexcept {}
};

// Several observers as one, told in the order in which they were added. Control makes it.
class Observers final : public Observer {
 public:
  void add(std::shared_ptr<Observer> observer) { list_.push_back(std::move(observer)); }
  bool empty() const { return list_.empty(); }

  void arrived(const Burst& burst) noexcept override {
    for (const auto& one : list_) one->arrived(burst);
  }
  void handed_over(const Burst& burst, const Datagram& datagram) noexcept override {
    for (const auto& one : list_) one->handed_over(burst, datagram);
  }
  void dropped(const Burst& burst, const Datagram& datagram, Drop reason) noexcept override {
    for (const auto& one : list_) one->dropped(burst, datagram, reason);
  }
  void dropped(const Burst& burst, const Frame& frame, Drop reason) noexcept override {
    for (const auto& one : list_) one->dropped(burst, frame, reason);
  }
  void passed(const Burst& burst, Point point) noexcept override {
    for (const auto& one : list_) one->passed(burst, point);
  }
  void offered(const port::Port& port, const port::Destination& to,
               std::span<rte_mbuf* const> packets) noexcept override {
    for (const auto& one : list_) one->offered(port, to, packets);
  }
  void taken(unsigned count) noexcept override {
    for (const auto& one : list_) one->taken(count);
  }
  void copied(const Burst& burst, std::span<const uint8_t> frames, uint32_t peer,
              Drop reason) noexcept override {
    for (const auto& one : list_) one->copied(burst, frames, peer, reason);
  }
  void sent(uint32_t peer, unsigned packets) noexcept override {
    for (const auto& one : list_) one->sent(peer, packets);
  }
  void sent_late(uint32_t peer, uint32_t since_us) noexcept override {
    for (const auto& one : list_) one->sent_late(peer, since_us);
  }
  void turned() noexcept override {
    for (const auto& one : list_) one->turned();
  }

 private:
  std::vector<std::shared_ptr<Observer>> list_;
};

}  // namespace chaincast::stage
