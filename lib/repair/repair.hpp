// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "stream/receiver.hpp"
#include "wire/control.hpp"

// Repair of one stream on one node: asks neighbours for what is missing, answers what it has,
// announces tips, finds tail loss (docs/streams.md, "Repair"). A pure machine; owner: the control
// thread.
//
// A missing seq is asked for after `first_wait_ns`, in nacks of up to 64 seqs, from the nearest
// neighbour whose tip says that it has it; on silence, or an answer that it has not, from the next
// one, at growing intervals. What is kept for neighbours is the window itself.
// Memory: outstanding_max asks, one tip per neighbour, a table of 4096 answers.
namespace chaincast::repair {

struct RepairConfig {
  bool enabled = true;                       // `set repair off`
  TimeNs first_wait_ns = 2 * ns_per_ms;      // reordering allowance before the first nack
  TimeNs retry_min_ns = 20 * ns_per_ms;      // at least; else twice the neighbour's rtt
  TimeNs retry_max_ns = 1 * ns_per_s;        // back-off ceiling
  TimeNs tip_interval_ns = 100 * ns_per_ms;  // while frames move; up to tip_idle_ns when idle
  TimeNs tip_idle_ns = 250 * ns_per_ms;
  unsigned nacks_per_tick_max = 32;
  unsigned outstanding_max = 2048;  // seqs asked for and not yet answered
};

struct Neighbour {
  uint32_t peer = 0;
  TimeNs rtt_ns = 0;  // 0: unknown
};

struct RepairOutput {
  struct Send {
    uint32_t peer;
    wire::ControlMessage message;
  };
  struct Resend {  // one frame to one neighbour, through its queue and token bucket
    uint32_t peer;
    Seq seq;
    Bytes frame;
  };
  std::vector<Send> sends;
  std::vector<Resend> resends;
};

struct RepairCounters {
  uint64_t nacks_sent = 0, nacks_received = 0;
  uint64_t frames_asked = 0, frames_repaired = 0;  // repaired: asked for, then arrived
  uint64_t frames_resent = 0, pending_sent = 0, gone_sent = 0, suppressed = 0;
  uint64_t tips_sent = 0, tips_received = 0;
};

class Repair {
 public:
  static std::unique_ptr<Repair> create(RepairConfig config, StreamId stream,
                                        const wire::Descriptor& descriptor,
                                        stream::Receiver& receiver, dedup::Window& window,
                                        bool is_origin, uint64_t seed);
  virtual ~Repair() = default;

  // The links that are up and carry this stream. A new neighbour gets a tip at once.
  virtual void set_neighbours(const std::vector<Neighbour>& neighbours, TimeNs now_ns) = 0;
  // From the next tick on. Not `enabled`: asks and answers nothing; tips go on, since late starters
  // and statements need them.
  virtual void configure(const RepairConfig& config) = 0;

  virtual void on_nack(uint32_t peer, const wire::Nack& nack, TimeNs now_ns, RepairOutput& out) = 0;
  virtual void on_pending(uint32_t peer, const wire::Pending& pending, TimeNs now_ns) = 0;
  // Also anchors a receiver that just learned the stream: at the descriptor if the neighbour still
  // retains seq 0, else at the newest statement (asking two neighbours).
  virtual void on_tip(uint32_t peer, const wire::Tip& tip, TimeNs now_ns, RepairOutput& out) = 0;
  virtual void on_tip_request(uint32_t peer, TimeNs now_ns, RepairOutput& out) = 0;
  virtual void tick(TimeNs now_ns, RepairOutput& out) = 0;
  virtual TimeNs next_timer_ns() const = 0;
  virtual const RepairCounters& counters() const = 0;
};

}  // namespace chaincast::repair
