// SPDX-License-Identifier: BSD-3-Clause
#include "relay/udp/sockets.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace chaincast::relay {
namespace {

// A block of ports of this process.
Endpoint block(bool is_ipv6 = false) {
  Endpoint out;
  out.is_ipv6 = is_ipv6;
  if (is_ipv6) {
    out.address[15] = 1;
  } else {
    out.address = {127, 0, 0, 1};
  }
  out.port = static_cast<uint16_t>(33'000 + getpid() % 500 * 8);
  return out;
}

struct Heard {
  unsigned socket;
  Endpoint from;
  Bytes bytes;
};

void turn(punch::Sockets& sockets) {
  std::vector<pollfd> fds;
  sockets.add_poll_fds(fds);
  ASSERT_GT(poll(fds.data(), fds.size(), 5000), 0);
  sockets.on_ready(fds, 0);
}

class RelaySockets : public testing::TestWithParam<bool> {};

TEST_P(RelaySockets, EachHasItsPortAndSaysWhoSent) {
  const Endpoint address = block(GetParam());
  auto sockets = open_sockets(address, 3);
  ASSERT_TRUE(sockets.ok()) << sockets.error().message;
  std::vector<Heard> heard;
  (*sockets)->set_receiver([&](unsigned socket, const Endpoint& from, ByteSpan bytes, TimeNs) {
    heard.push_back({socket, from, Bytes(bytes.begin(), bytes.end())});
  });
  Endpoint second = address;
  second.port = static_cast<uint16_t>(second.port + 1);
  for (unsigned i = 0; i < 100; ++i) {
    ASSERT_TRUE((*sockets)->send(2, second, Bytes(i + 1, static_cast<uint8_t>(i))));
  }
  while (heard.size() < 100) turn(**sockets);
  Endpoint third = address;
  third.port = static_cast<uint16_t>(third.port + 2);
  for (unsigned i = 0; i < 100; ++i) {
    EXPECT_EQ(heard[i].socket, 1u);
    EXPECT_EQ(heard[i].from, third);
    EXPECT_EQ(heard[i].bytes, Bytes(i + 1, static_cast<uint8_t>(i)));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, RelaySockets, testing::Bool(),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

TEST(RelaySocket, APortInUseIsNamed) {
  const Endpoint address = block();
  auto first = open_sockets(address, 2);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto again = open_sockets(address, 2);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::io);
  EXPECT_NE(again.error().message.find("127.0.0.1:"), std::string::npos) << again.error().message;
}

}  // namespace
}  // namespace chaincast::relay
