// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "base/thread.hpp"
#include "capture/capture.hpp"
#include "latency/meter.hpp"
#include "node/plane.hpp"
#include "trace/trace.hpp"

// What people look at the workers with: keeps the observers, and publishes who looks.
namespace chaincast::node {

// Owner: the node. Control thread only. Workers are stopped, or step on this thread, before it is
// destroyed. Every start and end waits for one grace period.
class Sight {
 public:
  Sight(Plane& plane, rcu::Retirer& retirer, const base::ThreadStarter& threads,
        const Clock& clock);
  ~Sight();

  // Ports of the node, as they come and go; their ids are below capture::ports_max.
  void add_port(const port::Port& port, capture::PortInterface interface);
  void remove_port(uint16_t id);
  // The same for peers, by number.
  void add_peer(uint32_t peer);
  void remove_peer(uint32_t peer);

  // ---- capture ----
  // Fails with `exists` while a capture is running, and as Capture::start.
  Status start_capture(capture::CaptureConfig config);
  // Fails with `not_found` if there has been none. A capture that has ended stays to be looked at.
  Status stop_capture();
  const capture::Capture* last_capture() const { return capture_.get(); }

  // ---- trace ----
  struct Trace {
    uint32_t wanted = 0;
    uint32_t left = 0;                  // frames that have not come yet
    std::vector<trace::Entry> entries;  // finished ones, as they arrived
  };
  // The next `frames` frames (at most trace::frames_max); forgets the trace before.
  void start_trace(uint32_t frames);
  void clear_trace();
  const Trace& read_trace();

  // ---- latency ----
  // Begins with empty histograms.
  void start_latency();
  // What was measured stays to be looked at.
  void stop_latency() { set_latency(false); }
  bool has_latency() const { return is_metered_; }
  // [worker]; empty if it was never started.
  const std::vector<std::shared_ptr<latency::Meter>>& meters() const { return meters_; }

 private:
  struct KnownPort {
    const port::Port* port = nullptr;
    capture::PortInterface interface;
  };
  void publish();
  void tell_ports();
  void set_latency(bool on);

  Plane& plane_;
  rcu::Retirer& retirer_;
  const base::ThreadStarter& threads_;
  const Clock& clock_;
  std::vector<KnownPort> ports_;
  std::set<uint32_t> peers_;

  std::unique_ptr<capture::Capture> capture_;
  bool is_tapped_ = false;  // workers use the taps of capture_
  std::unique_ptr<trace::Budget> budget_;
  std::vector<std::shared_ptr<trace::Tracer>> tracers_;  // [worker], while a trace is on
  Trace trace_;
  std::vector<std::shared_ptr<latency::Meter>> meters_;
  bool is_metered_ = false;  // workers use the meters
};

}  // namespace chaincast::node
