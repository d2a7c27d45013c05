// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/bytes.hpp"

namespace chaincast::test {

// An application's UDP socket, connected to a feed on loopback. `patience_s`: how long receive()
// waits; 0: not at all.
class FeedSocket {
 public:
  FeedSocket(uint16_t port, unsigned patience_s)
      : fd_(::socket(AF_INET, SOCK_DGRAM | (patience_s == 0 ? SOCK_NONBLOCK : 0), 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    const timeval patience{patience_s, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~FeedSocket() { ::close(fd_); }
  FeedSocket(const FeedSocket&) = delete;
  FeedSocket& operator=(const FeedSocket&) = delete;

  void send(ByteSpan datagram) {
    EXPECT_EQ(::send(fd_, datagram.data(), datagram.size(), 0),
              static_cast<ssize_t>(datagram.size()));
  }
  std::optional<Bytes> receive() {
    std::array<uint8_t, 65536> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0) return std::nullopt;
    return Bytes(buffer.begin(), buffer.begin() + got);
  }

 private:
  const int fd_;
};

}  // namespace chaincast::test
