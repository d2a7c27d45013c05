// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>

#include "crypto/openssl/sha256_stream.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "gen/synthetic.hpp"
#include "generator.hpp"
#include "report.hpp"
#include "signals.hpp"
#include "sources.hpp"

namespace chaincast::generator {

namespace {

constexpr unsigned under_way_max = 512;
constexpr int last_replies_ms = 1'000;

TimeNs clock_ns(gen::StampClock clock) {
  timespec t;
  clock_gettime(clock == gen::StampClock::monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, &t);
  return static_cast<TimeNs>(t.tv_sec) * ns_per_s + static_cast<TimeNs>(t.tv_nsec);
}

uint32_t draw_generator() {
  uint8_t raw[4];
  crypto::openssl::make_toolbox()->random_bytes(raw);
  return load_be32(raw);
}

class Sender {
 public:
  Sender(console::Client& client, const SendOptions& options, std::unique_ptr<ObjectSource> source,
         File record)
      : client_(client),
        options_(options),
        source_(std::move(source)),
        record_(std::move(record)),
        start_ns_(clock_.now_ns()),
        schedule_(options.rate, start_ns_),
        progress_("sent") {
    stamp_.clock = options.clock;
    if (options.stamp) stamp_.generator = draw_generator();
    if (options.seconds > 0) {
      deadline_ns_ = start_ns_ + static_cast<TimeNs>(options.seconds * double{ns_per_s});
    }
  }

  int run() {
    int code = send_all();
    if (code == exit_ok) code = settle_all();
    sent_.elapsed_ns = clock_.now_ns() - start_ns_;
    if (const Status done = finish(record_, options_.record); !done) code = report(done.error());
    summarize(code);
    return code;
  }

 private:
  int send_all() {
    Bytes object;
    for (;;) {
      const auto more = source_->next(object);
      if (!more) return report(more.error());
      if (!*more) return exit_ok;
      const TimeNs due = std::min(schedule_.due_ns(), deadline_ns_);
      if (const int code = wait_until(due); code != exit_ok) return code;
      if (signals_.came()) return interrupted();
      if (clock_.now_ns() >= deadline_ns_) return exit_ok;
      if (const int code = send_one(object); code != exit_ok) return code;
      progress_.show({sent_.objects, sent_.bytes, clock_.now_ns() - start_ns_}, clock_.now_ns());
    }
  }

  // An endless run is ended by a signal as a matter of course.
  int interrupted() {
    const bool endless = !options_.sizes.empty() && options_.count == 0 && options_.seconds == 0;
    if (!endless) fmt::print(stderr, "interrupted\n");
    return settle_all() == exit_ok && endless ? exit_ok : exit_failed;
  }

  // Takes replies meanwhile, so that a refusal is seen when it comes.
  int wait_until(TimeNs due_ns) {
    while (!signals_.came()) {
      const bool full = under_way_ == under_way_max;
      const TimeNs now = clock_.now_ns();
      if (!full && now >= due_ns) return exit_ok;
      if (client_.has_event() ||
          signals_.wait(under_way_ > 0 ? client_.fd() : -1, POLLIN, full ? time_never : due_ns)) {
        if (const int code = settle(0); code != exit_ok) return code;
      }
    }
    return exit_ok;
  }

  int send_one(Bytes& object) {
    if (const int code = wait_for_room(); code != exit_ok) return code;
    if (signals_.came()) return interrupted();
    if (options_.stamp) {
      stamp_.time_ns = clock_ns(stamp_.clock);
      gen::write_stamp(stamp_, object);
      ++stamp_.index;
    }
    digest_.add(object);
    if (const Status kept = write_all(record_, options_.record, object); !kept) {
      return report(kept.error());
    }
    schedule_.sent(object.size(), clock_.now_ns());
    sizes_[sent_objects_++ % under_way_max] = object.size();
    ++under_way_;
    // The next one must not hold this one back: it has to be due, and not to come from a file,
    // which may be a pipe.
    const bool more = !options_.sizes.empty() && schedule_.due_ns() <= clock_.now_ns();
    const Status sent =
        client_.send_publish(options_.stream, object, console::Client::for_ever, more);
    return sent ? exit_ok : report(sent.error());
  }

