// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "base/assert.hpp"
#include "rig/machine.hpp"
#include "seen/tables.hpp"

// One table, filled once: misses, then commits, then hits of every frame, on one or two lcores
// that are offered the same frames in the same order. One JSON line.
//
//   bench_seen TABLE ENTRIES_LOG2 LCORES
namespace chaincast::bench::seen {
namespace {

struct alignas(64) Lcore {
  uint64_t cycles = 0;
  uint64_t count = 0;  // frames seen, or committed first
};

enum class Phase : uint8_t { miss, commit, hit };

struct Job {
  Table* table = nullptr;
  const std::vector<Frame>* frames = nullptr;
  Phase phase = Phase::miss;
  std::atomic<unsigned> waiting{0};
  std::array<Lcore, 2> lcores;
};

struct Part {
  Job* job = nullptr;
  unsigned index = 0;
};

int work(void* argument) {
  const Part& part = *static_cast<Part*>(argument);
  Job& job = *part.job;
  Table& table = *job.table;
  table.enter();
  const Undisturbed undisturbed;
  // Together, or the first has done everything before the second begins.
  job.waiting.fetch_sub(1);
  while (job.waiting.load() > 0) {
  }
  const std::span<const Frame> frames = *job.frames;
  uint64_t count = 0;
  const uint64_t start = rte_rdtsc_precise();
  for (size_t at = 0; at < frames.size(); at += burst_frames) {
    const auto burst = frames.subspan(at, burst_frames);
    count += job.phase == Phase::commit ? table.commit(part.index, burst) : table.probe(burst);
  }
  job.lcores[part.index] = {rte_rdtsc_precise() - start, count};
  table.leave();
  return 0;
}

// Frames a second over all lcores, by the slower one.
double run(Job& job, Phase phase, unsigned lcores) {
  job.phase = phase;
  job.waiting.store(lcores);
  std::array<Part, 2> parts = {{{&job, 0}, {&job, 1}}};
  if (lcores == 2)
    CC_ASSERT(rte_eal_remote_launch(work, &parts[1], rte_get_next_lcore(~0u, 1, 0)) == 0);
  work(&parts[0]);
  rte_eal_mp_wait_lcore();
  const uint64_t slowest = std::max(job.lcores[0].cycles, lcores == 2 ? job.lcores[1].cycles : 0);
  return static_cast<double>(job.frames->size()) * lcores * 1e9 / ns_of_cycles(slowest);
}

uint64_t total(const Job& job, unsigned lcores) {
  return job.lcores[0].count + (lcores == 2 ? job.lcores[1].count : 0);
}

// Bursts of one stream in turns with those of the others.
std::vector<Frame> make_frames(unsigned entries_log2) {
  const uint64_t streams = uint64_t{1} << (entries_log2 - stream_frames_log2);
  std::vector<Frame> out;
  out.reserve(size_t{1} << entries_log2);
  for (uint64_t seq = 0; seq < uint64_t{1} << stream_frames_log2; seq += burst_frames) {
    for (uint64_t stream = 0; stream < streams; ++stream) {
      for (uint64_t i = 0; i < burst_frames; ++i) out.push_back({stream, seq + i});
    }
  }
  return out;
}

int measure(const std::string& name, unsigned entries_log2, unsigned lcores) {
  const std::unique_ptr<Table> table = make_table(name, entries_log2);
  if (table == nullptr || (lcores == 2 && !table->is_shared())) return 2;
  const std::vector<Frame> frames = make_frames(entries_log2);
  Job job;
  job.table = table.get();
  job.frames = &frames;
  run(job, Phase::miss, lcores);  // the first touch of everything
  const double misses = run(job, Phase::miss, lcores);
  CC_ASSERT(total(job, lcores) == 0 || name == "rte_member");
  const double commits = run(job, Phase::commit, lcores);
  const uint64_t committed = total(job, lcores);
  const double hits = run(job, Phase::hit, lcores);
  fmt::print(
      "{{\"table\": \"{}\", \"entries\": {}, \"lcores\": {}, \"misses_per_s\": {:.0f}, "
      "\"commits_per_s\": {:.0f}, \"hits_per_s\": {:.0f}, \"committed\": {}, \"found\": {}, "
      "\"tsc_hz\": {}, \"cpu_model\": \"{}\"}}\n",
      name, frames.size(), lcores, misses, commits, hits, committed, total(job, lcores) / lcores,
      rte_get_tsc_hz(), cpu_model());
  return 0;
}

}  // namespace
}  // namespace chaincast::bench::seen

int main(int argc, char** argv) {
  using namespace chaincast::bench;
  if (argc != 4) {
    fmt::print(stderr, "usage: bench_seen TABLE ENTRIES_LOG2 LCORES\n");
    return 2;
  }
  start_eal({.cpu = 1, .memory_mb = 3000, .has_hugepages = false, .second_cpu = 0});
  const auto entries_log2 = static_cast<unsigned>(std::stoul(argv[2]));
  return seen::measure(argv[1], entries_log2, static_cast<unsigned>(std::stoul(argv[3])));
}
