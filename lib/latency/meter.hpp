// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "rcu/rcu.hpp"
#include "stage/burst.hpp"
#include "stage/observer.hpp"
#include "stats/histogram.hpp"

// How long the stages of a line take, and how long datagrams stay in the node.
namespace chaincast::latency {

inline constexpr uint32_t peers_max = 4096;  // peer numbers are below

// Nanoseconds of one stage. rx is not among the stages, for the port is asked before anything has
// arrived; tx are the calls of ports, which are part of fanout where nothing waits.
struct StageTimes {
  stats::Histogram burst;  // a whole burst (a call of a port)
  stats::Histogram item;   // the same by what entered: datagrams in hop and tx, else frames
};

// Nanoseconds from the arrival of a burst at the worker until the port took a copy.
struct PeerTimes {
  stats::Histogram direct;  // taken at once
  stats::Histogram queued;  // had to wait in the peer's queue; to the microsecond
};

// One per worker. Cost when on: one clock reading per stage of a burst and per call of a port.
// Memory: 128 KiB, and 16 KiB per peer. Thread: the worker, but for what is said to be control's.
class Meter final : public stage::Observer {
 public:
  explicit Meter(const Clock& clock) : clock_(clock) {}
  ~Meter() override;

  void arrived(const stage::Burst& burst) noexcept override;
  void passed(const stage::Burst& burst, stage::Point point) noexcept override;
  void offered(const port::Port& port, const port::Destination& to,
               std::span<rte_mbuf* const> packets) noexcept override;
  void taken(unsigned count) noexcept override;
  void sent(uint32_t peer, unsigned packets) noexcept override;
  void sent_late(uint32_t peer, uint32_t since_us) noexcept override;
  void turned() noexcept override;

  // Control. Copies for peers that are not known are not counted. A number that is used again
  // begins with empty histograms.
  void add_peer(uint32_t peer, rcu::Retirer& retirer);
  void remove_peer(uint32_t peer, rcu::Retirer& retirer);
  const StageTimes& stage(stage::Point point) const { return stages_[static_cast<size_t>(point)]; }
  const PeerTimes* peer(uint32_t peer) const {
    return peers_[peer].load(std::memory_order_relaxed);
  }

 private:
  void record(stage::Point point, TimeNs took_ns, unsigned items) noexcept;

  const Clock& clock_;
  std::array<StageTimes, stage::point_count> stages_;
  std::array<std::atomic<PeerTimes*>, peers_max> peers_{};
  TimeNs arrived_ns_ = 0;  // 0: nothing has, this turn
  TimeNs before_ns_ = 0;   // when the stage that is at work began
  unsigned items_ = 0;     // what entered it
  TimeNs offered_ns_ = 0;
};

}  // namespace chaincast::latency
