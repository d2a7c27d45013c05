// SPDX-License-Identifier: BSD-3-Clause
#include "latency/meter.hpp"

namespace chaincast::latency {

using stage::Point;

Meter::~Meter() {
  for (auto& peer : peers_) delete peer.load(std::memory_order_relaxed);
}

void Meter::add_peer(uint32_t peer, rcu::Retirer& retirer) {
  if (peer >= peers_max) return;
  auto fresh = std::make_unique<PeerTimes>();
  retirer.retire(std::unique_ptr<PeerTimes>(
      peers_[peer].exchange(fresh.release(), std::memory_order_acq_rel)));
}

void Meter::remove_peer(uint32_t peer, rcu::Retirer& retirer) {
  if (peer >= peers_max) return;
  retirer.retire(
      std::unique_ptr<PeerTimes>(peers_[peer].exchange(nullptr, std::memory_order_acq_rel)));
}

void Meter::record(Point point, TimeNs took_ns, unsigned items) noexcept {
  if (items == 0) return;
  StageTimes& times = stages_[static_cast<size_t>(point)];
  times.burst.record(took_ns);
  times.item.record(took_ns / items);
}

void Meter::arrived(const stage::Burst& burst) noexcept {
  arrived_ns_ = before_ns_ = clock_.now_ns();
  items_ = burst.datagram_count;
}

void Meter::passed(const stage::Burst& burst, Point point) noexcept {
  const TimeNs now_ns = clock_.now_ns();
  // Frames of this node's own have no stage before commit: their first one gives the time only.
  if (before_ns_ != 0) {
    // classify is told by what it cuts, the others by what they are given.
    record(point, now_ns - before_ns_, point == Point::classify ? burst.frame_count : items_);
  }
  if (arrived_ns_ == 0) arrived_ns_ = now_ns;
  before_ns_ = now_ns;
  items_ = burst.frame_count;
}

void Meter::offered(const port::Port&, const port::Destination&,
                    std::span<rte_mbuf* const>) noexcept {
  offered_ns_ = clock_.now_ns();
}

void Meter::taken(unsigned count) noexcept {
  record(Point::tx, clock_.now_ns() - offered_ns_, count);
}

void Meter::sent(uint32_t peer, unsigned packets) noexcept {
  PeerTimes* const times =
      peer < peers_max ? peers_[peer].load(std::memory_order_acquire) : nullptr;
  // Control messages of a turn without frames have come from no port.
  if (times == nullptr || arrived_ns_ == 0) return;
  const TimeNs took_ns = clock_.now_ns() - arrived_ns_;
  for (unsigned i = 0; i < packets; ++i) times->direct.record(took_ns);
}

void Meter::sent_late(uint32_t peer, uint32_t since_us) noexcept {
  PeerTimes* const times =
      peer < peers_max ? peers_[peer].load(std::memory_order_acquire) : nullptr;
  if (times == nullptr) return;
  const auto now_us = static_cast<uint32_t>(clock_.now_ns() / ns_per_us);
  times->queued.record(uint64_t{now_us - since_us} * ns_per_us);
}

void Meter::turned() noexcept {
  arrived_ns_ = before_ns_ = 0;
}

}  // namespace chaincast::latency
