// SPDX-License-Identifier: BSD-3-Clause
// One measurement of how fast whole objects reach another process on this host, as one JSON
// document: bench_client WAY OBJECTS BYTES, where WAY is
//   ring, socket     the node's console::Server and the client library's Client, without a node
//   zeromq           PUSH to PULL over ipc://, high-water marks as the ring would hold
//   unix-stream      a stream socket, length before object, written and read 64 KiB at a time
//   unix-seqpacket   one send and one recv for each object
// The reader checks number, order and length; its clock runs from the first object to the last.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef CHAINCAST_ZEROMQ
#include <zmq.h>
#endif

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "base/clock.hpp"
#include "cli/console.hpp"
#include "console/unix/client.hpp"
#include "console/unix/server.hpp"

namespace chaincast {
namespace {

struct Load {
  uint64_t objects = 0;
  size_t bytes = 0;
};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_client: {}\n", why);
  std::exit(2);
}

// What the reader has seen.
class Tally {
 public:
  explicit Tally(Load load) : load_(load) {}
  bool is_done() const { return next_ == load_.objects; }
  void take(const uint8_t* object, size_t bytes) {
    if (next_ == 0) start_ns_ = clock_.now_ns();
    if (bytes != load_.bytes) give_up(fmt::format("object {} has {} bytes", next_, bytes));
    uint64_t index;
    std::memcpy(&index, object, sizeof index);
    if (index != next_++) give_up(fmt::format("object {} came for {}", index, next_ - 1));
  }
  void print(const char* way) const {
    const auto ns = static_cast<double>(clock_.now_ns() - start_ns_);
    fmt::print("{{\"way\":\"{}\",\"objects\":{},\"bytes\":{},\"objects_per_s\":{:.0f}}}\n", way,
               load_.objects, load_.bytes, static_cast<double>(load_.objects) / ns * 1e9);
    std::fflush(stdout);
  }

 private:
  const Load load_;
  const MonotonicClock clock_;
  uint64_t next_ = 0;
  TimeNs start_ns_ = 0;
};

class Objects {
 public:
  explicit Objects(Load load) : load_(load), object_(load.bytes) {}
  bool has_next() const { return index_ < load_.objects; }
  // The same one until take().
  ByteSpan next() {
    std::memcpy(object_.data(), &index_, sizeof index_);
    return object_;
  }
  void take() { ++index_; }
  uint64_t index() const { return index_; }

 private:
  const Load load_;
  Bytes object_;
  uint64_t index_ = 0;
};

// ---- the node's own -----------------------------------------------------------------------------

// One stream, whose objects come as fast as its subscriber takes them.
class Fountain final : public cli::Service {
 public:
  explicit Fountain(Load load) : objects_(load) {}
  // What a turn of a node's control thread hands out at most.
  void pump() {
    for (int i = 0; i < 2048 && subscriber_ != nullptr && objects_.has_next(); ++i) {
      const Seq seq = objects_.index();
      if (!subscriber_->on_object({StreamId{1}, seq, seq, objects_.next()})) return;
      objects_.take();
    }
  }
  bool is_left() const { return had_subscriber_ && subscriber_ == nullptr; }

  ops::Reply run(std::string_view) override { return ops::Json::object(); }
  std::vector<std::string> complete(std::string_view) override { return {}; }
  ops::Json status() override { return ops::Json::object(); }
  Result<cli::StreamInfo> stream(std::string_view) override {
    return cli::StreamInfo{StreamId{1}, 1u << 20, false};
  }
  cli::PublishResult publish(std::string_view, ByteSpan) override { return {}; }
  Result<cli::SubscriptionId> subscribe(std::string_view, cli::Subscriber* subscriber) override {
    subscriber_ = subscriber;
    had_subscriber_ = true;
    return cli::SubscriptionId{1};
  }
  void unsubscribe(cli::SubscriptionId) override { subscriber_ = nullptr; }

 private:
  Objects objects_;
  cli::Subscriber* subscriber_ = nullptr;
  bool had_subscriber_ = false;
};

// The loop of Node::run, with objects in place of streams.
void serve(console::Server& server, Fountain& fountain) {
  const MonotonicClock clock;
  std::vector<pollfd> fds;
  while (!fountain.is_left()) {
    fountain.pump();
    fds.clear();
    server.add_poll_fds(fds);
    const TimeNs now = clock.now_ns();
    const TimeNs until = std::min(server.wake_at_ns(), now + 2 * ns_per_ms);
    const timespec wait{0, static_cast<long>(until > now ? until - now : 0)};
    ::ppoll(fds.data(), fds.size(), &wait, nullptr);
    server.on_ready(fds, clock.now_ns());
  }
}

void read_client(const std::string& path, Load load, bool is_ring) {
  auto client = console::Client::connect(path);
  if (!client) give_up(client.error().message);
  const auto index = is_ring ? client->subscribe_ring("feed") : client->subscribe("feed");
  if (!index) give_up(index.error().message);
  Tally tally(load);
  while (!tally.is_done()) {
    const auto event = client->next_event();
    if (!event) give_up(event.error().message);
    tally.take(event->object.data(), event->object.size());
  }
  tally.print(is_ring ? "ring" : "socket");
}

// The producer runs here, the reader in a child.
void with_reader(const std::function<void()>& reader, const std::function<void()>& producer) {
  const pid_t child = ::fork();
  if (child < 0) give_up("cannot fork");
  if (child == 0) {
    reader();
    std::_Exit(0);
  }
  producer();
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) std::exit(2);
}

