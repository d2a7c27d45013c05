// SPDX-License-Identifier: BSD-3-Clause
#include "port/udp/udp.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/eal.hpp"
#include "support/mbufs.hpp"

namespace chaincast::port {
namespace {

using stage::Drop;
using testing::HasSubstr;

constexpr uint16_t room_bytes = 10240;

// A free UDP port with the following three free as well.
uint16_t free_udp_port() {
  static uint16_t next = static_cast<uint16_t>(20000 + getpid() % 20000);
  return next = static_cast<uint16_t>(next + 16);
}

UdpConfig config_of(const std::string& name, const std::string& address, uint16_t queues = 1) {
  UdpConfig out;
  out.name = name;
  out.addresses = {*parse_address(address)};
  out.udp_port = free_udp_port();
  out.queues = queues;
  return out;
}

class Udp : public testing::Test {
 protected:
  void SetUp() override { pool_ = test::make_pool(2047, room_bytes); }
  void TearDown() override {
    ports_.clear();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  Port& open(UdpConfig config) {
    Result<std::unique_ptr<Port>> port = make_udp(config, pool_);
    CC_ASSERT(port.ok());
    for (int attempt = 0; attempt < 100; ++attempt) {
      const Status started = (*port)->start();
      if (started.ok()) break;
      CC_ASSERT(attempt < 99);
      config.udp_port = free_udp_port();
      port = make_udp(config, pool_);
    }
    ports_.push_back(std::move(port).value());
    return *ports_.back();
  }
  static std::string detail(const Port& port, const std::string& name) {
    for (const auto& [key, value] : port.info().details) {
      if (key == name) return value;
    }
    return "";
  }
  static Endpoint address(const Port& port) { return port.info().addresses[0]; }
  // Sends packets of these contents; returns how many the port took.
  unsigned send(Port& from, const Endpoint& to, const std::vector<Bytes>& contents,
                unsigned queue = 0) {
    std::vector<rte_mbuf*> packets;
    for (const Bytes& content : contents) {
      packets.push_back(test::make_packet(pool_, content, {20, 100}));
    }
    const auto local_port = static_cast<uint16_t>(address(from).port + queue);
    const Destination destination = *from.destination(to, local_port);
    const auto count = static_cast<unsigned>(packets.size());
    const unsigned taken = from.transmit(queue, destination, packets.data(), count);
    for (unsigned i = taken; i < count; ++i) rte_pktmbuf_free(packets[i]);
    return taken;
  }
  // Datagrams until `count` came or nothing arrives for a second.
  std::vector<Bytes> receive(Port& port, size_t count, unsigned queue = 0, unsigned max = 64) {
    std::vector<Bytes> out;
    while (out.size() < count) {
      const unsigned got = port.receive(queue, datagrams_, max, drops_);
      for (unsigned i = 0; i < got; ++i) {
        const stage::Datagram& d = datagrams_[i];
        out.emplace_back(d.data, d.data + d.bytes);
        source_ = d.source;
        local_port_ = d.local_port;
        EXPECT_EQ(d.mbuf->nb_segs, 1);
        EXPECT_EQ(rte_pktmbuf_headroom(d.mbuf), RTE_PKTMBUF_HEADROOM);
        rte_pktmbuf_free(d.mbuf);
      }
      if (got > 0) continue;
      pollfd waiter{port.wait_fd(queue), POLLIN, 0};
      if (poll(&waiter, 1, 1000) <= 0) break;
    }
    return out;
  }

  rte_mempool* pool_ = nullptr;
  std::vector<std::unique_ptr<Port>> ports_;
  stage::Datagram datagrams_[64];
  stage::Burst::Drops drops_;
  Endpoint source_;
  uint16_t local_port_ = 0;
  Random random_{7};
};

struct Mode {
  const char* name;
  const char* address;
  bool use_segmentation;
  bool use_coalescing;
};

class UdpModes : public Udp, public testing::WithParamInterface<Mode> {
 protected:
  UdpConfig mode_config(const std::string& name, uint16_t queues = 1) {
    UdpConfig out = config_of(name, GetParam().address, queues);
    out.use_segmentation = GetParam().use_segmentation;
    out.use_coalescing = GetParam().use_coalescing;
    return out;
  }
};

TEST_P(UdpModes, EverySizeArrivesByteExactInOrder) {
  Port& a = open(mode_config("a"));
  Port& b = open(mode_config("b"));
  for (const size_t first : {size_t{1}, size_t{60}, size_t{1400}, size_t{8950}, size_t{9900}}) {
    std::vector<Bytes> sent;
    for (size_t i = 0; i < 100; ++i) sent.push_back(test::random_bytes(random_, first + i));
    ASSERT_EQ(send(a, address(b), sent), sent.size());
    ASSERT_EQ(receive(b, sent.size()), sent) << first;
    EXPECT_EQ(source_, address(a));
    EXPECT_EQ(local_port_, address(b).port);
  }
}

TEST_P(UdpModes, RunsOfOneSizeArriveByteExactInOrder) {
  Port& a = open(mode_config("a"));
  Port& b = open(mode_config("b"));
  // Runs above 64 packets and above 64 KiB, closed by a shorter packet, by a longer one, by none.
  for (const size_t size : {size_t{1}, size_t{64}, size_t{1424}, size_t{9000}}) {
    std::vector<Bytes> sent;
    for (int i = 0; i < 70; ++i) sent.push_back(test::random_bytes(random_, size));
    sent.push_back(test::random_bytes(random_, std::max<size_t>(1, size / 2)));
    for (int i = 0; i < 5; ++i) sent.push_back(test::random_bytes(random_, size));
    sent.push_back(test::random_bytes(random_, size + 1));
    ASSERT_EQ(send(a, address(b), sent), sent.size());
    ASSERT_EQ(receive(b, sent.size(), 0, 7), sent) << size;
  }
  const Counters tx = a.counters();
  const Counters rx = b.counters();
  EXPECT_EQ(tx.tx_packets, 4u * 77u);
  EXPECT_EQ(tx.tx_packets, rx.rx_packets);
  EXPECT_EQ(tx.tx_bytes, rx.rx_bytes);
  // What the mode promises: fewer messages than packets, or exactly as many.
  const uint64_t messages = std::stoull(detail(a, "tx_messages"));
  if (GetParam().use_segmentation && detail(a, "segmentation") == "UDP_SEGMENT") {
    EXPECT_LT(messages, tx.tx_packets / 4);
  } else {
    EXPECT_EQ(messages, tx.tx_packets);
  }
  if (!GetParam().use_coalescing) {
    EXPECT_EQ(std::stoull(detail(b, "rx_messages")), rx.rx_packets);
  } else if (GetParam().use_segmentation && detail(b, "coalescing") == "UDP_GRO") {
    EXPECT_EQ(std::stoull(detail(b, "rx_messages")), messages);
  }
}

TEST_P(UdpModes, QueuesReceiveExactlyTheirPort) {
  Port& a = open(mode_config("a", 2));
  Port& b = open(mode_config("b", 3));
  EXPECT_TRUE(b.capabilities().steers_ports);
  for (unsigned queue = 0; queue < 3; ++queue) {
    Endpoint to = address(b);
    to.port = static_cast<uint16_t>(to.port + queue);
    const std::vector<Bytes> sent = {Bytes(10, static_cast<uint8_t>(queue))};
    ASSERT_EQ(send(a, to, sent, 1), 1u);
    EXPECT_EQ(receive(b, 1, queue), sent);
    EXPECT_EQ(local_port_, to.port);
    EXPECT_EQ(source_.port, address(a).port + 1);
  }
}

TEST_P(UdpModes, EmptyDatagramsAndOversizedOnesHarmNobody) {
  Port& a = open(mode_config("a"));
  Port& b = open(mode_config("b"));
  const std::vector<Bytes> sent = {{1}, {}, {2}, Bytes(60000, 3), {4}, Bytes(70000, 5), {6}};
  std::vector<rte_mbuf*> packets;
  for (const Bytes& content : sent) {
    rte_mbuf* packet =
        test::make_packet(pool_, content, {10000, 10000, 10000, 10000, 10000, 10000, 10000});
    packets.push_back(packet);
  }
  const Destination to = *a.destination(address(b), address(a).port);
  EXPECT_EQ(a.transmit(0, to, packets.data(), 7), 7u);
  // 60,000 bytes fit no mbuf of the receiver; 70,000 no datagram.
  EXPECT_EQ(receive(b, 5), (std::vector<Bytes>{{1}, {}, {2}, {4}, {6}}));
  EXPECT_EQ(drops_.read(Drop::segmented), 1u);
  EXPECT_EQ(a.counters().tx_failed, 1u);
}

INSTANTIATE_TEST_SUITE_P(Kernel, UdpModes,
                         testing::Values(Mode{"v4", "127.0.0.1", true, true},
                                         Mode{"v6", "::1", true, true},
                                         Mode{"v4_plain", "127.0.0.1", false, false},
                                         Mode{"v6_plain", "::1", false, false},
                                         Mode{"v4_gso", "127.0.0.1", true, false},
                                         Mode{"v6_gro", "::1", false, true}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_F(Udp, TwoFamiliesShareAQueue) {
  UdpConfig both = config_of("both", "127.0.0.1");
  both.addresses.push_back(*parse_address("::1"));
  Port& b = open(both);
  Port& v4 = open(config_of("v4", "127.0.0.1"));
  Port& v6 = open(config_of("v6", "::1"));
  const std::vector<Endpoint> own = b.info().addresses;
  ASSERT_EQ(send(v4, own[0], {{4}}), 1u);
  EXPECT_EQ(receive(b, 1), (std::vector<Bytes>{{4}}));
  ASSERT_EQ(send(v6, own[1], {{6}}), 1u);
  EXPECT_EQ(receive(b, 1), (std::vector<Bytes>{{6}}));
  EXPECT_EQ(source_, address(v6));
  ASSERT_EQ(send(b, address(v6), {{7}}), 1u);
  EXPECT_EQ(receive(v6, 1), (std::vector<Bytes>{{7}}));
  EXPECT_EQ(source_, own[1]);
}

TEST_F(Udp, EmptyPoolKeepsDatagramsForLater) {
  Port& a = open(config_of("a", "127.0.0.1"));
  Port& b = open(config_of("b", "127.0.0.1"));
  const std::vector<Bytes> sent(8, Bytes(100, 9));
  ASSERT_EQ(send(a, address(b), sent), 8u);
  std::vector<rte_mbuf*> hoard;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_)) hoard.push_back(mbuf);
  EXPECT_EQ(b.receive(0, datagrams_, 64, drops_), 0u);
  for (rte_mbuf* mbuf : hoard) rte_pktmbuf_free(mbuf);
  EXPECT_EQ(receive(b, 8), sent);
}

TEST_F(Udp, FullSocketIsCountedByTheReceiver) {
  UdpConfig small = config_of("small", "127.0.0.1");
  small.socket_buffer_bytes = 8192;
  Port& b = open(small);
  Port& a = open(config_of("a", "127.0.0.1"));
  constexpr unsigned sent = 640;
  for (unsigned i = 0; i < sent / 64; ++i) {
    ASSERT_EQ(send(a, address(b), std::vector<Bytes>(64, Bytes(1000 + i, 1))), 64u);
  }
  const size_t early = receive(b, sent).size();
  EXPECT_LT(early, sent);
  ASSERT_EQ(send(a, address(b), {{1}}), 1u);  // its message tells of the loss
  ASSERT_EQ(receive(b, 1).size(), 1u);
  EXPECT_GT(b.counters().rx_missed, 0u);
}

TEST_F(Udp, NobodyListeningIsNotAnError) {
  Port& a = open(config_of("a", "127.0.0.1"));
  Endpoint nobody = address(a);
  nobody.port = 1;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(a, nobody, {{1}, {2, 3}}), 2u);
  EXPECT_EQ(a.counters().tx_full, 0u);
}

TEST_F(Udp, NoRouteIsCountedAndSwallowed) {
  Port& a = open(config_of("a", "127.0.0.1"));
  // From a loopback address the kernel lets nothing out.
  EXPECT_EQ(send(a, *parse_endpoint("192.0.2.1:7000"), {{1}, {2}, {3, 3}}), 3u);
  const Counters counters = a.counters();
  EXPECT_EQ(counters.tx_unreachable + counters.tx_failed, 3u);
  EXPECT_EQ(counters.tx_packets, 0u);
}

TEST_F(Udp, PortInUseNamesThingPlaceAndRemedy) {
  Port& a = open(config_of("a", "127.0.0.1"));
  UdpConfig config = config_of("second", "127.0.0.1");
  config.udp_port = address(a).port;
  const Status started = (*make_udp(config, pool_))->start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::exists);
  for (const std::string& part :
       {std::string("port 'second'"), to_text(address(a)), std::string("ss -ulpn")}) {
    EXPECT_THAT(started.error().message, HasSubstr(part));
  }
}

TEST_F(Udp, FailsWithReasonsOnWhatCannotWork) {
  UdpConfig elsewhere = config_of("elsewhere", "192.0.2.77");
  const Status started = (*make_udp(elsewhere, pool_))->start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr("192.0.2.77 is not on this host"));

