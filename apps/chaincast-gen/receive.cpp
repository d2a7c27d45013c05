// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>

#include "crypto/openssl/sha256_stream.hpp"
#include "gen/checker.hpp"
#include "gen/percentiles.hpp"
#include "generator.hpp"
#include "report.hpp"
#include "route/synthetic.hpp"
#include "signals.hpp"

namespace chaincast::generator {

namespace {

using console::Client;

TimeNs after(TimeNs start_ns, double seconds) {
  return seconds > 0 ? start_ns + static_cast<TimeNs>(seconds * double{ns_per_s}) : time_never;
}

TimeNs realtime_ns() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<TimeNs>(t.tv_sec) * ns_per_s + static_cast<TimeNs>(t.tv_nsec);
}

const char* validity(gen::StampClock clock) {
  return clock == gen::StampClock::monotonic
             ? "CLOCK_MONOTONIC: valid only if sender and receiver run on one host"
             : "CLOCK_REALTIME: valid only as far as both hosts' clocks are synchronised";
}

class Receiver {
 public:
  Receiver(Client& client, const ReceiveOptions& options, File output, File histogram)
      : client_(client),
        options_(options),
        output_(std::move(output)),
        histogram_(std::move(histogram)),
        checker_({.joins_late = options.joins_late}),
        progress_("received") {}

  int run() {
    const auto subscribed = options_.ring ? client_.subscribe_ring(options_.stream)
                                          : client_.subscribe(options_.stream);
    if (!subscribed) return report(subscribed.error());
    fmt::print(stderr, "subscribed to {}\n", options_.stream);
    end_ns_ = after(clock_.now_ns(), options_.seconds);
    while (!satisfied() && wait()) {
      auto event = client_.next_event(0);
      if (!event && event.error().code == ErrorCode::timeout) continue;
      if (!event) return report(event.error());
      if (event->kind == Client::EventKind::closed) {
        fmt::print(stderr, "closed: {}\n", event->reason);
        break;
      }
      if (const Status taken = take(*event); !taken) return report(taken.error());
    }
    if (const Status done = finish(output_, options_.output); !done) return report(done.error());
    if (const Status done = write_histogram(); !done) return report(done.error());
    summarize();
    return good() ? exit_ok : exit_failed;
  }

 private:
  bool satisfied() const {
    return (options_.count > 0 && volume_.objects >= options_.count) ||
           (options_.bytes > 0 && volume_.bytes >= options_.bytes);
  }
  bool bounded() const { return options_.count > 0 || options_.bytes > 0; }

  // False: the time is over or a signal came. Busy streams must end too, hence the look at the
  // clock before anything that waits already.
  bool wait() {
    const TimeNs idle_ns = volume_.objects > 0 ? after(last_ns_, options_.idle) : time_never;
    if (clock_.now_ns() >= end_ns_) return false;
    if (client_.has_event()) return true;
    return signals_.wait(client_.fd(), POLLIN, std::min(end_ns_, idle_ns));
  }

  Status take(const Client::Event& event) {
    if (event.kind == Client::EventKind::lost) {
      ++loss_notices_;
      frames_lost_ += event.last_seq - event.first_seq + 1;
      fmt::print(stderr, "lost: stream {} frames {}..{}\n", event.stream.hex(), event.first_seq,
                 event.last_seq);
      return {};
    }
    last_ns_ = clock_.now_ns();
    checker_.take(event.object, {last_ns_, realtime_ns()});
    if (volume_.objects == 0) first_ns_ = last_ns_;
    ++volume_.objects;
    volume_.bytes += event.object.size();
    volume_.elapsed_ns = last_ns_ - first_ns_;
    stream_ = event.stream;
    digest_.add(event.object);
    if (options_.routes) changes_.add(event.object);
    progress_.show(volume_, last_ns_);
    return write_all(output_, options_.output, event.object);
  }

  Status write_histogram() const {
    const bool is_csv = options_.histogram.ends_with(".csv");
    std::string text(is_csv ? gen::percentile_csv_header : std::string_view());
    for (const auto clock : {gen::StampClock::monotonic, gen::StampClock::realtime}) {
      const auto& times = checker_.latency(clock);
      if (times.count() == 0) continue;
      text += is_csv ? gen::percentile_csv(gen::to_string(clock), times)
                     : fmt::format("# us, {}\n", validity(clock)) + gen::percentile_text(times);
    }
    const ByteSpan bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    const Status written = write_all(histogram_, options_.histogram, bytes);
    return written ? finish(histogram_, options_.histogram) : written;
  }