void run_own(const std::string& path, Load load, bool is_ring) {
  Fountain fountain(load);
  auto server = console::Server::listen({.path = path}, fountain);
  if (!server) give_up(server.error().message);
  with_reader([&] { read_client(path, load, is_ring); }, [&] { serve(**server, fountain); });
}

// ---- the others ---------------------------------------------------------------------------------

#ifdef CHAINCAST_ZEROMQ
void run_zeromq(const std::string& path, Load load) {
  const std::string address = "ipc://" + path;
  const int mark = static_cast<int>((4u << 20) / (load.bytes + 32));
  const auto read = [&] {
    void* context = zmq_ctx_new();
    void* socket = zmq_socket(context, ZMQ_PULL);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof mark);
    if (zmq_connect(socket, address.c_str()) != 0) give_up(zmq_strerror(errno));
    Tally tally(load);
    zmq_msg_t message;
    while (!tally.is_done()) {
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket, 0) < 0) give_up(zmq_strerror(errno));
      tally.take(static_cast<const uint8_t*>(zmq_msg_data(&message)), zmq_msg_size(&message));
      zmq_msg_close(&message);
    }
    tally.print("zeromq");
  };
  const auto produce = [&] {
    void* context = zmq_ctx_new();
    void* socket = zmq_socket(context, ZMQ_PUSH);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof mark);
    if (zmq_bind(socket, address.c_str()) != 0) give_up(zmq_strerror(errno));
    for (Objects objects(load); objects.has_next(); objects.take()) {
      const ByteSpan object = objects.next();
      if (zmq_send(socket, object.data(), object.size(), 0) < 0) give_up(zmq_strerror(errno));
    }
    zmq_close(socket);
    zmq_ctx_term(context);  // once all has been sent
  };
  with_reader(read, produce);
}
#endif

constexpr size_t chunk_bytes = 64 * 1024;

void read_stream(int fd, Load load) {
  Tally tally(load);
  const size_t whole = sizeof(uint32_t) + load.bytes;
  Bytes buffer(chunk_bytes + whole);
  size_t held = 0;
  while (!tally.is_done()) {
    const ssize_t got = ::recv(fd, buffer.data() + held, buffer.size() - held, 0);
    if (got <= 0) give_up("the stream ended");
    held += static_cast<size_t>(got);
    size_t at = 0;
    for (; held - at >= whole; at += whole) {
      uint32_t bytes;
      std::memcpy(&bytes, buffer.data() + at, sizeof bytes);
      tally.take(buffer.data() + at + sizeof bytes, bytes);
    }
    std::memmove(buffer.data(), buffer.data() + at, held - at);
    held -= at;
  }
  tally.print("unix-stream");
}

void send_all(int fd, const Bytes& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t some = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (some < 0) give_up(std::strerror(errno));
    sent += static_cast<size_t>(some);
  }
}

void run_stream(Load load) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) give_up(std::strerror(errno));
  const auto produce = [&] {
    Bytes buffer;
    for (Objects objects(load); objects.has_next(); objects.take()) {
      const auto bytes = static_cast<uint32_t>(load.bytes);
      const auto* head = reinterpret_cast<const uint8_t*>(&bytes);
      buffer.insert(buffer.end(), head, head + sizeof bytes);
      const ByteSpan object = objects.next();
      buffer.insert(buffer.end(), object.begin(), object.end());
      if (buffer.size() < chunk_bytes) continue;
      send_all(ends[0], buffer);
      buffer.clear();
    }
    send_all(ends[0], buffer);
  };
  with_reader([&] { read_stream(ends[1], load); }, produce);
}

void run_seqpacket(Load load) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) give_up(std::strerror(errno));
  const auto read = [&] {
    Tally tally(load);
    Bytes buffer(load.bytes + 1);
    while (!tally.is_done()) {
      const ssize_t got = ::recv(ends[1], buffer.data(), buffer.size(), 0);
      if (got <= 0) give_up("the socket ended");
      tally.take(buffer.data(), static_cast<size_t>(got));
    }
    tally.print("unix-seqpacket");
  };
  const auto produce = [&] {
    for (Objects objects(load); objects.has_next(); objects.take()) {
      const ByteSpan object = objects.next();
      if (::send(ends[0], object.data(), object.size(), MSG_NOSIGNAL) < 0) {
        give_up(std::strerror(errno));
      }
    }
  };
  with_reader(read, produce);
}

uint64_t number(const char* text) {
  uint64_t out = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, code] = std::from_chars(text, end, out);
  if (code != std::errc() || stop != end) give_up(fmt::format("'{}' is no number", text));
  return out;
}

int run(int argc, char** argv) {
  if (argc != 4) give_up("usage: bench_client WAY OBJECTS BYTES");
  const std::string_view way = argv[1];
  const Load load{number(argv[2]), number(argv[3])};
  if (load.objects == 0 || load.bytes < sizeof(uint64_t) || load.bytes > (1u << 20)) {
    give_up("at least one object, of 8 to 1048576 bytes");
  }
  std::string directory = (std::filesystem::temp_directory_path() / "ccbXXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) give_up(std::strerror(errno));
  const std::string path = directory + "/socket";
  if (way == "ring" || way == "socket") {
    run_own(path, load, way == "ring");
#ifdef CHAINCAST_ZEROMQ
  } else if (way == "zeromq") {
    run_zeromq(path, load);
#endif
  } else if (way == "unix-stream") {
    run_stream(load);
  } else if (way == "unix-seqpacket") {
    run_seqpacket(load);
  } else {
    give_up(fmt::format("no way '{}' in this build", way));
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace chaincast

int main(int argc, char** argv) {
  return chaincast::run(argc, argv);
}
