// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "node/line.hpp"
#include "port/headers.hpp"
#include "rcu/rcu.hpp"
#include "rig/origin.hpp"
#include "rig/relay.hpp"
#include "rig/stage_clock.hpp"
#include "worker/worker.hpp"

// The product as a relay: one worker with its line, as node::Node makes them, over an ethdev port
// and a plane that is filled by hand where control would: neighbours that send, N peers that
// receive, one stream. Default policy: link checks on, window of the descriptor, no rate limit,
// queues of 1,024 packets. What delivers to local subscribers reads windows on another core and is
// not part of it.
namespace chaincast::bench {

class LineRelay final : public Relay {
 public:
  // Borrowed: pools, toolbox, reader (the calling thread's registration with rcu).
  LineRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
            rcu::Reader& reader);
  ~LineRelay() override;

  Device& device() override { return *device_; }
  void prepare(unsigned datagrams) override;
  void run() override;
  uint64_t units() const override { return line_->counters().frames_kept.read(); }
  uint64_t copies() const override;
  unsigned arrival_bytes() const override;
  std::vector<std::pair<std::string, uint64_t>> stages() const override;
  std::string check() override;

 private:
  struct Neighbour {
    std::unique_ptr<hop::RxLane> lane;
    port::Destination way;  // from it to us
    uint64_t counter = 0;
  };
  void add_neighbour(unsigned number);
  void add_peers();
  void add_clock();
  fanout::Peer make_peer(uint32_t number) const;
  rte_mbuf* stamp(Neighbour& from, const std::vector<uint8_t>& frames, unsigned count);
  std::string check_counters() const;
  std::string check_sample(ByteSpan packet) const;

  const Cell cell_;
  const Pools pools_;
  rte_mempool* const buffers_;
  rcu::Reader& reader_;
  std::unique_ptr<crypto::FrameEngine> sealing_;
  node::Plane plane_{1};
  rcu::Retirer retirer_;
  std::unique_ptr<Device> device_;
  std::vector<Neighbour> neighbours_;
  Origin origin_;
  std::unique_ptr<node::Line> line_;
  std::shared_ptr<StageClock> clock_;
  std::unique_ptr<worker::Worker> worker_;
};

}  // namespace chaincast::bench
