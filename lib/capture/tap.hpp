// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "capture/record.hpp"
#include "capture/ring.hpp"
#include "port/port.hpp"
#include "rcu/rcu.hpp"
#include "stage/burst.hpp"
#include "stage/observer.hpp"
#include "stats/counter.hpp"
#include "stream/stream.hpp"

// The worker's half of a capture: copies what passes into a ring.
namespace chaincast::capture {

inline constexpr uint16_t any_port = 0xffff;
inline constexpr unsigned ports_max = 64;  // port ids are below

// What is wanted; all that is set has to match.
struct Filter {
  uint16_t port_id = any_port;
  // A stream's name or id in hex: datagrams with at least one frame of it.
  std::string stream;
  // Received datagrams that were dropped for this reason, or hold a frame that was.
  stage::Drop dropped = stage::Drop::count_;
};

// The ids of ports: packets on their way out name their port only.
using PortIds = std::vector<std::pair<const port::Port*, uint16_t>>;

// One per worker. A received datagram is copied as it arrives, because later stages write to it,
// and what becomes of it is noted until the turn ends; then the writer gets it. A datagram on its
// way out is copied before the port has it, without the port's headers, and only if the port takes
// it. A turn in which nothing was taken down publishes nothing.
//
// Cost when on: a copy per datagram each way, one clock reading per burst. No system call,
// allocation or lock. What finds no room in the ring is counted as missed.
// Thread: the worker, except where said.
class Tap final : public stage::Observer {
 public:
  Tap(Filter filter, const stream::StreamTable& streams, const Clock& clock, size_t ring_bytes);

  void arrived(const stage::Burst& burst) noexcept override;
  void handed_over(const stage::Burst& burst, const stage::Datagram& datagram) noexcept override;
  void dropped(const stage::Burst& burst, const stage::Datagram& datagram,
               stage::Drop reason) noexcept override;
  void dropped(const stage::Burst& burst, const stage::Frame& frame,
               stage::Drop reason) noexcept override;
  void offered(const port::Port& port, const port::Destination& to,
               std::span<rte_mbuf* const> packets) noexcept override;
  void taken(unsigned count) noexcept override;
  void turned() noexcept override;

  // Control.
  void set_ports(PortIds ports, rcu::Retirer& retirer);
  // Any thread. Nothing is taken down from now on.
  void close() noexcept { is_closed_.store(true, std::memory_order_relaxed); }
  // Any thread. Datagrams that found no room.
  uint64_t missed(uint16_t port_id) const noexcept { return missed_[port_id].read(); }
  // The writer's end.
  RecordRing& ring() noexcept { return ring_; }

 private:
  Record* take(size_t bytes, size_t losses_max, uint8_t*& data) noexcept;
  bool holds_stream(ByteSpan datagram) const noexcept;
  void note(const stage::Datagram& datagram, Loss loss) noexcept;
  void settle() noexcept;
  bool is_wanted(const Record& record) const noexcept;
  uint16_t id_of(const port::Port& port) const noexcept;

  const Filter filter_;
  const stream::StreamTable& streams_;
  const Clock& clock_;
  RecordRing ring_;
  rcu::Published<PortIds> ports_;
  std::atomic<bool> is_closed_{false};
  std::array<stats::Counter, ports_max> missed_;

  // Of the burst that arrived last.
  struct Slot {
    Record* record = nullptr;  // null: not taken down
    uint16_t losses_max = 0;
    bool is_missed = false;  // there was no room
  };
  std::array<Slot, stage::datagrams_max> slots_;
  unsigned slot_count_ = 0;
  uint64_t burst_mark_ = 0;
  // Of the packets that are being offered: where each one's record begins.
  std::array<uint64_t, offer_max> marks_{};
  std::array<bool, offer_max> is_missed_{};
  unsigned offered_count_ = 0;
  uint16_t offered_port_ = any_port;
};

}  // namespace chaincast::capture
