// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "drivers/port/ethdev/shared.hpp"
#include "port/ethdev/device.hpp"
#include "support/eal.hpp"

namespace chaincast::port::ethdev {
namespace {

using testing::AllOf;
using testing::HasSubstr;

EthdevConfig config_of(const std::string& device) {
  EthdevConfig out;
  out.name = "p1";
  out.device = device;
  out.udp_port = 7000;
  return out;
}

TEST(Device, TellsPciAddresses) {
  for (const char* name : {"0000:01:00.0", "01:00.1", "abCD:ff:1f.7"}) {
    EXPECT_TRUE(is_pci_address(name)) << name;
  }
  for (const char* name : {"net_null0", "0000:01:00.8", "1:00.0", "", "0000:01:00.00"}) {
    EXPECT_FALSE(is_pci_address(name)) << name;
  }
}

TEST(Device, SegmentTableOverridesWhatDriversAdvertise) {
  EXPECT_TRUE(takes_segments("net_null", 0));
  EXPECT_TRUE(takes_segments("net_pcap", 0));
  EXPECT_FALSE(takes_segments("net_af_xdp", RTE_ETH_TX_OFFLOAD_MULTI_SEGS));
  EXPECT_TRUE(takes_segments("net_ixgbe", RTE_ETH_TX_OFFLOAD_MULTI_SEGS));
  EXPECT_FALSE(takes_segments("net_ixgbe", RTE_ETH_TX_OFFLOAD_UDP_CKSUM));
}

class FakeSysfs {
 public:
  FakeSysfs() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cc-sysfs-XXXXXX").string();
    CC_ASSERT(mkdtemp(pattern.data()) != nullptr);
    root = pattern;
    std::filesystem::create_directories(root + "/bus/pci/devices/0000:01:00.0");
    std::filesystem::create_directories(root + "/bus/pci/drivers/ixgbe");
    std::filesystem::create_directories(root + "/bus/pci/drivers/vfio-pci");
  }
  ~FakeSysfs() { std::filesystem::remove_all(root); }
  void bind(const std::string& driver) const {
    std::filesystem::create_directory_symlink(root + "/bus/pci/drivers/" + driver,
                                              root + "/bus/pci/devices/0000:01:00.0/driver");
  }
  std::string root;
};

TEST(Diagnose, NamesNicsInTheKernelsHands) {
  test::interface_address("192.0.2.1", 24);
  chaincast::test::ensure_eal();
  const FakeSysfs sysfs;
  Status status = diagnose(config_of("0000:02:00.0"), sysfs.root);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::not_found);
  EXPECT_THAT(status.error().message, AllOf(HasSubstr("0000:02:00.0"), HasSubstr("--status")));

  status = diagnose(config_of("01:00.0"), sysfs.root);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("bound to no driver"));

  sysfs.bind("ixgbe");
  status = diagnose(config_of("01:00.0"), sysfs.root);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, AllOf(HasSubstr("kernel driver ixgbe"),
                                            HasSubstr("dpdk-devbind.py -b vfio-pci 0000:01:00.0")));
}

TEST(Diagnose, NamesMissingHugepages) {
  chaincast::test::ensure_eal();  // without any
  const FakeSysfs sysfs;
  sysfs.bind("vfio-pci");
  for (const char* device : {"0000:01:00.0", "net_virtio_user0,path=/tmp/none"}) {
    const Status status = diagnose(config_of(device), sysfs.root);
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.error().message, AllOf(HasSubstr("hugepages"), HasSubstr("nr_hugepages")));
  }
}

TEST(Diagnose, NamesMissingInterfacesAndTheKernelsAddresses) {
  EthdevConfig config = config_of("net_af_packet0,iface=nosuch0");
  Status status = diagnose(config);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, AllOf(HasSubstr("'nosuch0'"), HasSubstr("ip link")));

  config.device = "net_af_packet0,iface=lo";
  config.addresses = {test::interface_address("127.0.0.1", 8)};
  status = diagnose(config);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::refused);
  EXPECT_THAT(status.error().message, getuid() == 0
                                          ? HasSubstr("the kernel has address 127.0.0.1 on 'lo'")
                                          : HasSubstr("CAP_NET_RAW"));
}

TEST(MakeEthdev, NamesUnknownDevices) {
  rte_mempool* pool = chaincast::test::make_pool(255);
  const auto port = make_ethdev(config_of("net_nosuch0"), pool);
  ASSERT_FALSE(port.ok());
  EXPECT_THAT(port.error().message, AllOf(HasSubstr("'p1'"), HasSubstr("net_nosuch0")));
  rte_mempool_free(pool);
}

}  // namespace
}  // namespace chaincast::port::ethdev
