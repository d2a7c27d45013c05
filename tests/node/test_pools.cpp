// SPDX-License-Identifier: BSD-3-Clause
#include "node/pools.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "node/node.hpp"
#include "support/eal.hpp"

namespace chaincast::node {
namespace {

using testing::HasSubstr;

class PoolsTest : public testing::Test {
 protected:
  PoolsTest() {
    test::ensure_eal();
    config_.node.name = "n";
    config_.node.pool_mbufs = 1000;
    EXPECT_TRUE(pools_.create(config_, [this](const std::string& text) { said_.push_back(text); }));
  }
  static PortConfig port(const std::string& device) {
    PortConfig out;
    out.name = "p";
    out.driver = PortDriver::ethdev;
    out.device = device;
    return out;
  }
  rte_mempool* of(const std::string& device, int numa_node, unsigned queues = 1) {
    return pools_.of_port(config_, port(device), queues, numa_node).value();
  }

  Config config_;
  std::vector<std::string> said_;
  Pools pools_;
};

TEST_F(PoolsTest, PortsShareThePoolOfTheNode) {
  EXPECT_EQ(of("net_af_packet0,iface=x", -1), pools_.payloads());
  EXPECT_EQ(of("0000:01:00.0", 0), pools_.payloads());
  EXPECT_TRUE(said_.empty());
}

// This process has memory on NUMA node 0 alone.
TEST_F(PoolsTest, MemoryOfAnotherNumaNodeStandsInWithOneWarning) {
  EXPECT_EQ(of("0000:81:00.0", 5), pools_.payloads());
  EXPECT_EQ(of("0000:82:00.0", 5), pools_.payloads());
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("NUMA node 5"));
}

TEST_F(PoolsTest, XdpSocketsHaveBuffersOfTheirOwnWithinAPage) {
  rte_mempool* pool = of("net_af_xdp0,iface=x", -1, 2);
  EXPECT_NE(pool, pools_.payloads());
  EXPECT_GE(pool->size, 2 * 8192u);
  EXPECT_LE(rte_mempool_calc_obj_size(pool->elt_size, pool->flags, nullptr), 4096u);
  EXPECT_EQ(pools_.rows().back().pool, pool);
}

TEST_F(PoolsTest, APoolStaysUntilItsLastBufferIsBack) {
  rte_mempool* pool = of("net_af_xdp0,iface=x", -1);
  const std::string name = pool->name;
  rte_mbuf* under_way = rte_pktmbuf_alloc(pool);
  pools_.release(pool);
  pools_.sweep();
  EXPECT_NE(rte_mempool_lookup(name.c_str()), nullptr);
  rte_pktmbuf_free(under_way);
  pools_.sweep();
  EXPECT_EQ(rte_mempool_lookup(name.c_str()), nullptr);
  pools_.release(pools_.payloads());  // the node's own: stays
  EXPECT_NE(rte_pktmbuf_data_room_size(pools_.payloads()), 0);
}

TEST_F(PoolsTest, MemoryForThemIsAskedFor) {
  Config with = config_;
  with.ports = {port("net_null0")};
  Config with_xdp = config_;
  with_xdp.ports = {port("net_af_xdp0,iface=x")};
  EXPECT_GE(pool_memory_bytes(with_xdp), pool_memory_bytes(with) + 8192u * 2000u);
}

// A member has as many peers as it accepts links: each may have a full queue.
TEST_F(PoolsTest, AMemberHasBuffersForTheLinksThatItAccepts) {
  Config alone;
  Config member = alone;
  member.membership.address.emplace();
  Config wide = member;
  wide.membership.degree = 32;
  const auto queued = [](const Config& config) { return pool_sizes(config).payloads; };
  EXPECT_EQ(queued(member) - queued(alone), (12u - 4u) * 256u);
  EXPECT_EQ(queued(wide) - queued(alone), (48u - 4u) * 256u);
}

}  // namespace
}  // namespace chaincast::node
