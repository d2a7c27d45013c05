// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/thread.hpp"
#include "capture/pcapng.hpp"
#include "capture/tap.hpp"

// A capture into a pcapng file: one tap per worker, and a thread that writes what they take down.
namespace chaincast::capture {

inline constexpr size_t ring_bytes_default = 8u << 20;  // per worker

// A port as an interface of the file.
struct PortInterface {
  uint16_t id = 0;  // below ports_max
  Interface interface;
  std::vector<Endpoint> addresses;  // own; the first of a family stands for the port's end
};

struct CaptureConfig {
  std::string file;  // must not exist
  std::string application;
  Filter filter;
  uint64_t packets_max = ~uint64_t{0};
  uint64_t bytes_max = uint64_t{1} << 30;  // of the file, but for the statistics at its end
  size_t ring_bytes = ring_bytes_default;
  unsigned workers = 1;
  int64_t unix_offset_ns = 0;  // real time less monotonic time
};

enum class State : uint8_t {
  running,
  full,    // a limit is reached; the file is complete
  failed,  // the file could not be written; `problem` says why
  ended,   // by stop()
};

const char* to_text(State state);

struct Progress {
  State state = State::running;
  std::string problem;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t missed = 0;
};

// Thread: control, where not said otherwise. The writer thread gives way: it looks every
// millisecond and holds a lock that no worker knows.
class Capture {
 public:
  // Creates the file (readable by its owner only) and starts the writer. Fails with the file's
  // name, the reason and a remedy. All borrowed things outlive the capture.
  static Result<std::unique_ptr<Capture>> start(CaptureConfig config,
                                                const stream::StreamTable& streams,
                                                const Clock& clock,
                                                const base::ThreadStarter& threads);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  const CaptureConfig& config() const { return config_; }
  std::shared_ptr<Tap> tap(unsigned worker) const { return taps_.at(worker); }
  // A port that is about to be used, before its packets come. An id that is used again is a new
  // interface from then on.
  void add_port(PortInterface port);
  // What the taps have taken down is written, the file completed. No worker may be using a tap.
  // Idempotent.
  void stop();
  Progress progress() const;

 private:
  // An interface block of the file.
  struct Written {
    PortInterface port;
    uint32_t number = 0;
    uint64_t packets = 0;
  };

  Capture(CaptureConfig config, const stream::StreamTable& streams, const Clock& clock,
          std::FILE* file);
  void run(std::stop_token stop);
  bool drain();
  void put(std::span<const uint8_t> bytes);
  void write(ByteSpan block);
  void flush();
  void complete();
  void end(State state);
  void fail(int reason);

  const CaptureConfig config_;
  const Clock& clock_;
  std::vector<std::shared_ptr<Tap>> taps_;  // [worker]

  mutable std::mutex mutex_;  // all below
  std::condition_variable_any wake_;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::map<uint16_t, Written> interfaces_;  // by port id
  uint32_t interface_count_ = 0;
  Progress progress_;
  std::jthread writer_;
};

}  // namespace chaincast::capture
