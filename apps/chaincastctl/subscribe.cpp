// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/clock.hpp"
#include "ctl.hpp"

namespace chaincast::ctl {

namespace {

using console::Client;

class Receiver {
 public:
  Receiver(Client& client, const SubscribeOptions& options) : client_(client), options_(options) {}
  ~Receiver() {
    if (file_ != nullptr && file_ != stdout) std::fclose(file_);
    if (signals_ >= 0) ::close(signals_);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  int run() {
    if (!open_output()) return exit_usage;
    catch_signals();
    // An older node says nothing of origins.
    const Status watched = client_.watch_origins();
    if (!watched && watched.error().code != ErrorCode::unsupported) return report(watched.error());
    const auto subscribed = options_.ring ? client_.subscribe_ring(options_.stream)
                                          : client_.subscribe(options_.stream);
    if (!subscribed) return report(subscribed.error());
    fmt::print(stderr, "subscribed to {}\n", options_.stream);
    const TimeNs deadline =
        options_.timeout_s > 0
            ? clock_.now_ns() + static_cast<TimeNs>(options_.timeout_s * double{ns_per_s})
            : time_never;
    while (!satisfied() && wait(deadline)) {
      const auto event = client_.next_event(0);
      if (!event && event.error().code == ErrorCode::timeout) continue;
      if (!event) return report(event.error());
      if (event->kind == Client::EventKind::closed) {
        fmt::print(stderr, "closed: {}\n", event->reason);
        break;
      }
      if (!take(*event)) return exit_usage;
    }
    return finish();
  }

 private:
  bool open_output() {
    if (options_.raw) file_ = stdout;
    if (options_.output.empty()) return true;
    file_ = std::fopen(options_.output.c_str(), "we");
    if (file_ != nullptr) return true;
    fmt::print(stderr, "error: {}: {}; name a file that can be written\n", options_.output,
               std::strerror(errno));
    return false;
  }

  // Interrupted, it still writes out what it has and says what was lost.
  void catch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  }

  bool bounded() const { return options_.count > 0 || options_.bytes > 0; }
  bool satisfied() const {
    return (options_.count > 0 && objects_ >= options_.count) ||
           (options_.bytes > 0 && bytes_ >= options_.bytes);
  }

  // False: the time is over or a signal came.
  bool wait(TimeNs deadline) {
    while (!client_.has_event()) {
      const TimeNs now = clock_.now_ns();
      if (now >= deadline) return false;
      const TimeNs left_ms = deadline == time_never ? 0 : (deadline - now) / ns_per_ms + 1;
      const int wait_ms =
          deadline == time_never ? -1 : static_cast<int>(std::min<TimeNs>(left_ms, 3'600'000));
      // Whoever reads the file sees all that came, as soon as nothing more is coming.
      if (file_ != nullptr) std::fflush(file_);
      pollfd fds[] = {{client_.fd(), POLLIN, 0}, {signals_, POLLIN, 0}};
      if (::poll(fds, 2, wait_ms) < 0 && errno != EINTR) return false;
      if (fds[1].revents != 0) return false;
      if (fds[0].revents != 0) return true;
    }
    return true;
  }

  bool take(const Client::Event& event) {
    const bool is_lost_origin = event.kind == Client::EventKind::origin_lost;
    if (is_lost_origin || event.kind == Client::EventKind::origin_back) {
      fmt::print(stderr, "origin {}: stream {}\n", is_lost_origin ? "lost" : "back",
                 event.stream.hex());
      if (options_.json && file_ != stdout) {
        print(ops::Json{{"event", is_lost_origin ? "origin_lost" : "origin_back"},
                        {"stream", event.stream.hex()}});
      }
      return true;
    }
    if (event.kind == Client::EventKind::lost) {
      ++losses_;
      fmt::print(stderr, "lost: stream {} frames {}..{}\n", event.stream.hex(), event.first_seq,
                 event.last_seq);
      if (options_.json && file_ != stdout) print_json("lost", event);
      return true;
    }
    ++objects_;
    bytes_ += event.object.size();
    if (file_ == nullptr || (options_.json && file_ != stdout)) print_event(event);
    if (file_ == nullptr) return true;
    const size_t written = std::fwrite(event.object.data(), 1, event.object.size(), file_);
    if (written == event.object.size()) return true;
    fmt::print(stderr, "error: {}: {}; is the disk full?\n", options_.output, std::strerror(errno));
    return false;
  }

  void print_event(const Client::Event& event) {
    if (options_.json) return print_json("object", event);
    fmt::print("stream {} frames {}..{} {} bytes\n", event.stream.hex(), event.first_seq,
               event.last_seq, event.object.size());
    std::fflush(stdout);
  }

  static void print_json(const char* kind, const Client::Event& event) {
    print(ops::Json{{"event", kind},
                    {"stream", event.stream.hex()},
                    {"first_seq", event.first_seq},
                    {"last_seq", event.last_seq},
                    {"bytes", event.object.size()}});
  }

  static void print(const ops::Json& document) {
    fmt::print("{}\n", document.dump());
    std::fflush(stdout);
  }

  int finish() {
    if (file_ != nullptr && std::fflush(file_) != 0) {
      fmt::print(stderr, "error: {}: {}; is the disk full?\n", options_.output,
                 std::strerror(errno));
      return exit_usage;
    }
    fmt::print(stderr, "received {} objects, {} bytes, {} losses\n", objects_, bytes_, losses_);
    if (losses_ > 0) return exit_lost;
    return bounded() && !satisfied() ? exit_failed : exit_ok;
  }

  Client& client_;
  const SubscribeOptions& options_;
  const MonotonicClock clock_;
  FILE* file_ = nullptr;
  int signals_ = -1;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
  uint64_t losses_ = 0;
};

}  // namespace

int subscribe(console::Client& client, const SubscribeOptions& options) {
  return Receiver(client, options).run();
}

}  // namespace chaincast::ctl