  // Why the run fails, in words; empty if it does not.
  std::string verdict() const {
    std::string out;
    const auto add = [&out](uint64_t count, const char* what) {
      if (count > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, what);
    };
    const auto counts = checker_.counts();
    const bool stamps = options_.stamped || counts.stamped + counts.corrupt > 0;
    add(loss_notices_, "losses told by the node");
    add(counts.lost, "objects lost");
    add(counts.duplicated, "duplicated");
    add(counts.reordered, "out of order");
    add(counts.corrupt, "corrupt");
    add(stamps ? counts.unstamped : 0, "without a stamp");
    add(changes_.malformed, "that are no route updates");
    if (bounded() && !satisfied()) {
      out += fmt::format("{}fewer than asked for came", out.empty() ? "" : ", ");
    }
    return out;
  }
  bool good() const { return verdict().empty(); }

  ops::Json latency(gen::StampClock clock) const {
    const auto& times = checker_.latency(clock);
    return {{"clock", gen::to_string(clock)},   {"validity", validity(clock)},
            {"samples", times.count()},         {"min_ns", checker_.latency_min_ns(clock)},
            {"p50_ns", times.quantile(0.5)},    {"p99_ns", times.quantile(0.99)},
            {"p999_ns", times.quantile(0.999)}, {"max_ns", times.max()}};
  }

  void summarize() const {
    if (!options_.json) return print_text();
    const auto counts = checker_.counts();
    ops::Json document{{"ok", good()}, {"verdict", verdict()}, {"stream", stream_.hex()}};
    volume_.put(document);
    document["sha256"] = to_hex(digest_.digest());
    document["loss_notices"] = loss_notices_;
    document["frames_lost"] = frames_lost_;
    document["stamps"] = {{"stamped", counts.stamped},
                          {"unstamped", counts.unstamped},
                          {"lost", counts.lost},
                          {"duplicated", counts.duplicated},
                          {"reordered", counts.reordered},
                          {"corrupt", counts.corrupt},
                          {"generators", counts.generators},
                          {"clock_behind", counts.clock_behind}};
    document["latency"] = ops::Json::array();
    for (const auto clock : {gen::StampClock::monotonic, gen::StampClock::realtime}) {
      if (checker_.latency(clock).count() > 0) document["latency"].push_back(latency(clock));
    }
    if (options_.routes) {
      document["prefix_changes"] = changes_.prefix_changes();
      document["announced"] = changes_.announced;
      document["withdrawn"] = changes_.withdrawn;
      document["malformed"] = changes_.malformed;
    }
    fmt::print("{}\n", document.dump());
  }

  void print_text() const {
    const auto counts = checker_.counts();
    fmt::print("received {}\nsha256 {}\n", volume_.text(), to_hex(digest_.digest()));
    if (counts.stamped + counts.corrupt > 0) {
      fmt::print(
          "stamps: {} good of {} generators; {} lost, {} duplicated, {} out of order, {} "
          "corrupt, {} without\n",
          counts.stamped, counts.generators, counts.lost, counts.duplicated, counts.reordered,
          counts.corrupt, counts.unstamped);
    }
    for (const auto clock : {gen::StampClock::monotonic, gen::StampClock::realtime}) {
      print_latency(clock);
    }
    if (counts.clock_behind > 0) {
      fmt::print("{} objects came before they were sent: these clocks do not agree\n",
                 counts.clock_behind);
    }
    if (options_.routes) {
      fmt::print("{} prefix changes: {} announced, {} withdrawn\n", changes_.prefix_changes(),
                 changes_.announced, changes_.withdrawn);
    }
    fmt::print("{}\n", good() ? "ok" : "FAILED: " + verdict());
  }

  void print_latency(gen::StampClock clock) const {
    const auto& times = checker_.latency(clock);
    if (times.count() == 0) return;
    const auto us = [](uint64_t ns) { return static_cast<double>(ns) / double{ns_per_us}; };
    fmt::print("latency: min {:.1f}, p50 {:.1f}, p99 {:.1f}, p99.9 {:.1f}, max {:.1f} us ({})\n",
               us(checker_.latency_min_ns(clock)), us(times.quantile(0.5)),
               us(times.quantile(0.99)), us(times.quantile(0.999)), us(times.max()),
               validity(clock));
  }

  Client& client_;
  const ReceiveOptions& options_;
  const File output_;
  const File histogram_;
  Signals signals_;
  const MonotonicClock clock_;
  TimeNs end_ns_ = time_never;
  TimeNs first_ns_ = 0;
  TimeNs last_ns_ = 0;
  gen::Checker checker_;
  route::RouteChanges changes_;
  crypto::openssl::Sha256Stream digest_;
  Progress progress_;
  StreamId stream_;
  Volume volume_;
  uint64_t loss_notices_ = 0;
  uint64_t frames_lost_ = 0;
};

}  // namespace

int receive(Client& client, const ReceiveOptions& options) {
  auto output = open_output(options.output);
  if (!output) return report(output.error());
  auto histogram = open_output(options.histogram);
  if (!histogram) return report(histogram.error());
  return Receiver(client, options, std::move(*output), std::move(*histogram)).run();
}

}  // namespace chaincast::generator