  // Back-pressure ends here: the node reads on once it has room.
  int wait_for_room() {
    if (client_.output_waits()) client_.flush();
    while (client_.output_waits() && !signals_.came()) {
      if (!client_.has_event()) signals_.wait(client_.fd(), POLLIN, time_never);
      if (const int code = settle(0); code != exit_ok) return code;
    }
    return exit_ok;
  }

  // Takes one reply, if it is there in time; 0 may be too early. Replies come in the order of the
  // objects.
  int settle(int timeout_ms) {
    const auto result = client_.receive_published(timeout_ms);
    const bool is_early = timeout_ms == 0 && !result && result.error().code == ErrorCode::timeout;
    if (is_early) return exit_ok;
    if (!result) return report(result.error());
    if (result->state != cli::PublishState::accepted) {
      fmt::print(stderr, "error: object {}: {}\n", sent_.objects, result->message);
      return exit_failed;
    }
    stream_ = result->stream;
    sent_.bytes += sizes_[sent_.objects % under_way_max];
    ++sent_.objects;
    --under_way_;
    return exit_ok;
  }

  int settle_all() {
    while (under_way_ > 0) {
      const bool ready =
          client_.has_event() || signals_.came() || signals_.wait(client_.fd(), POLLIN, time_never);
      const int timeout_ms = signals_.came() ? last_replies_ms : 0;
      if (!ready && !signals_.came()) continue;
      if (const int code = settle(timeout_ms); code != exit_ok) return code;
    }
    return exit_ok;
  }

  void summarize(int code) const {
    if (!options_.json) return print_text();
    ops::Json document{{"ok", code == exit_ok}, {"stream", stream_.hex()}};
    sent_.put(document);
    // Of what was refused or left unanswered, nobody knows whether it counts.
    if (under_way_ == 0) document["sha256"] = to_hex(digest_.digest());
    source_->describe(document);
    document["late_objects"] = schedule_.late_objects();
    document["lateness_max_ns"] = schedule_.lateness_max_ns();
    if (options_.stamp) {
      document["generator"] = stamp_.generator;
      document["clock"] = gen::to_string(stamp_.clock);
    }
    fmt::print("{}\n", document.dump());
  }

  void print_text() const {
    fmt::print("sent {}\n", sent_.text());
    if (under_way_ == 0) fmt::print("sha256 {}\n", to_hex(digest_.digest()));
    if (const std::string content = source_->describe(); !content.empty()) {
      fmt::print("{}\n", content);
    }
    if (options_.rate.bounded()) {
      fmt::print("{} objects more than 1 ms late, at most {:.3f} ms\n", schedule_.late_objects(),
                 static_cast<double>(schedule_.lateness_max_ns()) / double{ns_per_ms});
    }
  }

  console::Client& client_;
  const SendOptions& options_;
  const std::unique_ptr<ObjectSource> source_;
  const File record_;
  Signals signals_;
  const MonotonicClock clock_;
  const TimeNs start_ns_;
  TimeNs deadline_ns_ = time_never;
  gen::Schedule schedule_;
  Progress progress_;
  crypto::openssl::Sha256Stream digest_;
  gen::Stamp stamp_;
  StreamId stream_;
  Volume sent_;  // accepted by the node
  uint64_t sent_objects_ = 0;
  unsigned under_way_ = 0;
  size_t sizes_[under_way_max] = {};
};

}  // namespace

int send(console::Client& client, const SendOptions& options) {
  const auto info = client.stream(options.stream);
  if (!info) return report(info.error());
  if (!info->can_publish) {
    fmt::print(stderr, "error: stream {}: this node does not publish it; send at its origin\n",
               options.stream);
    return exit_failed;
  }
  auto source = make_source(options, info->object_bytes_max);
  if (!source) return report(source.error());
  auto record = open_output(options.record);
  if (!record) return report(record.error());
  return Sender(client, options, std::move(*source), std::move(*record)).run();
}

}  // namespace chaincast::generator
