// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "sim/scenario.hpp"
#include "sim/votes.hpp"

namespace chaincast::sim {
namespace {

constexpr TimeNs look_interval_ns = ns_per_s;

// One number of a text of words, or NaN.
double next_number(std::string_view& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    text = {};
    return std::numeric_limits<double>::quiet_NaN();
  }
  const size_t last = std::min(text.find_first_of(" \t\r\n", first), text.size());
  const std::string word(text.substr(first, last - first));
  text.remove_prefix(last);
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  return *end == 0 ? value : std::numeric_limits<double>::quiet_NaN();
}

std::string text_of(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.6g", value);
  return out;
}

wire::ResourceId resource_of(uint64_t number) {
  wire::ResourceId out;
  store_be64(out.bytes.data() + 8, number + 1);
  return out;
}

class Runner {
 public:
  Runner(const Scenario& scenario, const Surroundings& surroundings, Latencies latencies)
      : scenario_(scenario),
        surroundings_(surroundings),
        world_(config_of(scenario), std::move(latencies)),
        cut_offs_(world_) {
    start_ns_ = world_.now_ns();
    for (unsigned i = 0; i < scenario.trackers; ++i) {
      Arrival arrival;
      arrival.place = random_place();
      trackers_.push_back(world_.add(arrival));
    }
    for (unsigned i = 0; i < scenario.trackers; ++i) {
      world_.start(trackers_[i], {trackers_.begin(), trackers_.begin() + i});
    }
  }

  Result<bool> run() {
    for (const Step& step : scenario_.steps) {
      advance(start_ns_ + step.at_ns);
      if (Status done = take(step); !done) return done.error();
    }
    surroundings_.print("events " + std::to_string(world_.events()) + ", print " +
                        std::to_string(world_.print()));
    return failures_ == 0;
  }

 private:
  enum class Action : uint8_t { start, crash };
  struct Planned {
    TimeNs at_ns = 0;
    Index node = 0;
    Action action = Action::start;
    bool operator>(const Planned& other) const {
      return std::pair(at_ns, node) > std::pair(other.at_ns, other.node);
    }
  };

  static MemberWorldConfig config_of(const Scenario& scenario) {
    MemberWorldConfig config;
    config.seed = scenario.seed;
    config.check_messages = scenario.check_messages;
    return config;
  }

  uint32_t random_place() {
    return static_cast<uint32_t>(world_.random().below(world_.latencies().places()));
  }

  Index add_member() {
    Arrival arrival;
    arrival.place = random_place();
    arrival.resource = resource_of(members_++ % scenario_.subnetworks);
    arrival.is_host = members_ <= scenario_.subnetworks;
    return world_.add(arrival);
  }

  void plan(Index node, TimeNs at_ns, Action action) {
    planned_.push_back({at_ns, node, action});
    std::push_heap(planned_.begin(), planned_.end(), std::greater<>());
  }

  // Runs until then, with what is planned on the way.
  void advance(TimeNs until_ns) {
    while (world_.now_ns() < until_ns) {
      TimeNs next_ns = until_ns;
      if (!planned_.empty()) next_ns = std::min(next_ns, planned_.front().at_ns);
      if (is_watched_) next_ns = std::min(next_ns, world_.now_ns() + look_interval_ns);
      if (next_ns > world_.now_ns()) world_.run_until(next_ns);
      if (is_watched_) cut_offs_.look();
      while (!planned_.empty() && planned_.front().at_ns <= world_.now_ns()) act();
    }
  }

  void act() {
    const Planned now = planned_.front();
    std::pop_heap(planned_.begin(), planned_.end(), std::greater<>());
    planned_.pop_back();
    const bool is_running = world_.is_running(now.node);
    if (now.action == Action::start && !is_running) world_.start(now.node, trackers_);
    if (now.action == Action::crash && is_running) world_.crash(now.node);
  }

  std::vector<Index> pick(const std::string& amount) {
    std::vector<Index> all = world_.running();
    std::erase_if(all, [&](Index i) { return i < trackers_.size(); });
    for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[world_.random().below(i)]);
    const auto value = static_cast<size_t>(std::strtoull(amount.c_str(), nullptr, 10));
    const size_t count = amount.ends_with('%') ? all.size() * value / 100 : value;
    if (all.size() > count) all.resize(count);
    return all;
  }

