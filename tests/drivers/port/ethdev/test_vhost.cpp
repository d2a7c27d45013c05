// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_eal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/random.hpp"
#include "drivers/port/ethdev/shared.hpp"
#include "support/mbufs.hpp"

// net_vhost and net_virtio_user back to back: segments and checksum offload for real. They share
// memory, so EAL needs hugepages: the test starts itself again as a process of its own with them.
namespace chaincast::port {
namespace {

using chaincast::test::random_bytes;

constexpr const char* child_mark = "CHAINCAST_TEST_VHOST";
constexpr unsigned hugepages_wanted = 128;
constexpr int exit_code_shortage = 77;  // of hugepages.py

TEST(Vhost, PairCarriesSharedSegmentsAndChecksumOffload) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to reserve hugepages";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = std::string(child_mark) +
                              "=1 python3 -B '" CHAINCAST_TESTS "/scenario/hugepages.py' " +
                              std::to_string(hugepages_wanted) + " timeout 240 '" + self +
                              "' --gtest_filter='*VhostChild.*' 2>&1";
  const int result = std::system(command.c_str());
  if (WIFEXITED(result) && WEXITSTATUS(result) == exit_code_shortage) {
    GTEST_SKIP() << "needs " << hugepages_wanted << " hugepages of 2 MiB";
  }
  EXPECT_EQ(result, 0) << "the child's output above says what failed";
}

struct Variant {
  const char* name;
  CopyMode copy;
  ChecksumMode checksum;
};

// None but in the process that has hugepages.
std::vector<Variant> variants() {
  if (std::getenv(child_mark) == nullptr) return {};
  return {{"SharedWithOffload", CopyMode::automatic, ChecksumMode::automatic},
          {"SharedWithoutOffload", CopyMode::automatic, ChecksumMode::software},
          {"LinearWithOffload", CopyMode::linear, ChecksumMode::automatic},
          {"LinearWithoutOffload", CopyMode::linear, ChecksumMode::software}};
}

class VhostChild : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    static bool is_started = false;
    if (!is_started) {
      const char* words[] = {"test",           "--in-memory", "--single-file-segments",
                             "--no-pci",       "-m",          "192",
                             "--no-telemetry", "--log-level", "error"};
      ASSERT_GE(rte_eal_init(static_cast<int>(std::size(words)), const_cast<char**>(words)), 0);
      is_started = true;
    }
    pool_ = rte_pktmbuf_pool_create("vhost", 8191, 0, 0, 2176, SOCKET_ID_ANY);
    ASSERT_NE(pool_, nullptr);
    path_ = (std::filesystem::temp_directory_path() /
             ("cc-vhost-" + std::to_string(getpid()) + ".sock"))
                .string();
    std::filesystem::remove(path_);
  }
  void TearDown() override {
    guest_.reset();
    host_.reset();
    if (pool_ == nullptr) return;
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
    rte_mempool_free(pool_);
  }
  std::unique_ptr<Port> open(const std::string& device, const std::string& address,
                             const std::string& address6, CopyMode copy, ChecksumMode checksum) {
    EthdevConfig config;
    config.name = device_of(device);
    config.device = device;
    config.addresses = {test::interface_address(address, 24),
                        test::interface_address(address6, 64)};
    config.udp_port = 7000;
    config.copy = copy;
    config.checksum = checksum;
    Result<std::unique_ptr<Port>> port = make_ethdev(config, pool_);
    if (!port.ok()) ADD_FAILURE() << port.error().message;
    if (!port.ok()) return nullptr;
    const Status started = (*port)->start();
    EXPECT_TRUE(started.ok());
    return std::move(port).value();
  }
  static std::string device_of(const std::string& text) { return text.substr(0, text.find(',')); }
  void turn(Port& port, std::vector<Bytes>& arrived) {
    stage::Datagram datagrams[64];
    const unsigned count = port.receive(0, datagrams, 64, drops_);
    for (unsigned i = 0; i < count; ++i) {
      arrived.emplace_back(datagrams[i].data, datagrams[i].data + datagrams[i].bytes);
      rte_pktmbuf_free(datagrams[i].mbuf);
    }
    port.control(clock_.now_ns());
    port.tick(0, clock_.now_ns());
  }
  template <typename Done>
  bool turn_until(Done&& is_done) {
    const TimeNs end_ns = clock_.now_ns() + 30 * ns_per_s;
    while (clock_.now_ns() < end_ns) {
      std::this_thread::yield();  // vhost's own threads may share the core
      turn(*host_, at_host_);
      turn(*guest_, at_guest_);
      if (is_done()) return true;
    }
    return false;
  }
  void exchange(Port& from, std::vector<Bytes>& arrived, const std::string& remote);
  void check_pair(CopyMode copy, ChecksumMode checksum);

  MonotonicClock clock_;
  rte_mempool* pool_ = nullptr;
  std::string path_;
  std::unique_ptr<Port> host_, guest_;
  std::vector<Bytes> at_host_, at_guest_;
  stage::Burst::Drops drops_;
  Random random_{3};
};

