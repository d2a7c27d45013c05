// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <valgrind/callgrind.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/assert.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "fanout/copy.hpp"
#include "rig/line_relay.hpp"
#include "rig/machine.hpp"

// The worker line over a fixed number of frames, for callgrind to count: no cryptography of frames,
// ordinary memory, a clock that ticks once a turn. One cell of the plan (standard input is not
// read); instructions are counted while its frames pass and at no other time.
//
//   valgrind --tool=callgrind --instr-atstart=no bench_counted
//     '{"unit_bytes": 1400, "bundle": 1, "datagram_bytes": 1472, "fanout": 8, "offered": 1,
//       "warm": 1024, "datagrams": 2048}'
//
// Writes {"arrived": frames, "kept": frames}. Without valgrind it does the same, uncounted.
namespace chaincast::bench {
namespace {

using Json = nlohmann::json;

constexpr TimeNs turn_ns = 2000;

Cell cell_of(const Json& plan) {
  Cell out;
  out.system = "chaincast";
  out.suite = wire::Suite::gmac;
  out.is_plain = true;
  out.unit_bytes = plan.at("unit_bytes");
  out.bundle = plan.at("bundle");
  out.datagram_bytes = plan.at("datagram_bytes");
  out.fanout = plan.at("fanout");
  out.offered = plan.at("offered");
  return out;
}

int run(const Json& plan) {
  EalOptions eal;
  eal.cpu = plan.value("cpu", 0u);
  eal.memory_mb = 256;
  eal.channels = 4;  // else memory is laid out by what the host has
  start_eal(eal);
  Pools pools;
  pools.received = make_pool("received", 16'383, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
  pools.headers = make_pool("headers", 16'383, 512, fanout::header_data_room_bytes);
  const auto toolbox = crypto::openssl::make_toolbox();
  rcu::Reader reader;
  LineRelay relay(cell_of(plan), pools, *toolbox, reader);
  relay.prepare(plan.at("warm"));
  relay.run_by_turns(turn_ns);
  relay.prepare(plan.at("datagrams"));
  const uint64_t kept = relay.units();
  const uint64_t received = relay.device().received();
  CALLGRIND_START_INSTRUMENTATION;
  relay.run_by_turns(turn_ns);
  CALLGRIND_STOP_INSTRUMENTATION;
  const uint64_t arrived = relay.device().received() - received;
  const Json out = {{"arrived", arrived * plan.at("bundle").get<uint64_t>()},
                    {"kept", relay.units() - kept}};
  fmt::print("{}\n", out.dump());
  if (const std::string wrong = relay.check_counters(); !wrong.empty()) {
    fmt::print(stderr, "bench_counted: {}\n", wrong);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace chaincast::bench

int main(int count, char** words) {
  try {
    CC_ASSERT(count == 2);
    return chaincast::bench::run(nlohmann::json::parse(words[1]));
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "bench_counted: the plan: {}\n", wrong.what());
    return 2;
  }
}
