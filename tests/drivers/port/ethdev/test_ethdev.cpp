// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/ethdev.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "base/random.hpp"
#include "drivers/port/ethdev/shared.hpp"
#include "support/data.hpp"
#include "support/eal.hpp"
#include "support/mbufs.hpp"

// Virtual devices that need neither privileges nor hugepages.
namespace chaincast::port {
namespace {

using chaincast::test::random_bytes;
using stage::Drop;
using test::endpoint;
using test::make_copies;
using testing::HasSubstr;

const Mac neighbour_mac = {2, 0, 0, 0, 0, 9};

class Ethdev : public testing::Test {
 protected:
  void SetUp() override { pool_ = chaincast::test::make_pool(4095, 9500); }
  void TearDown() override {
    port_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  static EthdevConfig config_of(const std::string& device) {
    EthdevConfig out;
    out.name = "p1";
    out.id = 3;
    out.device = device;
    out.addresses = {test::interface_address("192.0.2.1", 24),
                     test::interface_address("2001:db8::1", 64)};
    out.udp_port = 7000;
    out.workers = 1;
    return out;
  }
  void open(const EthdevConfig& config) {
    Result<std::unique_ptr<Port>> port = make_ethdev(config, pool_);
    ASSERT_TRUE(port.ok()) << port.error().message;
    port_ = std::move(port).value();
    ASSERT_TRUE(port_->start().ok());
  }
  Mac own_mac() const { return *parse_mac(port_->info().mac); }
  // Headers from a neighbour to the port itself: what net_ring sends comes back.
  Destination towards_us(bool is_ipv6, uint16_t udp_port = 7000) const {
    const std::string port = std::to_string(udp_port);
    return make_destination(
        {.source_mac = neighbour_mac,
         .destination_mac = own_mac(),
         .source = endpoint(is_ipv6 ? "[2001:db8::9]:7009" : "192.0.2.9:7009"),
         .remote = endpoint((is_ipv6 ? "[2001:db8::1]:" : "192.0.2.1:") + port)});
  }
  unsigned send(std::vector<rte_mbuf*> packets) {
    const auto count = static_cast<unsigned>(packets.size());
    const unsigned sent = port_->transmit(0, Destination{}, packets.data(), count);
    for (unsigned i = sent; i < count; ++i) rte_pktmbuf_free(packets[i]);
    return sent;
  }
  std::vector<Bytes> receive() {
    std::vector<Bytes> out;
    unsigned count;
    do {
      count = port_->receive(0, datagrams_, 64, drops_);
      for (unsigned i = 0; i < count; ++i) {
        const stage::Datagram& d = datagrams_[i];
        EXPECT_EQ(rte_pktmbuf_mtod(d.mbuf, const uint8_t*), d.data);
        EXPECT_EQ(d.mbuf->pkt_len, d.bytes);
        EXPECT_EQ(d.mbuf->nb_segs, 1);
        out.emplace_back(d.data, d.data + d.bytes);
        last_ = d;
        rte_pktmbuf_free(d.mbuf);
      }
    } while (count > 0);
    return out;
  }
  rte_mbuf* raw(const Bytes& frame) { return chaincast::test::make_packet(pool_, frame); }

  rte_mempool* pool_ = nullptr;
  std::unique_ptr<Port> port_;
  stage::Datagram datagrams_[64];
  stage::Datagram last_;
  stage::Burst::Drops drops_;
  Random random_{11};
};

TEST_F(Ethdev, RingCarriesDatagramsOfBothFamilies) {
  open(config_of(test::unique_device("net_ring")));
  EXPECT_TRUE(port_->capabilities().shared_segments);  // the ring passes the mbufs themselves
  EXPECT_TRUE(port_->info().is_up);
  EXPECT_EQ(port_->info().driver, "net_ring");
  for (const bool is_ipv6 : {false, true}) {
    for (const size_t size : {size_t{16}, size_t{1408}, size_t{1472 - 20}}) {
      const Bytes payload = random_bytes(random_, size);
      ASSERT_EQ(
          send(make_copies(pool_, towards_us(is_ipv6, 7001), payload, 3, port_->capabilities())),
          3u);
      EXPECT_EQ(receive(), std::vector<Bytes>(3, payload));
      EXPECT_EQ(last_.source, endpoint(is_ipv6 ? "[2001:db8::9]:7009" : "192.0.2.9:7009"));
      EXPECT_EQ(last_.local_port, 7001);
      EXPECT_EQ(last_.port_id, 3);
    }
  }
  EXPECT_EQ(port_->counters().rx_packets, 18u);
  EXPECT_EQ(port_->counters().tx_packets, 18u);
  EXPECT_EQ(port_->counters().rx_bytes, port_->counters().tx_bytes);
}

TEST_F(Ethdev, ChainedArrivalsAreLinearisedOrDropped) {
  open(config_of(test::unique_device("net_ring")));
  Capabilities shared = port_->capabilities();
  shared.shared_segments = true;
  const Bytes payload = random_bytes(random_, 1408);
  ASSERT_EQ(send(make_copies(pool_, towards_us(false), payload, 5, shared)), 5u);
  EXPECT_EQ(receive(), std::vector<Bytes>(5, payload));

  const Bytes large = test::build_frame({.source_mac = neighbour_mac,
                                         .destination_mac = own_mac(),
                                         .source = endpoint("192.0.2.9:1"),
                                         .remote = endpoint("192.0.2.1:7000")},
                                        random_bytes(random_, 12000));
  ASSERT_EQ(send({chaincast::test::make_packet(pool_, large, {6000, 7000})}), 1u);
  EXPECT_EQ(receive().size(), 0u);
  EXPECT_EQ(drops_.read(Drop::segmented), 1u);
}

TEST_F(Ethdev, ForeignPacketsAreCountedByReason) {
  open(config_of(test::unique_device("net_ring")));
  const Capabilities plain;
  Bytes zeros(60, 0);
  std::copy_n(own_mac().begin(), 6, zeros.begin());
  send({raw(zeros), raw(Bytes(13, 0))});
  send(make_copies(pool_, towards_us(false, 6999), {}, 1, plain));
  Destination other = towards_us(true);
  other.header[0] ^= 2;
  send(make_copies(pool_, other, {}, 2, plain));
  EXPECT_EQ(receive().size(), 0u);
  EXPECT_EQ(drops_.read(Drop::rx_not_ip), 1u);
  EXPECT_EQ(drops_.read(Drop::rx_truncated), 1u);
  EXPECT_EQ(drops_.read(Drop::rx_other_port), 1u);
  EXPECT_EQ(drops_.read(Drop::rx_not_ours), 2u);
}

TEST_F(Ethdev, FullRingGivesPacketsBack) {
  open(config_of(test::unique_device("net_ring")));
  const Bytes payload(64, 1);
  unsigned sent = 0;
  unsigned round = 64;
  while (round == 64 && sent < 4000) {
    round = send(make_copies(pool_, towards_us(false), payload, 64, port_->capabilities()));
    sent += round;
  }
  EXPECT_GT(port_->counters().tx_full, 0u);
  EXPECT_EQ(receive().size(), sent);
  EXPECT_EQ(port_->counters().tx_packets, sent);
}

// The port's own ARP request comes back over the ring; a reply is made by hand.
TEST_F(Ethdev, ResolvesTheNextHopAndSaysWhatIsMissing) {
  EthdevConfig config = config_of(test::unique_device("net_ring"));
  open(config);
  const Endpoint remote = endpoint("192.0.2.9:7100");
  Result<Destination> found = port_->destination(remote, 7000);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
  EXPECT_THAT(found.error().message, HasSubstr("192.0.2.9 has not answered ARP"));
  EXPECT_THAT(port_->destination(endpoint("198.51.100.1:1"), 7000).error().message,
              HasSubstr("no IPv4 gateway; add one to gateway"));

  port_->tick(0, 0);  // sends the request, which loops back and is nobody's question
  EXPECT_EQ(receive().size(), 0u);
  ByteWriter reply;
  reply.bytes(own_mac()).bytes(neighbour_mac).be16(ethertype_arp);
  reply.be16(1).be16(ethertype_ipv4).u8(6).u8(4).be16(2);
  reply.bytes(neighbour_mac).be32(0xc0000209).bytes(own_mac()).be32(0xc0000201);
  send({raw(reply.take())});
  EXPECT_EQ(receive().size(), 0u);
  const uint64_t version = port_->destinations_version();
  port_->control(ns_per_s);
  EXPECT_GT(port_->destinations_version(), version);
  found = port_->destination(remote, 7001);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(Mac({2, 0, 0, 0, 0, 9}), neighbour_mac);
  EXPECT_TRUE(std::equal(neighbour_mac.begin(), neighbour_mac.end(), found->header.begin()));
  EXPECT_EQ(found->header_bytes, 42);
  EXPECT_EQ(found->local_port, 7001);
}

TEST_F(Ethdev, ControlPacketsBeyondTheRingAreCounted) {
  open(config_of(test::unique_device("net_ring")));
  Bytes request(42, 0);
  std::fill_n(request.begin(), 6, 0xff);
  store_be16(&request[12], ethertype_arp);
  for (int i = 0; i < 300; ++i) {
    send({raw(request)});
    receive();
  }
  EXPECT_EQ(drops_.read(Drop::foreign_full), 300u - 256u);
}

TEST_F(Ethdev, EdgePortCountsEverythingAsNotImplemented) {
  EthdevConfig config = config_of(test::unique_device("net_ring"));
  config.role = Role::edge;
  open(config);
  send(make_copies(pool_, towards_us(false), {}, 3, Capabilities{}));
  EXPECT_EQ(receive().size(), 0u);
  EXPECT_EQ(drops_.read(Drop::not_implemented), 3u);
}

// net_null takes chains: every reference comes back, also of payloads shared by all copies.
TEST_F(Ethdev, NullTakesSharedPayloads) {
  EthdevConfig config = config_of(test::unique_device("net_null") + ",no-rx=1");
  open(config);
  EXPECT_TRUE(port_->capabilities().shared_segments);
  const Bytes payload = random_bytes(random_, 1408);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(send(make_copies(pool_, towards_us(false), payload, 64, port_->capabilities())), 64u);
  }
  EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
  EXPECT_EQ(port_->counters().tx_bytes, 20u * 64u * (1408u + 42u));
}

// net_pcap takes chains: the file holds exactly the linear bytes.
TEST_F(Ethdev, PcapWritesSharedPayloadsByteExact) {
  const test::TemporaryFile file(".pcap");
  open(config_of(test::unique_device("net_pcap") + ",tx_pcap=" + file.path()));
  EXPECT_TRUE(port_->capabilities().shared_segments);
  std::vector<Bytes> expected;
  for (const size_t size : {size_t{16}, size_t{64}, size_t{1408}, size_t{8900}}) {
    for (const bool is_ipv6 : {false, true}) {
      const Bytes payload = random_bytes(random_, size);
      ASSERT_EQ(send(make_copies(pool_, towards_us(is_ipv6), payload, 3, port_->capabilities())),
                3u);
      for (int i = 0; i < 3; ++i) {
        expected.push_back(test::build_frame(
            {.source_mac = neighbour_mac,
             .destination_mac = own_mac(),
             .source = endpoint(is_ipv6 ? "[2001:db8::9]:7009" : "192.0.2.9:7009"),
             .remote = endpoint(is_ipv6 ? "[2001:db8::1]:7000" : "192.0.2.1:7000")},
            payload));
      }
    }
  }
  port_.reset();
  EXPECT_EQ(test::parse_pcap(chaincast::test::read_file(file.path())), expected);
}

TEST_F(Ethdev, CopyAndChecksumSettingsOverrideTheDevice) {
  EthdevConfig config = config_of(test::unique_device("net_null") + ",no-rx=1");
  config.copy = CopyMode::linear;
  open(config);
  EXPECT_FALSE(port_->capabilities().shared_segments);
  port_.reset();

  config = config_of(test::unique_device("net_ring"));
  config.checksum = ChecksumMode::hardware;
  EXPECT_THAT(make_ethdev(config, pool_).error().message, HasSubstr("no UDP checksums"));
}

TEST_F(Ethdev, UsesOneQueueWhereTheDeviceCannotSteer) {
  EthdevConfig config = config_of(test::unique_device("net_null"));
  config.queues = 4;
  open(config);
  EXPECT_EQ(port_->capabilities().rx_queues, 1);
  EXPECT_GE(port_->capabilities().tx_queues, 1);
  EXPECT_FALSE(port_->capabilities().steers_ports);
}

TEST_F(Ethdev, MtuIsBoundedByTheBuffers) {
  EthdevConfig config = config_of(test::unique_device("net_null"));
  config.mtu_bytes = 9400;
  EXPECT_THAT(make_ethdev(config, pool_).error().message, HasSubstr("MTU 9400 exceeds"));
  config.mtu_bytes = 9000;
  config.device = test::unique_device("net_null");
  open(config);
  EXPECT_EQ(port_->capabilities().mtu_bytes, 9000);
}

TEST_F(Ethdev, StopsStartsAndDetachesForGood) {
  const std::string device = test::unique_device("net_ring");
  for (int round = 0; round < 20; ++round) {
    open(config_of(device));
    const Bytes payload(100, static_cast<uint8_t>(round));
    port_->stop();
    EXPECT_FALSE(port_->info().is_up);
    ASSERT_TRUE(port_->start().ok());
    ASSERT_EQ(send(make_copies(pool_, towards_us(false), payload, 1, port_->capabilities())), 1u);
    EXPECT_EQ(receive(), std::vector<Bytes>{payload});
    port_.reset();
    uint16_t id;
    EXPECT_NE(rte_eth_dev_get_port_by_name(device.c_str(), &id), 0);
  }
}

// As with `-a` and `--vdev`: the device is there before the port.
TEST_F(Ethdev, DetachesWhatEalHadProbedAndTakesItAgain) {
  const std::string device = test::unique_device("net_ring");
  ASSERT_EQ(rte_dev_probe(device.c_str()), 0);
  uint16_t id;
  for (int round = 0; round < 3; ++round) {
    open(config_of(device));
    ASSERT_EQ(rte_eth_dev_get_port_by_name(device.c_str(), &id), 0);
    port_.reset();
    EXPECT_NE(rte_eth_dev_get_port_by_name(device.c_str(), &id), 0);
  }
}

}  // namespace
}  // namespace chaincast::port
