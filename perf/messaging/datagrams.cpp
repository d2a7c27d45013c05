// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "messaging/messaging.hpp"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace chaincast::bench::messaging {

namespace {

constexpr int quiet_ms = 300;        // after which a receiver ends
constexpr int patience_ms = 20'000;  // for the first message
constexpr size_t train_bytes_max = 64'000;
constexpr unsigned train_datagrams_max = 44;
constexpr int buffer_bytes = 8 << 20;

sockaddr_in loopback(unsigned port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

int open_socket() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CC_ASSERT(fd >= 0);
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    setsockopt(fd, SOL_SOCKET, option, &buffer_bytes, sizeof buffer_bytes);
  }
  return fd;
}

// Datagrams in what one call has received: a train is as long as its parts say.
unsigned count_train(msghdr& header, size_t bytes) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
    int each = 0;
    std::memcpy(&each, CMSG_DATA(c), sizeof each);
    return static_cast<unsigned>((bytes + static_cast<size_t>(each) - 1) /
                                 static_cast<size_t>(each));
  }
  return 1;
}

}  // namespace

Json receive_datagrams(const Job& job) {
  std::vector<pollfd> sockets;
  for (unsigned i = 0; i < job.fanout; ++i) {
    const int fd = open_socket();
    const int on = 1;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    const sockaddr_in at = loopback(job.port + i);
    CC_ASSERT(bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    sockets.push_back({fd, POLLIN, 0});
  }
  std::cout << Json{{"ready", true}} << std::endl;
  std::vector<char> data(size_t{1} << 16);
  const MonotonicClock clock;
  uint64_t received = 0;
  TimeNs first = 0, last = 0;
  while (poll(sockets.data(), sockets.size(), first == 0 ? patience_ms : quiet_ms) > 0) {
    for (const pollfd& one : sockets) {
      if ((one.revents & POLLIN) == 0) continue;
      for (unsigned i = 0; i < 32; ++i) {
        std::array<char, CMSG_SPACE(sizeof(int))> control{};
        iovec part{data.data(), data.size()};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t bytes = recvmsg(one.fd, &header, MSG_DONTWAIT);
        if (bytes < 0) break;
        received += count_train(header, static_cast<size_t>(bytes));
      }
    }
    if (received == 0) continue;
    last = clock.now_ns();
    if (first == 0) first = last;
  }
  for (const pollfd& one : sockets) close(one.fd);
  return {{"received", received}, {"ns", last - first}};
}

Json send_datagrams(const Job& job, bool has_segments) {
  const int fd = open_socket();
  const unsigned train = has_segments
                             ? std::min(train_datagrams_max,
                                        static_cast<unsigned>(train_bytes_max / job.payload_bytes))
                             : 1;
  std::vector<char> payload(size_t{train} * job.payload_bytes, 'x');
  std::vector<sockaddr_in> to;
  for (unsigned i = 0; i < job.fanout; ++i) to.push_back(loopback(job.port + i));
  iovec part{payload.data(), payload.size()};
  std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
  std::vector<mmsghdr> messages(job.fanout);
  for (unsigned i = 0; i < job.fanout; ++i) {
    msghdr& header = messages[i].msg_hdr;
    header = {};
    header.msg_name = &to[i];
    header.msg_namelen = sizeof to[i];
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!has_segments) continue;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const auto each = static_cast<uint16_t>(job.payload_bytes);
    std::memcpy(CMSG_DATA(c), &each, sizeof each);
  }
  const MonotonicClock clock;
  const TimeNs start = clock.now_ns();
  uint64_t sent = 0;
  while (clock.now_ns() < start + job.ms * ns_per_ms) {
    const int done = sendmmsg(fd, messages.data(), job.fanout, 0);
    CC_ASSERT(done > 0);
    sent += static_cast<uint64_t>(done) * train;
  }
  const TimeNs took = clock.now_ns() - start;
  close(fd);
  return {{"sent", sent}, {"ns", took}};
}

}  // namespace chaincast::bench::messaging
