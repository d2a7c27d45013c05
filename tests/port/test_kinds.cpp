// SPDX-License-Identifier: BSD-3-Clause
#include "port/kinds.hpp"

#include <gtest/gtest.h>

#include <set>

namespace chaincast::port {
namespace {

unsigned number(const std::string& device, const std::string& key) {
  const std::string text = device_argument(device, key);
  return text.empty() ? 0 : static_cast<unsigned>(std::stoul(text));
}

TEST(Kinds, AreFoundByDeviceStringAndDriverName) {
  std::set<std::string_view> names;
  for (const Kind& kind : kinds()) {
    EXPECT_TRUE(names.insert(kind.driver).second) << kind.driver;
    EXPECT_EQ(kind_of(kind.driver).driver, kind.driver);
    EXPECT_EQ(kind_of(std::string(kind.driver) + "3,iface=x").driver, kind.driver);
  }
  EXPECT_EQ(kind_of("0000:01:00.0").driver, "");
  EXPECT_EQ(kind_of("net_ixgbe").driver, "");
}

TEST(Kinds, ReadDeviceStrings) {
  const std::string device = "net_af_packet0,iface=veth0,framesz=2048";
  EXPECT_EQ(device_name(device), "net_af_packet0");
  EXPECT_EQ(device_name("0000:01:00.0"), "0000:01:00.0");
  EXPECT_EQ(device_argument(device, "iface"), "veth0");
  EXPECT_EQ(device_argument(device, "framesz"), "2048");
  EXPECT_EQ(device_argument("net_af_packet0,iface=veth0", "qpairs"), "");
  EXPECT_EQ(interface_below(device), "veth0");
  EXPECT_EQ(interface_below("net_vhost0,iface=/tmp/socket"), "");
}

// The kernel wants blocks of whole pages, and DPDK takes frames to follow each other without a gap.
TEST(Kinds, PacketSocketsGetFramesForTheirMtu) {
  const std::string device = "net_af_packet0,iface=veth0";
  EXPECT_EQ(complete_device(device, 1500), device);
  for (const uint16_t mtu : std::initializer_list<uint16_t>{2000, 4000, 4096, 9000, 16000}) {
    const std::string complete = complete_device(device, mtu);
    const unsigned frame = number(complete, "framesz");
    EXPECT_GE(frame, mtu + 18u + 68u) << complete;
    EXPECT_EQ(frame % 4096, 0u) << complete;
    EXPECT_EQ(frame, number(complete, "blocksz")) << complete;
    // net_af_packet refuses a buffer that its largest frame may not fit.
    EXPECT_GE(buffer_bytes(device, mtu), frame + 128u - 52u);
  }
  const std::string own = device + ",framesz=16384,blocksz=16384";
  EXPECT_EQ(complete_device(own, 9000), own);
}

TEST(Kinds, SharedMemoryBuffersHoldWholePackets) {
  const std::string device = "net_memif0,role=client";
  EXPECT_EQ(complete_device(device, 1500), device);
  EXPECT_GE(number(complete_device(device, 9000), "bsize"), 9018u);
  EXPECT_EQ(complete_device(device + ",bsize=12288", 9000), device + ",bsize=12288");
}

TEST(Kinds, LibpcapTakesTheAddressOfItsInterface) {
  EXPECT_EQ(complete_device("net_pcap0,iface=v", 1500), "net_pcap0,iface=v,phy_mac=1");
  EXPECT_EQ(complete_device("net_pcap0,iface=v,phy_mac=0", 1500), "net_pcap0,iface=v,phy_mac=0");
  EXPECT_EQ(complete_device("net_pcap0,rx_pcap=f", 1500), "net_pcap0,rx_pcap=f");
}

TEST(Kinds, BuffersAreLargeEnoughForTheMtuTheyAreMadeFor) {
  for (const Kind& kind : kinds()) {
    for (unsigned mtu = 1280; mtu <= 9600; mtu += 40) {
      const std::string device = std::string(kind.driver) + "0,iface=x";
      const auto asked = static_cast<uint16_t>(mtu);
      EXPECT_GE(mtu_within(device, buffer_bytes(device, asked)), asked) << device;
    }
  }
  // Of one page, an XDP socket leaves 3,502 bytes to an IP packet (64 + 128 are DPDK's).
  EXPECT_EQ(mtu_within("net_af_xdp0", 4096 - 64 - 128), 3502);
  EXPECT_LT(mtu_within("net_pcap0", 20'000), 9728);
}

}  // namespace
}  // namespace chaincast::port
