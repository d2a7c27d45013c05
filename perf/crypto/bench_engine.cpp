// SPDX-License-Identifier: BSD-3-Clause
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "crypto/crypto.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/link_key.hpp"
#include "crypto/openssl/sha256.hpp"
#include "crypto/openssl/toolbox.hpp"

// Nanoseconds per frame of each engine (`lanes`: workers' engine where the processor has AVX-512
// with VAES; `ipsec_mb`: elsewhere): verify by suite, payload and batch; seal; and per block of the
// link check. Run pinned to one core: taskset -c 1 bench_crypto.
namespace chaincast::crypto {
namespace {

enum class Which : uint8_t { lanes, ipsec_mb, openssl };

std::unique_ptr<FrameEngine> make(Which which) {
  if (which == Which::openssl) return openssl::make_toolbox()->reference_engine();
  auto engine = ipsec_mb::make_engine(
      openssl::sha256, which == Which::lanes ? ipsec_mb::Lanes::own : ipsec_mb::Lanes::ipsec_mb);
  CC_ASSERT(engine.ok());
  return std::move(engine).value();
}

struct Work {
  Work(Which which, int64_t suite_number, int64_t payload_bytes, size_t count)
      : engine(make(which)) {
    const auto suite = static_cast<wire::Suite>(suite_number);
    Secret secret;
    secret.fill(7);
    auto made = engine->make_key(suite, 1, secret, &secret);
    CC_ASSERT(made.ok());
    key = std::move(made).value();
    for (size_t i = 0; i < count; ++i) {
      Bytes frame(wire::frame_header_bytes + static_cast<size_t>(payload_bytes),
                  static_cast<uint8_t>(i));
      wire::FrameHeader header;
      header.payload_bytes = static_cast<uint16_t>(payload_bytes);
      header.suite = static_cast<uint8_t>(suite);
      header.epoch = 1;
      header.seq = i;
      wire::store_frame_header(frame.data(), header);
      engine->seal(*key, frame.data(), static_cast<uint16_t>(frame.size()));
      frames.push_back(std::move(frame));
    }
    // A relay asks for no digest where the suite does not force it.
    for (const Bytes& frame : frames) {
      jobs.push_back({.key = key.get(),
                      .frame = frame.data(),
                      .frame_bytes = static_cast<uint16_t>(frame.size()),
                      .want_digest = false});
    }
  }

  std::unique_ptr<FrameEngine> engine;
  std::unique_ptr<SuiteKey> key;
  std::vector<Bytes> frames;
  std::vector<FrameJob> jobs;
};

void per_item(benchmark::State& state, size_t items) {
  state.counters["each"] =
      benchmark::Counter(static_cast<double>(items), benchmark::Counter::kIsIterationInvariantRate |
                                                         benchmark::Counter::kInvert);
}

void verify(benchmark::State& state, Which which) {
  const auto count = static_cast<size_t>(state.range(2));
  Work work(which, state.range(0), state.range(1), count);
  for (auto _ : state) work.engine->verify(work.jobs);
  for (const FrameJob& job : work.jobs) CC_ASSERT(job.ok);
  per_item(state, count);
}

void seal(benchmark::State& state, Which which) {
  Work work(which, state.range(0), state.range(1), 1);
  Bytes& frame = work.frames[0];
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        work.engine->seal(*work.key, frame.data(), static_cast<uint16_t>(frame.size())));
  }
  per_item(state, 1);
}

void check_links(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  const LinkKey key = expand_link_key({1, 2, 3});
  const std::vector<std::array<uint8_t, 16>> blocks(count);
  std::vector<uint32_t> checks(count);
  for (auto _ : state) {
    link_checks(key, blocks, checks.data());
    benchmark::DoNotOptimize(checks.data());
    benchmark::ClobberMemory();
  }
  per_item(state, count);
}

void register_all() {
  const std::pair<Which, std::string> engines[] = {
      {Which::lanes, "lanes"}, {Which::ipsec_mb, "ipsec_mb"}, {Which::openssl, "openssl"}};
  for (const auto& [which, engine] : engines) {
    benchmark::RegisterBenchmark((engine + "/verify").c_str(), verify, which)
        ->ArgNames({"suite", "payload", "batch"})
        ->ArgsProduct({{1, 2, 3, 4, 5}, {64, 1160, 1408, 8860}, {1, 8, 16, 20, 32, 256}});
    benchmark::RegisterBenchmark((engine + "/seal").c_str(), seal, which)
        ->ArgNames({"suite", "payload"})
        ->ArgsProduct({{1, 2, 3, 4, 5}, {64, 1160, 1408, 8860}});
  }
  benchmark::RegisterBenchmark("link_checks", check_links)
      ->ArgName("batch")
      ->Arg(1)
      ->Arg(8)
      ->Arg(32)
      ->Arg(256);
}

}  // namespace
}  // namespace chaincast::crypto

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  chaincast::crypto::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
