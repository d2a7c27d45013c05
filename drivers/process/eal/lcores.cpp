// SPDX-License-Identifier: BSD-3-Clause
#include "process/eal/lcores.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>
#include <optional>
#include <set>

namespace chaincast::eal {

namespace {

std::vector<unsigned> cpus_in(const cpu_set_t& set) {
  std::vector<unsigned> out;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  }
  return out;
}

// `preferred`, else the lowest that is free; none beyond what EAL counts to.
std::optional<unsigned> take_number(std::set<unsigned>& taken, unsigned preferred) {
  unsigned number = preferred;
  if (number >= RTE_MAX_LCORE || taken.contains(number)) number = 0;
  while (taken.contains(number)) ++number;
  if (number >= RTE_MAX_LCORE) return std::nullopt;
  taken.insert(number);
  return number;
}

std::string on_cpus(unsigned lcore, const std::vector<unsigned>& cpus) {
  return fmt::format("{}@({})", lcore, fmt::join(cpus, ","));
}

cpu_set_t set_of(const WorkerCpus& wanted, int cpu) {
  if (cpu < 0) return wanted.allowed;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(cpu), &one);
  return one;
}

// The idle lcore with just these cpus, but for those in `passed`.
std::optional<unsigned> find_idle(const cpu_set_t& cpus, const std::set<unsigned>& passed = {}) {
  for (unsigned lcore = 0; lcore < RTE_MAX_LCORE; ++lcore) {
    if (rte_lcore_is_enabled(lcore) == 0 || lcore == rte_get_main_lcore()) continue;
    const cpu_set_t own = rte_lcore_cpuset(lcore);
    if (CPU_EQUAL(&own, &cpus) && rte_eal_get_lcore_state(lcore) == WAIT &&
        !passed.contains(lcore)) {
      return lcore;
    }
  }
  return std::nullopt;
}

class LcoreRun final : public worker::Run {
 public:
  LcoreRun(unsigned lcore, std::string name, worker::Body body)
      : lcore_(lcore), name_(std::move(name)), body_(std::move(body)) {}
  ~LcoreRun() override {
    stop_.request_stop();
    rte_eal_wait_lcore(lcore_);
  }
  bool launch() { return rte_eal_remote_launch(enter, this, lcore_) == 0; }

 private:
  static int enter(void* self) {
    const auto* run = static_cast<const LcoreRun*>(self);
    pthread_setname_np(pthread_self(), run->name_.substr(0, 15).c_str());
    run->body_(run->stop_.get_token());
    return 0;
  }

  const unsigned lcore_;
  const std::string name_;
  const worker::Body body_;
  std::stop_source stop_;
};

class LcoreThreads final : public worker::Threads {
 public:
  explicit LcoreThreads(const WorkerCpus& wanted) : wanted_(wanted) {}

  Result<std::unique_ptr<worker::Run>> start(const std::string& name, int cpu,
                                             worker::Body body) override {
    const std::optional<unsigned> lcore = find_idle(set_of(wanted_, cpu));
    if (!lcore) {
      return error(
          ErrorCode::refused,
          fmt::format("{}: no lcore of DPDK's is left for it; lower [node] workers", name));
    }
    auto run = std::make_unique<LcoreRun>(*lcore, name, std::move(body));
    if (!run->launch()) {
      return error(ErrorCode::io, fmt::format("{}: lcore {} does not take it", name, *lcore));
    }
    return std::unique_ptr<worker::Run>(std::move(run));
  }

 private:
  const WorkerCpus wanted_;
};

}  // namespace

std::vector<std::string> lcore_options(const WorkerCpus& wanted) {
  const std::vector<unsigned> allowed = cpus_in(wanted.allowed);
  if (wanted.workers == 0 || allowed.empty()) return {};
  std::vector<unsigned> others = allowed;
  std::set<unsigned> taken;
  std::string map;
  for (unsigned w = 0; w < wanted.workers && !wanted.cpus.empty(); ++w) {
    const unsigned cpu = wanted.cpus[w];
    if (!std::binary_search(allowed.begin(), allowed.end(), cpu)) return {};
    const auto lcore = take_number(taken, cpu);
    if (!lcore) return {};
    map += "," + on_cpus(*lcore, {cpu});
    std::erase(others, cpu);
  }
  if (others.empty()) others = allowed;
  const auto main = take_number(taken, others.front());
  if (!main) return {};
  for (unsigned w = 0; w < wanted.workers && wanted.cpus.empty(); ++w) {
    const auto lcore = take_number(taken, *main);
    if (!lcore) return {};
    map += "," + on_cpus(*lcore, allowed);
  }
  return {"--lcores", on_cpus(*main, others) + map, "--main-lcore", std::to_string(*main)};
}

bool has_lcores(const WorkerCpus& wanted) {
  std::set<unsigned> found;
  for (unsigned w = 0; w < wanted.workers; ++w) {
    const int cpu = wanted.cpus.empty() ? -1 : static_cast<int>(wanted.cpus[w]);
    const auto lcore = find_idle(set_of(wanted, cpu), found);
    if (!lcore) return false;
    found.insert(*lcore);
  }
  return wanted.workers > 0;
}

std::unique_ptr<worker::Threads> make_lcore_threads(const WorkerCpus& wanted) {
  return std::make_unique<LcoreThreads>(wanted);
}

}  // namespace chaincast::eal
