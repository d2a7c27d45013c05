// SPDX-License-Identifier: BSD-3-Clause
#include "relays/trial.hpp"

#include <rte_cycles.h>

#include <algorithm>

#include "rig/machine.hpp"

namespace chaincast::bench {

namespace {

constexpr unsigned samples_wanted = 1000;
constexpr size_t mbuf_bytes = 128;
constexpr unsigned line_bytes = 64;

// What one arrival occupies: its descriptor and the cache lines of its data.
size_t footprint(const Relay& relay) {
  return mbuf_bytes + (relay.arrival_bytes() + 2 * line_bytes - 1) / line_bytes * line_bytes;
}

uint64_t timed_run(Relay& relay) {
  const uint64_t sampled = relay.device().sampling_cycles();
  relay.get_ready();
  const uint64_t start = rte_rdtsc_precise();
  relay.run();
  const uint64_t cycles = rte_rdtsc_precise() - start;
  return cycles - (relay.device().sampling_cycles() - sampled);
}

}  // namespace

Result run_trial(const Cell& cell, const TrialOptions& options, const MakeRelay& make,
                 Sentinel& sentinel, Random& random) {
  Result out;
  const std::unique_ptr<Relay> relay = make();
  Device& device = relay->device();
  const size_t each = footprint(*relay);
  const size_t bytes = cell.is_warm ? options.warm_bytes : options.set_bytes;
  const auto datagrams =
      static_cast<unsigned>(std::max<size_t>(bytes / each / cell.workers, 64));  // of each worker
  const auto limit = static_cast<uint64_t>(static_cast<double>(options.time_max_ns) *
                                           static_cast<double>(rte_get_tsc_hz()) / 1e9);
  out.set_bytes = datagrams * each * cell.workers;
  device.stop_offering_after(limit);
  relay->prepare(datagrams);
  if (cell.fanout > 0) {
    device.sample(samples_wanted, std::min<uint64_t>(datagrams, 2000) * cell.fanout, random);
  }
  const uint64_t steal = steal_ticks();
  {
    const Undisturbed undisturbed;
    out.before = sentinel.read();
    const uint64_t preempted = preemptions();
    out.cycles = timed_run(*relay);
    while (cell.is_warm && out.cycles < limit) {
      relay->prepare(datagrams);
      out.cycles += timed_run(*relay);
    }
    out.preemptions = preemptions() - preempted;
    out.after = sentinel.read();
  }
  out.steal_ticks = steal_ticks() - steal;
  out.units = relay->units();
  out.copies = relay->copies();
  out.datagrams = relay->arrived();
  out.sent = device.sent();
  out.samples = static_cast<unsigned>(device.samples().size());
  out.stages = relay->stages();
  out.fault = relay->check();
  return out;
}

}  // namespace chaincast::bench