  Status take(const Step& step) {
    const std::vector<std::string>& w = step.words;
    if (step.verb != "expect" && step.verb != "report") health_.reset();
    if (step.verb == "join") {
      join(std::strtoull(w[0].c_str(), nullptr, 10), std::strtod(w[2].c_str(), nullptr));
    } else if (step.verb == "churn") {
      return churn(w[0]);
    } else if (step.verb == "crash" || step.verb == "leave") {
      for (const Index i : pick(w[0])) step.verb == "crash" ? world_.crash(i) : world_.leave(i);
    } else if (step.verb == "restart") {
      restart(std::strtod(w[2].c_str(), nullptr));
    } else if (step.verb == "malicious") {
      unsigned turn = 0;
      for (const Index i : pick(w[0])) {
        const auto kind = malice_of(w[1]);
        world_.set_malice(i, kind ? *kind : static_cast<Malice>(turn++ % malices));
      }
    } else if (step.verb == "partition") {
      for (const Index i : pick(w[0])) world_.set_side(i, 1);
    } else if (step.verb == "heal") {
      for (Index i = 0; i < world_.size(); ++i) world_.set_side(i, 0);
    } else if (step.verb == "window") {
      world_.clear_traffic();
    } else if (step.verb == "healthy") {
      expect_healthy(std::strtod(w[1].c_str(), nullptr));
    } else if (step.verb == "expect") {
      expect(w[0], w[1] == "<", std::strtod(w[2].c_str(), nullptr));
    } else if (step.verb == "votes") {
      votes(std::strtoull(w[0].c_str(), nullptr, 10));
    } else {
      report();
    }
    return {};
  }

  void join(uint64_t count, double over_s) {
    for (uint64_t i = 0; i < count; ++i) {
      const double at_s = over_s * static_cast<double>(i) / static_cast<double>(count);
      plan(add_member(), world_.now_ns() + static_cast<TimeNs>(at_s * 1e9), Action::start);
    }
  }

  void restart(double over_s) {
    std::vector<Index> down;
    for (Index i = 0; i < world_.size(); ++i) {
      if (!world_.is_running(i)) down.push_back(i);
    }
    for (size_t k = 0; k < down.size(); ++k) {
      const double at_s = over_s * static_cast<double>(k) / static_cast<double>(down.size());
      plan(down[k], world_.now_ns() + static_cast<TimeNs>(at_s * 1e9), Action::start);
    }
  }

  Status churn(const std::string& path) {
    const auto content = surroundings_.read_file(path);
    if (!content) return content.error();
    std::string_view text = *content;
    size_t nodes = 0;
    for (;; ++nodes) {
      const double from_s = next_number(text);
      const double to_s = next_number(text);
      if (std::isnan(from_s) && text.empty()) break;
      if (!(from_s >= 0 && to_s >= from_s && to_s < 1e8)) {
        return error(ErrorCode::invalid, path + ": line " + std::to_string(nodes + 1) +
                                             ": not a first and last second; one node a line");
      }
      const Index node = add_member();
      plan(node, world_.now_ns() + static_cast<TimeNs>(from_s * 1e9), Action::start);
      plan(node, world_.now_ns() + static_cast<TimeNs>(to_s * 1e9), Action::crash);
    }
    is_watched_ = true;
    surroundings_.print("churn: " + std::to_string(nodes) + " nodes from " + path);
    return {};
  }

  // Frames of random origins over the links as they are, and over as many at random.
  void votes(uint64_t frames) {
    const std::vector<Index> running = world_.running();
    if (running.size() < 2) return;
    std::vector<uint32_t> places;
    std::vector<bool> is_liar;
    for (const Index i : running) {
      places.push_back(world_.place(i));
      is_liar.push_back(!world_.is_honest(i));
    }
    const graph::Topology near = true_topology(world_, running);
    const graph::Topology random = rewired(near, world_.random());
    const bool has_liars = std::find(is_liar.begin(), is_liar.end(), true) != is_liar.end();
    using Rules = std::vector<vote::Rule>;
    const Rules rules = has_liars ? Rules{{51, 1, 0}, {67, 1, 0}, {100, 1, 0}, {51, 1, 30}}
                                  : Rules{{0, 0, 0}, {50, 0, 0}, {100, 0, 0}};
    for (const vote::Rule& rule : rules) {
      const vote::VoteConfig config{.rule = rule, .window = 1};
      for (const auto* topology : {&near, &random}) {
        const VoteDelays sum = votes_over(*topology, places, is_liar, frames, config);
        std::string line = "votes: P " + std::to_string(rule.percent) + " %, " +
                           (has_liars ? std::to_string(rule.malicious) + " % may lie, " : "") +
                           "voters " + (topology == &near ? "near" : "at random") + ": arrival " +
                           text_of(sum.arrival_ms) + " ms, accepted after " + text_of(sum.mean_ms) +
                           " ms, p99 " + text_of(sum.p99_ms) + " ms, " +
                           std::to_string(sum.accepted) + " of " + std::to_string(sum.nodes);
        if (has_liars) {
          line += ", corrupt " + std::to_string(sum.corrupt) + ", liars named " +
                  std::to_string(sum.liars_named.size());
        }
        surroundings_.print(line);
        if (rule.malicious > 0) corrupt_ += sum.corrupt;
      }
    }
  }

