// SPDX-License-Identifier: BSD-3-Clause
#include "port/memory/memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "support/eal.hpp"
#include "support/mbufs.hpp"

namespace chaincast::port {
namespace {

using stage::Drop;
using testing::HasSubstr;

class Memory : public testing::Test {
 protected:
  void SetUp() override {
    pool_ = test::make_pool(511);
    network_ = MemoryNetwork::make();
    a_ = attach("a", "192.0.2.1", 2, 8);
    b_ = attach("b", "192.0.2.2", 2, 8);
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  std::unique_ptr<Port> attach(const std::string& name, const std::string& address, uint16_t queues,
                               unsigned ring_packets, Role role = Role::fabric) {
    MemoryConfig config;
    config.name = name;
    config.addresses = {*parse_address(address)};
    config.udp_port = 7000;
    config.queues = queues;
    config.ring_packets = ring_packets;
    config.role = role;
    Result<std::unique_ptr<Port>> port = network_->attach(config, pool_);
    CC_ASSERT(port.ok() && (*port)->start().ok());
    return std::move(port).value();
  }
  // Sends one packet from a; true if the port took it.
  bool send(const Bytes& content, const std::string& to, uint16_t local_port = 7000) {
    rte_mbuf* packet = test::make_packet(pool_, content, {3, 5});
    const Destination destination = *a_->destination(*parse_endpoint(to), local_port);
    if (a_->transmit(0, destination, &packet, 1) == 1) return true;
    rte_pktmbuf_free(packet);
    return false;
  }

  rte_mempool* pool_ = nullptr;
  std::shared_ptr<MemoryNetwork> network_;
  std::unique_ptr<Port> a_, b_;
  stage::Burst::Drops drops_;
  stage::Datagram out_[64];
};

TEST_F(Memory, CarriesContentSourceAndPort) {
  const Bytes content = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  ASSERT_TRUE(send(content, "192.0.2.2:7001", 7001));
  EXPECT_EQ(network_->pending(), 1u);
  EXPECT_EQ(b_->receive(0, out_, 64, drops_), 0u);
  ASSERT_EQ(b_->receive(1, out_, 64, drops_), 1u);
  EXPECT_EQ(Bytes(out_[0].data, out_[0].data + out_[0].bytes), content);
  EXPECT_EQ(out_[0].mbuf->nb_segs, 1);
  EXPECT_EQ(to_text(out_[0].source), "192.0.2.1:7001");
  EXPECT_EQ(out_[0].local_port, 7001);
  rte_pktmbuf_free(out_[0].mbuf);
  EXPECT_EQ(a_->counters().tx_bytes, content.size());
  EXPECT_EQ(b_->counters().rx_bytes, content.size());
}

TEST_F(Memory, FullRingGivesBack) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(send({1}, "192.0.2.2:7000"));
  EXPECT_FALSE(send({1}, "192.0.2.2:7000"));
  EXPECT_EQ(a_->counters().tx_full, 1u);
  EXPECT_EQ(b_->receive(0, out_, 3, drops_), 3u);
  for (int i = 0; i < 3; ++i) rte_pktmbuf_free(out_[i].mbuf);
  EXPECT_TRUE(send({1}, "192.0.2.2:7000"));
}

TEST_F(Memory, CountsWhatNobodyTakes) {
  EXPECT_TRUE(send({1}, "192.0.2.9:7000"));
  EXPECT_EQ(a_->counters().tx_unreachable, 1u);
  EXPECT_TRUE(send({1}, "192.0.2.2:6999"));
  EXPECT_EQ(b_->receive(0, out_, 64, drops_), 0u);
  EXPECT_EQ(drops_.read(Drop::rx_other_port), 1u);
  const auto edge = attach("edge", "192.0.2.3", 1, 8, Role::edge);
  EXPECT_TRUE(send({1}, "192.0.2.3:7000"));
  EXPECT_EQ(edge->receive(0, out_, 64, drops_), 0u);
  EXPECT_EQ(drops_.read(Drop::not_implemented), 1u);
  b_->stop();
  EXPECT_TRUE(send({1}, "192.0.2.2:7000"));
  EXPECT_EQ(a_->counters().tx_unreachable, 2u);
}

TEST_F(Memory, RefusesWhatCannotWork) {
  MemoryConfig config;
  config.name = "again";
  EXPECT_FALSE(network_->attach(config, pool_).ok());
  config.addresses = {*parse_address("192.0.2.1")};
  EXPECT_THAT(network_->attach(config, pool_).error().message, HasSubstr("belongs to port 'a'"));
  EXPECT_THAT(a_->destination(*parse_endpoint("[2001:db8::1]:7000"), 7000).error().message,
              HasSubstr("no IPv6 address"));
}

TEST_F(Memory, AddressesAreReusableAThousandTimesUnderTraffic) {
  const base::ThreadStarter& threads = test::ensure_eal();
  std::jthread sender = threads.start("sender", [&](std::stop_token stop) {
    while (!stop.stop_requested()) send({1, 2, 3}, "192.0.2.9:7000");
  });
  while (a_->counters().tx_unreachable == 0) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) {
    const auto port = attach("again", "192.0.2.9", 1, 8);
    const unsigned count = port->receive(0, out_, 64, drops_);
    for (unsigned k = 0; k < count; ++k) rte_pktmbuf_free(out_[k].mbuf);
  }
  sender.request_stop();
  sender.join();
  EXPECT_EQ(network_->pending(), 0u);
}

}  // namespace
}  // namespace chaincast::port
