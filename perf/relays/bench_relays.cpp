// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <rte_cycles.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "fanout/copy.hpp"
#include "floor/floor.hpp"
#include "ipsec_hub/hub.hpp"
#include "relays/trial.hpp"
#include "rig/line_relay.hpp"
#include "rig/machine.hpp"
#include "rig/origin_relay.hpp"

// Relays side by side, in turns: reads a plan from standard input, writes one JSON line per
// repetition and cell. scripts/bench ipsec makes the plan and sums up.
//
//   {"cpu": 1, "second_cpu": 0, "has_hugepages": false, "repeats": 5, "set_bytes": 67108864,
//    "time_ms": 60, "best": {"sha_ns": 300, "gcm_ns": 119},
//    "cells": [{"system": "chaincast", "suite": "sha256-gmac", "unit_bytes": 1400, "bundle": 1,
//               "datagram_bytes": 1472, "mtu_bytes": 1500, "fanout": 8, "offered": 1,
//               "is_warm": false, "sink": "null"}, ...]}
namespace chaincast::bench {
namespace {

using Json = nlohmann::json;

constexpr double quotient_tolerance = 0.05;
constexpr unsigned attempts_max = 5;

wire::Suite suite_of(const std::string& name) {
  constexpr std::pair<const char*, wire::Suite> names[] = {
      {"sha256-gmac", wire::Suite::sha256_gmac},
      {"sha256-gcm", wire::Suite::sha256_gcm},
      {"sha256-gmac-ct", wire::Suite::sha256_gmac_ct},
      {"sha256-gcm-ct", wire::Suite::sha256_gcm_ct},
      {"gmac", wire::Suite::gmac}};
  for (const auto& [text, suite] : names) {
    if (name == text) return suite;
  }
  throw std::invalid_argument("no suite '" + name + "'");
}

Cell cell_of(const Json& row) {
  Cell out;
  out.system = row.at("system");
  if (row.contains("suite")) out.suite = suite_of(row.at("suite"));
  out.unit_bytes = row.at("unit_bytes");
  out.bundle = row.value("bundle", 1u);
  out.datagram_bytes = row.value("datagram_bytes", uint16_t{0});
  out.mtu_bytes = row.value("mtu_bytes", uint16_t{1500});
  out.fanout = row.at("fanout");
  out.offered = row.value("offered", 1u);
  out.is_warm = row.value("is_warm", false);
  out.has_stage_clock = row.value("has_stage_clock", false);
  out.is_plain = row.value("is_plain", false);
  out.workers = row.value("workers", 1u);
  out.mix = row.value("mix", std::vector<uint16_t>{});
  out.sink = row.value("sink", "null") == "ring" ? Sink::ring : Sink::null;
  return out;
}

// What all trials share.
struct Bench {
  Pools pools;
  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  rcu::Reader reader;
  Sentinel sentinel;
  Random random{1};
  TrialOptions options;
  double best_sha_ns = 0;  // lowest seen, here or in earlier runs
  double best_gcm_ns = 0;

