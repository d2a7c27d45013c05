// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <intel-ipsec-mb.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/assert.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "fanout/copy.hpp"
#include "load/cable.hpp"
#include "load/subject.hpp"
#include "load/tester.hpp"
#include "rig/machine.hpp"
#include "rig/origin.hpp"
#include "rig/product.hpp"

// A relay under load: one trial per line of standard input, one line of results each, so that the
// caller can search. The first line says what the machine is:
//
//   {"cpu": 1, "tester_cpu": 0, "has_hugepages": false, "near": "", "far": ""}
//   {"system": "chaincast", "suite": "gmac", "payload": 1400, "fanout": 8, "rate": 100000,
//    "frames": 10000, "attempts": 10000, "idle": "poll", "change_to": 9}
//
// change_to: peers from the middle of the trial on; copies to the last one then are watched.
// near, far: DPDK devices of the tester and of the relay; rings where they are empty. The tester
// has one core, the relay another. `system` forwarder is bare: it has no peers.
namespace chaincast::bench::load {
namespace {

using Json = nlohmann::json;

struct Bench {
  base::ThreadStarter starter;  // before EAL takes the affinity away
  rte_mempool* packets = nullptr;
  rte_mempool* headers = nullptr;
  std::string near, far;
  int cpu = 0;
  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
};

wire::Suite suite_of(const std::string& name) {
  if (name == "gmac") return wire::Suite::gmac;
  if (name == "sha256-gmac") return wire::Suite::sha256_gmac;
  throw std::invalid_argument("no suite '" + name + "'");
}

double quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const double last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<size_t>(share * last)];
}

Json spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"min", values.empty() ? 0 : values.front()},
          {"p50", quantile(values, 0.5)},
          {"p99", quantile(values, 0.99)},
          {"p999", quantile(values, 0.999)},
          {"max", values.empty() ? 0 : values.back()},
          {"samples", values.size()}};
}

// Paths carry one frame a datagram, so that as many frames leave as come in, whatever their size.
ProductConfig product_config(Cable& cable, unsigned fanout, unsigned payload) {
  ProductConfig out;
  out.rx = {&cable.port()};
  out.rx_macs = {cable.mac()};
  out.tx = &cable.port();
  out.tx_mac = cable.mac();
  out.fanout = fanout;
  out.datagram_bytes =
      static_cast<uint16_t>(wire::hop_header_bytes + wire::frame_header_bytes + payload);
  out.own = bench_endpoint(0, 0);
  return out;
}

Json run_trial(Bench& bench, const Json& trial) {
  const auto cable = bench.near.empty() ? make_ring_cable(bench.packets)
                                        : make_device_cable(bench.near, bench.far, bench.packets);
  const bool is_bare = trial.at("system") == "forwarder";
  TesterPlan plan;
  plan.fanout = is_bare ? 1 : trial.at("fanout").get<unsigned>();
  plan.frames_per_s = trial.at("rate");
  plan.drain_ns = trial.value("drain_ns", plan.drain_ns);
  plan.attempts = trial.at("attempts");
  const uint16_t payload = trial.at("payload");
  Product product(product_config(*cable, plan.fanout, payload), bench.headers, bench.packets);
  const auto sealing = make_frame_engine(false);
  Origin origin(*bench.toolbox, *sealing, {suite_of(trial.at("suite")), payload});
  product.add_stream(origin.stream(*sealing));
  std::vector<uint8_t> frame(wire::frame_header_bytes + payload);
  std::vector<rte_mbuf*> packets;
  for (unsigned i = 0; i < trial.at("frames").get<unsigned>(); ++i) {
    origin.seal_next(frame.data(), payload);
    packets.push_back(product.stamp(0, 0, frame, 1, bench.packets));
  }
  if (trial.contains("change_to")) {
    const unsigned after = trial.at("change_to");
    plan.watched_peer = std::max(after, plan.fanout) - 1;
    plan.change_at = plan.attempts / 2;
    plan.change = [&product, after] { product.set_fanout(after); };
  }
  SubjectOptions options;
  options.cpu = bench.cpu;
  options.idle = trial.value("idle", "poll") == "sleep" ? worker::Idle::sleep : worker::Idle::poll;
  const auto subject = is_bare ? start_forwarder(cable->port(), options, bench.starter)
                               : start_product(product, options, bench.starter);
  const uint64_t preempted = preemptions();
  TesterResult result;
  {
    const Undisturbed undisturbed;
    result = test(*cable, plan, std::move(packets), 0);
  }
  subject->stop();
  return {{"offered", result.offered},
          {"missed", result.missed},
          {"delivered", result.delivered},
          {"complete", result.complete},
          {"twice", result.twice},
          {"late", result.late},
          {"preemptions", preemptions() - preempted},
          {"offer_ns", result.offer_ns},
          {"deliver_ns", result.deliver_ns},
          {"first_watched_ns", result.first_watched_ns},
          {"last_watched_ns", result.last_watched_ns},
          {"latency_ns", spread_of(std::move(result.latency_ns))},
          {"skew_ns", spread_of(std::move(result.skew_ns))},
          {"slow_at_ns", std::move(result.slow_at_ns)},
          {"losses", subject->losses()}};
}

int run() {
  Bench bench;
  std::string line;
  std::getline(std::cin, line);
  const Json machine = Json::parse(line);
  EalOptions eal;
  eal.cpu = machine.at("tester_cpu");
  eal.has_hugepages = machine.value("has_hugepages", false);
  eal.memory_mb = 900;
  start_eal(eal);
  rcu::Reader reader;
  bench.cpu = machine.at("cpu");
  bench.near = machine.value("near", "");
  bench.far = machine.value("far", "");
  bench.packets = make_pool("packets", 200'000, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
  bench.headers = make_pool("headers", 131'071, 512, fanout::header_data_room_bytes);
  std::cout << Json{{"cpu_model", cpu_model()},
                    {"tsc_hz", rte_get_tsc_hz()},
                    {"ipsec_mb", imb_get_version_str()},
                    {"has_hugepages", eal.has_hugepages}}
            << std::endl;
  while (std::getline(std::cin, line)) {
    // Nothing of the product is read here, but a reader that never says so holds up all others.
    std::cout << run_trial(bench, Json::parse(line)) << std::endl;
    reader.quiescent();
  }
  return 0;
}

}  // namespace
}  // namespace chaincast::bench::load

int main() {
  try {
    return chaincast::bench::load::run();
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "bench_load: {}\n", wrong.what());
    return 2;
  }
}
