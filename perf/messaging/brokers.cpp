// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <atomic>
#include <cstring>
#include <iostream>
#include <thread>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "messaging/messaging.hpp"

namespace chaincast::bench::messaging {

namespace {

constexpr int quiet_ms = 500;
constexpr int patience_ms = 20'000;
constexpr unsigned batch = 64;  // messages between two looks at the clock

// What N threads have received, and when.
struct Tally {
  std::atomic<uint64_t> received{0}, first{~uint64_t{0}}, last{0}, ready{0};
  void add(uint64_t count, TimeNs from, TimeNs to) {
    received += count;
    for (uint64_t old = first; from < old && !first.compare_exchange_weak(old, from);) {
    }
    for (uint64_t old = last; to > old && !last.compare_exchange_weak(old, to);) {
    }
  }
  Json json() const {
    return {{"received", received.load()}, {"ns", received == 0 ? 0 : last - first}};
  }
};

template <typename Body>
Json receive_in_threads(unsigned count, Body body) {
  Tally tally;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back([&] { body(tally); });
  for (uint64_t ready = 0; ready < count; ready = tally.ready) tally.ready.wait(ready);
  std::cout << Json{{"ready", true}} << std::endl;
  threads.clear();
  return tally.json();
}

std::string zmq_address(const Job& job) {
  return "tcp://127.0.0.1:" + std::to_string(job.port);
}

void subscribe_zmq(const Job& job, void* context, Tally& tally) {
  void* const socket = zmq_socket(context, ZMQ_SUB);
  const int unlimited = 0;
  zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
  zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  CC_ASSERT(zmq_connect(socket, zmq_address(job).c_str()) == 0);
  ++tally.ready;
  tally.ready.notify_all();
  const MonotonicClock clock;
  std::vector<char> data(job.payload_bytes);
  uint64_t count = 0;
  TimeNs first = 0, last = 0;
  while (zmq_recv(socket, data.data(), data.size(), 0) >= 0) {
    if (data[0] == 'w') continue;  // says only that the connection stands
    if (count++ % batch == 0) last = clock.now_ns();
    if (first != 0) continue;
    first = last;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &quiet_ms, sizeof quiet_ms);
  }
  if (count > 0) tally.add(count, first, last);
  zmq_close(socket);
}

int connect_nats(const Job& job) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(job.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CC_ASSERT(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(fd, text.data(), text.size());
    CC_ASSERT(done > 0);
    text.remove_prefix(static_cast<size_t>(done));
  }
}

// Reads until `word` has come.
void await(int fd, std::string_view word) {
  std::string seen;
  std::array<char, 4096> data;
  while (seen.find(word) == std::string::npos) {
    const ssize_t got = read(fd, data.data(), data.size());
    CC_ASSERT(got > 0);
    seen.append(data.data(), static_cast<size_t>(got));
  }
}

constexpr std::string_view nats_hello = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

// Each message is as long as the next: bytes tell how many there were.
size_t nats_message_bytes(const Job& job) {
  return std::string("MSG s 1 ").size() + std::to_string(job.payload_bytes).size() + 2 +
         job.payload_bytes + 2;
}

void subscribe_nats(const Job& job, Tally& tally) {
  const int fd = connect_nats(job);
  write_all(fd, std::string(nats_hello) + "SUB s 1\r\nPING\r\n");
  await(fd, "PONG\r\n");
  ++tally.ready;
  tally.ready.notify_all();
  const MonotonicClock clock;
  std::vector<char> data(size_t{1} << 18);
  uint64_t bytes = 0;
  TimeNs first = 0, last = 0;
  pollfd wait{fd, POLLIN, 0};
  while (poll(&wait, 1, first == 0 ? patience_ms : quiet_ms) > 0) {
    const ssize_t got = read(fd, data.data(), data.size());
    if (got <= 0) break;
    bytes += static_cast<uint64_t>(got);
    last = clock.now_ns();
    if (first == 0) first = last;
  }
  if (bytes > 0) tally.add(bytes / nats_message_bytes(job), first, last);
  close(fd);
}

}  // namespace

Json receive_zmq(const Job& job) {
  void* const context = zmq_ctx_new();
  const Json out =
      receive_in_threads(job.fanout, [&](Tally& tally) { subscribe_zmq(job, context, tally); });
  zmq_ctx_term(context);
  return out;
}

Json send_zmq(const Job& job) {
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_XPUB);
  const int unlimited = 0, all = 1;
  zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &all, sizeof all);  // tell of each subscriber
  CC_ASSERT(zmq_bind(socket, zmq_address(job).c_str()) == 0);
  std::array<char, 64> subscription;
  for (unsigned i = 0; i < job.fanout; ++i) {
    CC_ASSERT(zmq_recv(socket, subscription.data(), subscription.size(), 0) >= 0);
  }
  const std::vector<char> payload(job.payload_bytes, 'x');
  const MonotonicClock clock;
  const TimeNs start = clock.now_ns();
  uint64_t sent = 0;
  while (clock.now_ns() < start + job.ms * ns_per_ms) {
    for (unsigned i = 0; i < batch; ++i) {
      CC_ASSERT(zmq_send(socket, payload.data(), payload.size(), 0) >= 0);
    }
    sent += uint64_t{batch} * job.fanout;
  }
  const TimeNs took = clock.now_ns() - start;
  zmq_close(socket);
  zmq_ctx_term(context);  // ends once all was sent
  return {{"sent", sent}, {"ns", took}};
}

Json receive_nats(const Job& job) {
  return receive_in_threads(job.fanout, [&](Tally& tally) { subscribe_nats(job, tally); });
}

Json send_nats(const Job& job) {
  const int fd = connect_nats(job);
  write_all(fd, std::string(nats_hello) + "PING\r\n");
  await(fd, "PONG\r\n");
  std::string block;
  for (unsigned i = 0; i < batch; ++i) {
    block += "PUB s " + std::to_string(job.payload_bytes) + "\r\n" +
             std::string(job.payload_bytes, 'x') + "\r\n";
  }
  const MonotonicClock clock;
  const TimeNs start = clock.now_ns();
  uint64_t sent = 0;
  while (clock.now_ns() < start + job.ms * ns_per_ms) {
    write_all(fd, block);
    sent += uint64_t{batch} * job.fanout;
  }
  write_all(fd, "PING\r\n");
  await(fd, "PONG\r\n");
  const TimeNs took = clock.now_ns() - start;
  close(fd);
  return {{"sent", sent}, {"ns", took}};
}

}  // namespace chaincast::bench::messaging