  VoteDelays votes_over(const graph::Topology& topology, const std::vector<uint32_t>& places,
                        const std::vector<bool>& is_liar, uint64_t frames,
                        const vote::VoteConfig& config) {
    Random origins(scenario_.seed);
    VoteDelays sum;
    for (uint64_t k = 0; k < frames; ++k) {
      auto origin = static_cast<uint32_t>(origins.below(places.size()));
      while (is_liar[origin]) origin = static_cast<uint32_t>(origins.below(places.size()));
      const VoteDelays one =
          vote_delays(topology, places, world_.latencies(), origin, config, is_liar);
      sum.nodes += one.nodes;
      sum.accepted += one.accepted;
      sum.corrupt += one.corrupt;
      sum.liars_named.insert(one.liars_named.begin(), one.liars_named.end());
      sum.arrival_ms += one.arrival_ms / static_cast<double>(frames);
      sum.mean_ms += one.mean_ms / static_cast<double>(frames);
      sum.p99_ms += one.p99_ms / static_cast<double>(frames);
    }
    return sum;
  }

  double seconds() const { return static_cast<double>(world_.now_ns() - start_ns_) / 1e9; }

  void expect_healthy(double within_s) {
    const TimeNs from_ns = world_.now_ns();
    const auto within_ns = static_cast<TimeNs>(within_s * 1e9);
    const bool came_true =
        world_.run_until_true([&] { return is_one_view(world_) && health_of(world_).is_healthy(); },
                              within_ns, 100 * ns_per_ms);
    const double took_s = static_cast<double>(world_.now_ns() - from_ns) / 1e9;
    surroundings_.print(
        text_of(seconds()) + " s: healthy: " +
        (came_true ? "after " + text_of(took_s) + " s" : "NOT within " + text_of(within_s) + " s"));
    if (came_true) return;
    ++failures_;
    report();
  }

  void expect(const std::string& name, bool is_below, double bound) {
    const double value = name == "cut_off_s" ? static_cast<double>(cut_offs_.longest_ns()) / 1e9
                         : name == "corrupt" ? static_cast<double>(corrupt_)
                                             : health().values().at(name);
    const bool holds = is_below ? value < bound : value > bound;
    surroundings_.print(text_of(seconds()) + " s: " + name + " " + text_of(value) +
                        (holds ? "" : " NOT") + (is_below ? " below " : " above ") +
                        text_of(bound));
    failures_ += holds ? 0u : 1u;
  }

  void report() {
    std::string line = text_of(seconds()) + " s:";
    for (const auto& [name, value] : health().values()) {
      line += " " + name + " " + text_of(value);
    }
    if (is_watched_) {
      line += " cut_offs " + std::to_string(cut_offs_.spells()) + " cut_off_s " +
              text_of(static_cast<double>(cut_offs_.longest_ns()) / 1e9);
    }
    line += " join_s " + text_of(join_seconds());
    surroundings_.print(line);
    if (health().kinds.empty()) return;
    line = text_of(seconds()) + " s: named:";
    for (const auto& [malice, count] : health().kinds) {
      line += " " + std::string(name_of(malice)) + " " + std::to_string(count.first) + " of " +
              std::to_string(count.second) + ",";
    }
    line.pop_back();
    surroundings_.print(line);
  }

  // As it is now: several lines of a scenario ask at one time.
  const Health& health() {
    if (!health_ || healthy_at_ != std::pair(world_.now_ns(), world_.events())) {
      healthy_at_ = {world_.now_ns(), world_.events()};
      health_ = health_of(world_);
    }
    return *health_;
  }

  // The slowest join of those that run.
  double join_seconds() const {
    TimeNs longest_ns = 0;
    for (const Index i : world_.running()) {
      const TimeNs joined_ns = world_.join(i).joined_ns();
      if (joined_ns > world_.started_ns(i)) {
        longest_ns = std::max(longest_ns, joined_ns - world_.started_ns(i));
      }
    }
    return static_cast<double>(longest_ns) / 1e9;
  }

  const Scenario& scenario_;
  const Surroundings& surroundings_;
  MemberWorld world_;
  CutOffs cut_offs_;
  std::vector<Index> trackers_;
  std::vector<Planned> planned_;  // heap, earliest first
  TimeNs start_ns_ = 0;
  uint64_t members_ = 0;
  size_t corrupt_ = 0;  // frames accepted by votes that allow for liars
  unsigned failures_ = 0;
  bool is_watched_ = false;
  std::optional<Health> health_;
  std::pair<TimeNs, uint64_t> healthy_at_;
};

Result<Latencies> latencies_of(const Scenario& scenario, const Surroundings& surroundings) {
  if (scenario.latency_kind == "generated") {
    return Latencies::generate(std::strtoull(scenario.latency_source.c_str(), nullptr, 10),
                               scenario.seed);
  }
  const auto content = surroundings.read_file(scenario.latency_source);
  if (!content) return content.error();
  return scenario.latency_kind == "matrix" ? Latencies::parse_matrix(*content)
                                           : Latencies::parse_graphml(*content);
}

}  // namespace

Result<bool> run_scenario(const Scenario& scenario, const Surroundings& surroundings) {
  auto latencies = latencies_of(scenario, surroundings);
  if (!latencies) return latencies.error();
  return Runner(scenario, surroundings, std::move(latencies).value()).run();
}

}  // namespace chaincast::sim
