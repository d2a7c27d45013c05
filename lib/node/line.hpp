// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "classify/stage.hpp"
#include "crypto/crypto.hpp"
#include "fanout/stage.hpp"
#include "hop/stage.hpp"
#include "node/plane.hpp"
#include "stage/burst.hpp"
#include "verify/stage.hpp"
#include "worker/worker.hpp"

namespace chaincast::node {

// One worker's whole line: rx, hop, classify, probe, verify, commit (and record), fanout, tx.
// Delivery to local subscribers reads the streams' windows on the control thread.
//
// Thread: its worker. Counters have that one writer.
class Line final : public worker::Task, private hop::ControlSink {
 public:
  Line(unsigned index, Plane& plane, std::unique_ptr<crypto::FrameEngine> engine,
       const fanout::FanoutConfig& fanout);

  unsigned poll(TimeNs now_ns) noexcept override;
  void tick(TimeNs now_ns) noexcept override;

  const stage::Burst::Drops& drops() const { return drops_; }
  const crypto::FrameEngine& engine() const { return *engine_; }

  struct LineCounters {
    stats::Counter datagrams, control_datagrams, frames, frames_kept, frames_own, handed_over,
        hops_max;
  };
  const LineCounters& counters() const { return counters_; }

 private:
  void observe(const Lookout* lookout) noexcept;
  void arrived() noexcept;
  unsigned receive(const ReceiveQueue& rx) noexcept;
  unsigned receive_handed_over() noexcept;
  void hand_over(const ReceiveQueue& rx) noexcept;
  void run_stages(const fanout::PeerSnapshot& peers) noexcept;
  unsigned run_commands(const fanout::PeerSnapshot& peers) noexcept;
  void run_command(Command& command, const fanout::PeerSnapshot& peers) noexcept;
  void add_own(const Command& command) noexcept;
  void flush_own(const fanout::PeerSnapshot& peers) noexcept;
  bool take(const stage::Datagram& datagram, const hop::RxLane* lane) noexcept override;

  const fanout::PeerSnapshot no_peers_;  // until control has published some
  const unsigned index_;
  Plane& plane_;
  Mailboxes& mailboxes_;
  std::unique_ptr<crypto::FrameEngine> engine_;
  stage::Burst::Drops drops_;
  stage::Burst burst_{drops_, index_};
  stage::Burst own_{drops_, index_};
  verify::Verify verify_;
  fanout::Fanout fanout_;
  LineCounters counters_;
  stage::Observer* observer_ = nullptr;
  TimeNs now_ns_ = 0;
};

}  // namespace chaincast::node