  UdpConfig config = config_of("p", "127.0.0.1");
  config.udp_port = 65535;
  config.queues = 2;
  EXPECT_THAT(make_udp(config, pool_).error().message, HasSubstr("65535..65536"));
  config.queues = 0;
  EXPECT_THAT(make_udp(config, pool_).error().message, HasSubstr("queues"));
  config.addresses.clear();
  EXPECT_THAT(make_udp(config, pool_).error().message, HasSubstr("addresses"));

  Port& a = open(config_of("a", "127.0.0.1"));
  EXPECT_EQ(a.destination(*parse_endpoint("[::1]:7000"), 7000).error().code, ErrorCode::refused);
}

TEST_F(Udp, RestartsOnTheSamePortAndKeepsItsCounters) {
  Port& a = open(config_of("a", "127.0.0.1", 2));
  Port& b = open(config_of("b", "127.0.0.1"));
  ASSERT_EQ(send(a, address(b), {{1}}), 1u);
  for (int i = 0; i < 3; ++i) {
    a.stop();
    EXPECT_FALSE(a.info().is_up);
    EXPECT_EQ(a.receive(0, datagrams_, 64, drops_), 0u);
    ASSERT_TRUE(a.start().ok());
  }
  ASSERT_EQ(send(a, address(b), {{2}}), 1u);
  EXPECT_EQ(a.counters().tx_packets, 2u);
  EXPECT_EQ(receive(b, 2).size(), 2u);
}

TEST_F(Udp, EdgePortCountsEverythingAsNotImplemented) {
  UdpConfig config = config_of("edge", "127.0.0.1");
  config.role = Role::edge;
  Port& edge = open(config);
  Port& a = open(config_of("a", "127.0.0.1"));
  ASSERT_EQ(send(a, address(edge), {{1}, {2}}), 2u);
  while (drops_.read(Drop::not_implemented) < 2) {
    ASSERT_EQ(edge.receive(0, datagrams_, 64, drops_), 0u);
  }
}

TEST_F(Udp, MtuIsWhatInterfaceAndBuffersCarry) {
  EXPECT_EQ(open(config_of("a", "127.0.0.1")).capabilities().mtu_bytes,
            room_bytes - RTE_PKTMBUF_HEADROOM + 28);
  UdpConfig config = config_of("b", "127.0.0.1");
  config.mtu_bytes = 1500;
  EXPECT_EQ(open(config).capabilities().mtu_bytes, 1500);
}

}  // namespace
}  // namespace chaincast::port