void VhostChild::exchange(Port& from, std::vector<Bytes>& arrived, const std::string& remote) {
  Destination to;
  ASSERT_TRUE(turn_until([&] {
    const Result<Destination> found = from.destination(test::endpoint(remote), 7000);
    if (found.ok()) to = found.value();
    return found.ok();
  })) << "unresolved: "
      << remote;
  for (const size_t bytes : {size_t{1}, size_t{64}, size_t{1408}}) {
    const Bytes payload = random_bytes(random_, bytes);
    std::vector<rte_mbuf*> copies = test::make_copies(pool_, to, payload, 32, from.capabilities());
    arrived.clear();
    unsigned sent = 0;
    ASSERT_TRUE(turn_until([&] {
      sent += from.transmit(0, to, copies.data() + sent, 32 - sent);
      return sent == 32 && arrived.size() == 32;
    })) << arrived.size()
        << " of 32 arrived at " << remote;
    EXPECT_EQ(arrived, std::vector<Bytes>(32, payload));
  }
}

void VhostChild::check_pair(CopyMode copy, ChecksumMode checksum) {
  host_ = open(test::unique_device("net_vhost") + ",iface=" + path_ + ",queues=1", "192.0.2.1",
               "2001:db8::1", copy, checksum);
  ASSERT_NE(host_, nullptr);
  guest_ = open(test::unique_device("net_virtio_user") + ",path=" + path_ + ",queues=1",
                "192.0.2.2", "2001:db8::2", copy, checksum);
  ASSERT_NE(guest_, nullptr);
  for (const auto* port : {host_.get(), guest_.get()}) {
    const Capabilities can = port->capabilities();
    std::printf("%s: shared_segments %d udp_checksum %d ipv4_checksum %d\n",
                port->info().driver.c_str(), can.shared_segments, can.udp_checksum,
                can.ipv4_checksum);
    EXPECT_EQ(can.shared_segments, copy != CopyMode::linear);
    if (checksum == ChecksumMode::software) {
      EXPECT_FALSE(can.udp_checksum);
    }
  }
  for (const bool is_ipv6 : {false, true}) {
    exchange(*host_, at_guest_, is_ipv6 ? "[2001:db8::2]:7000" : "192.0.2.2:7000");
    exchange(*guest_, at_host_, is_ipv6 ? "[2001:db8::1]:7000" : "192.0.2.1:7000");
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(drops_.read(stage::Drop::rx_udp_checksum), 0u);
  EXPECT_EQ(drops_.read(stage::Drop::rx_ip_checksum), 0u);
}

TEST_P(VhostChild, CarriesDatagramsBothWays) {
  check_pair(GetParam().copy, GetParam().checksum);
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(VhostChild);
INSTANTIATE_TEST_SUITE_P(Copies, VhostChild, testing::ValuesIn(variants()),
                         [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace chaincast::port