  std::unique_ptr<Relay> make(const Cell& cell);
  bool is_usual(const Sentinel::Reading& reading);
};

std::unique_ptr<Relay> Bench::make(const Cell& cell) {
  using ipsec::HubConfig;
  using ipsec::Transform;
  constexpr std::pair<const char*, HubConfig> hubs[] = {
      {"hub-aes256", {Transform::gcm256, false, 32}},
      {"hub-aes128", {Transform::gcm128, false, 32}},
      {"hub-gmac", {Transform::gmac256, false, 32}},
      {"hub-group", {Transform::gcm256, true, 32}},
  };
  if (cell.system == "chaincast") {
    return std::make_unique<LineRelay>(cell, pools, *toolbox, reader);
  }
  if (cell.system == "origin") {
    return std::make_unique<OriginRelay>(cell, pools, *toolbox, reader);
  }
  if (cell.system == "floor") return std::make_unique<Floor>(cell, Floor::Hash::ipsec_mb, pools);
  if (cell.system == "floor-lanes") {
    return std::make_unique<Floor>(cell, Floor::Hash::lanes, pools);
  }
  for (const auto& [name, config] : hubs) {
    if (cell.system == name) return std::make_unique<ipsec::Hub>(cell, config, pools);
  }
  throw std::invalid_argument("no system '" + cell.system + "'");
}

bool Bench::is_usual(const Sentinel::Reading& reading) {
  const auto lower = [](double& best, double now) { best = best == 0 ? now : std::min(best, now); };
  lower(best_sha_ns, reading.sha_ns);
  lower(best_gcm_ns, reading.gcm_ns);
  return std::abs(reading.quotient() / (best_sha_ns / best_gcm_ns) - 1) <= quotient_tolerance;
}

Json to_json(const Sentinel::Reading& reading) {
  return {{"sha_ns", reading.sha_ns}, {"gcm_ns", reading.gcm_ns}};
}

// Repeated while the sentinels are off, at most five times. False: the result is wrong.
bool run_cell(Bench& bench, const Cell& cell, size_t index, unsigned repeat) {
  bool is_usual = false;
  for (unsigned attempt = 1; !is_usual && attempt <= attempts_max; ++attempt) {
    const auto result = run_trial(
        cell, bench.options, [&] { return bench.make(cell); }, bench.sentinel, bench.random);
    if (!result.fault.empty()) {
      fmt::print(stderr, "bench: {} N={}: {}\n", cell.system, cell.fanout, result.fault);
      return false;
    }
    const bool before = bench.is_usual(result.before);
    is_usual = bench.is_usual(result.after) && before && result.preemptions == 0;
    if (!is_usual && attempt < attempts_max) continue;
    const double units = static_cast<double>(result.units);
    Json stages = Json::object();
    for (const auto& [name, cycles] : result.stages) {
      stages[name] = static_cast<double>(cycles) / units;
    }
    const Json line = {{"cell", index},
                       {"repeat", repeat},
                       {"attempts", attempt},
                       {"is_disturbed", !is_usual},
                       {"ns_per_unit", ns_of_cycles(result.cycles) / units},
                       {"cycles_per_unit", static_cast<double>(result.cycles) / units},
                       {"units", result.units},
                       {"copies", result.copies},
                       {"datagrams", result.datagrams},
                       {"sent", result.sent},
                       {"set_bytes", result.set_bytes},
                       {"samples", result.samples},
                       {"preemptions", result.preemptions},
                       {"steal_ticks", result.steal_ticks},
                       {"stages", stages},
                       {"before", to_json(result.before)},
                       {"after", to_json(result.after)}};
    std::cout << line << std::endl;
  }
  return true;
}

int run(const Json& plan) {
  EalOptions eal;
  eal.cpu = plan.value("cpu", 0u);
  eal.has_hugepages = plan.value("has_hugepages", false);
  eal.memory_mb = plan.value("memory_mb", 1024u);
  eal.second_cpu = plan.value("second_cpu", -1);
  start_eal(eal);
  Bench bench;
  bench.options.set_bytes = plan.value("set_bytes", bench.options.set_bytes);
  bench.options.time_max_ns = plan.value("time_ms", uint64_t{60}) * 1'000'000;
  if (plan.contains("best")) {
    bench.best_sha_ns = plan["best"].at("sha_ns");
    bench.best_gcm_ns = plan["best"].at("gcm_ns");
  }
  // The smallest arrival takes 384 bytes of the set.
  const auto most = static_cast<unsigned>(bench.options.set_bytes / 320 + 16'384);
  bench.pools.received = make_pool("received", most, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
  bench.pools.jumbo =
      make_pool("jumbo", static_cast<unsigned>(bench.options.set_bytes / 8192 + 8192), 256,
                RTE_PKTMBUF_HEADROOM + 256 + 9000);
  bench.pools.headers = make_pool("headers", 131'071, 512, fanout::header_data_room_bytes);
  bench.pools.tunnels = make_pool("tunnels", 16'383, 512, RTE_MBUF_DEFAULT_BUF_SIZE);
  std::cout << Json{{"cpu_model", cpu_model()},
                    {"tsc_hz", rte_get_tsc_hz()},
                    {"ipsec_mb", imb_get_version_str()},
                    {"has_hugepages", eal.has_hugepages}}
            << std::endl;
  std::vector<Cell> cells;
  for (const Json& row : plan.at("cells")) cells.push_back(cell_of(row));
  for (unsigned repeat = 0; repeat < plan.value("repeats", 5u); ++repeat) {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (!run_cell(bench, cells[i], i, repeat)) return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace chaincast::bench

int main() {
  try {
    return chaincast::bench::run(nlohmann::json::parse(std::cin));
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "bench: the plan: {}\n", wrong.what());
    return 2;
  }
}
