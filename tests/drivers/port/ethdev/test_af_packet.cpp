// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.hpp"
#include "drivers/port/ethdev/shared.hpp"
#include "port/kinds.hpp"
#include "support/eal.hpp"
#include "support/mbufs.hpp"

// net_af_packet against Linux: our port on one end of a veth pair, the kernel's stack, in a
// namespace of its own, on the other. Needs root; nothing outside the two namespaces is touched.
namespace chaincast::port {
namespace {

using chaincast::test::random_bytes;
using testing::HasSubstr;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool run(const std::string& command) {
  return std::system((command + " >/dev/null").c_str()) == 0;
}

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  CC_ASSERT(pipe != nullptr);
  std::string out;
  for (int c; (c = std::fgetc(pipe)) != EOF;) out.push_back(static_cast<char>(c));
  pclose(pipe);
  return out;
}

class AfPacket : public testing::Test {
 protected:
  void SetUp() override {
    chaincast::test::ensure_eal();
    if (getuid() != 0 || !run("command -v ip")) GTEST_SKIP() << "needs root and iproute2";
    home_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ours_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    child_ = fork();  // holds the other namespace until its pipe closes
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      unshare(CLONE_NEWNET);
      pause();
      _exit(0);
    }
    const std::string pid = std::to_string(child_);
    ASSERT_TRUE(run("ip link add ours type veth peer name theirs"));
    // Until the child has left our namespace the interface moves nowhere.
    bool is_moved = false;
    for (int i = 0; i < 200 && !is_moved; ++i) {
      is_moved = run("ip link set theirs netns " + pid + " 2>/dev/null") &&
                 !run("ip link show theirs 2>/dev/null");
    }
    ASSERT_TRUE(is_moved);
    theirs_ = open(("/proc/" + pid + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
    inside_ = "nsenter --net=/proc/" + pid + "/ns/net ";
    ASSERT_TRUE(run("sysctl -qw net.ipv6.conf.ours.disable_ipv6=1"));
    ASSERT_TRUE(run("ip link set ours up"));
    ASSERT_TRUE(run(inside_ + "ip link set lo up"));
    ASSERT_TRUE(run(inside_ + "ip addr add 192.0.2.2/24 dev theirs"));
    ASSERT_TRUE(run(inside_ + "ip addr add 2001:db8::2/64 dev theirs nodad"));
    ASSERT_TRUE(run(inside_ + "ip link set theirs up"));
    pool_ = chaincast::test::make_pool(2047);
  }
  void TearDown() override {
    port_.reset();
    if (pool_ != nullptr) {
      EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
      rte_mempool_free(pool_);
    }
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (home_ >= 0) {
      ASSERT_EQ(setns(home_, CLONE_NEWNET), 0);
    }
    for (const int fd : {home_, ours_, theirs_}) {
      if (fd >= 0) close(fd);
    }
  }

  EthdevConfig config() const {
    EthdevConfig out;
    out.name = "p1";
    out.device = test::unique_device("net_af_packet") + ",iface=ours";
    out.addresses = {test::interface_address("192.0.2.1", 24),
                     test::interface_address("2001:db8::1", 64)};
    out.gateway_v4 = *parse_address("192.0.2.2");
    out.udp_port = 7000;
    return out;
  }
  void open_port(const EthdevConfig& config) {
    Result<std::unique_ptr<Port>> port = make_ethdev(config, pool_);
    ASSERT_TRUE(port.ok()) << port.error().message;
    port_ = std::move(port).value();
    ASSERT_TRUE(port_->start().ok());
  }
  // A socket of the other namespace.
  int socket_there(int family, int type, int protocol) const {
    CC_ASSERT(setns(theirs_, CLONE_NEWNET) == 0);
    const int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    CC_ASSERT(setns(ours_, CLONE_NEWNET) == 0);
    CC_ASSERT(fd >= 0);
    return fd;
  }
  // Lets the port work until `is_done` or five seconds are over; datagrams are gathered.
  template <typename Done>
  bool turn_until(Done&& is_done) {
    const MonotonicClock clock;
    const TimeNs end_ns = clock.now_ns() + 5 * ns_per_s;
    while (clock.now_ns() < end_ns) {
      stage::Datagram datagrams[64];
      const unsigned count = port_->receive(0, datagrams, 64, drops_);
      for (unsigned i = 0; i < count; ++i) {
        arrived_.emplace_back(datagrams[i].data, datagrams[i].data + datagrams[i].bytes);
        source_ = datagrams[i].source;
        rte_pktmbuf_free(datagrams[i].mbuf);
      }
      port_->control(clock.now_ns());
      port_->tick(0, clock.now_ns());
      if (is_done()) return true;
    }
    return false;
  }
  Destination resolve(const Endpoint& remote) {
    Destination out;
    EXPECT_TRUE(turn_until([&] {
      const Result<Destination> found = port_->destination(remote, 7000);
      if (found.ok()) out = found.value();
      return found.ok();
    }));
    return out;
  }
  // An echo request by the kernel; true when the matching reply came.
  bool ping(bool is_ipv6);
  void exchange(bool is_ipv6);

  int home_ = -1, ours_ = -1, theirs_ = -1;
  pid_t child_ = -1;
  std::string inside_;
  rte_mempool* pool_ = nullptr;
  std::unique_ptr<Port> port_;
  stage::Burst::Drops drops_;
  std::vector<Bytes> arrived_;
  Endpoint source_;
  Random random_{5};
};

socklen_t address_of(bool is_ipv6, const char* text, uint16_t port, sockaddr_storage& out) {
  out = {};
  if (is_ipv6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, text, &v6->sin6_addr);
    return sizeof *v6;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  inet_pton(AF_INET, text, &v4->sin_addr);
  return sizeof *v4;
}

bool AfPacket::ping(bool is_ipv6) {
  const Descriptor fd(socket_there(is_ipv6 ? AF_INET6 : AF_INET, SOCK_RAW,
                                   is_ipv6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
  Bytes request = {static_cast<uint8_t>(is_ipv6 ? 128 : 8), 0, 0, 0, 0x12, 0x34, 0, 1};
  const Bytes data = random_bytes(random_, 601);
  request.insert(request.end(), data.begin(), data.end());
  if (!is_ipv6) store_be16(&request[2], test::naive_checksum(request));
  sockaddr_storage to;
  const socklen_t size = address_of(is_ipv6, is_ipv6 ? "2001:db8::1" : "192.0.2.1", 0, to);
  const auto sent =
      sendto(fd.get(), request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&to), size);
  EXPECT_EQ(sent, static_cast<ssize_t>(request.size()));
  return turn_until([&] {
    uint8_t reply[2048];
    const ssize_t got = recv(fd.get(), reply, sizeof reply, 0);
    if (got <= 0) return false;
    // IPv4 raw sockets hand out the IP header, IPv6 ones do not.
    const size_t skip = is_ipv6 ? 0 : 20;
    const Bytes message(reply + skip, reply + got);
    return message.size() == request.size() && message[0] == (is_ipv6 ? 129 : 0) &&
           std::equal(message.begin() + 4, message.end(), request.begin() + 4);
  });
}

// Datagrams both ways between the port and a kernel socket, which verifies our UDP checksums.
void AfPacket::exchange(bool is_ipv6) {
  const Descriptor fd(socket_there(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0));
  const char* theirs = is_ipv6 ? "2001:db8::2" : "192.0.2.2";
  sockaddr_storage local;
  const socklen_t size = address_of(is_ipv6, theirs, 7100, local);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&local), size), 0);
  const std::string remote = is_ipv6 ? "[2001:db8::2]:7100" : "192.0.2.2:7100";
  const Destination to = resolve(test::endpoint(remote));
  for (const size_t bytes : {size_t{1}, size_t{64}, size_t{777}, size_t{1400}}) {
    const Bytes payload = random_bytes(random_, bytes);
    std::vector<rte_mbuf*> copies = test::make_copies(pool_, to, payload, 4, port_->capabilities());
    ASSERT_EQ(port_->transmit(0, to, copies.data(), 4), 4u);
    for (int i = 0; i < 4; ++i) {
      uint8_t got[2048];
      ssize_t count = -1;
      ASSERT_TRUE(turn_until([&] { return (count = recv(fd.get(), got, sizeof got, 0)) >= 0; }));
      ASSERT_EQ(Bytes(got, got + count), payload);
    }
    sockaddr_storage us;
    const socklen_t us_size = address_of(is_ipv6, is_ipv6 ? "2001:db8::1" : "192.0.2.1", 7000, us);
    arrived_.clear();
    ASSERT_EQ(sendto(fd.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&us),
                     us_size),
              static_cast<ssize_t>(payload.size()));
    ASSERT_TRUE(turn_until([&] { return !arrived_.empty(); }));
    EXPECT_EQ(arrived_, std::vector<Bytes>{payload});
    EXPECT_EQ(to_text(source_), remote);
  }
}

TEST_F(AfPacket, LinuxGetsEchoRepliesOverArpAndNdp) {
  open_port(config());
  EXPECT_TRUE(ping(false));
  EXPECT_TRUE(ping(true));
  const std::string mac = port_->info().mac;
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    EXPECT_THAT(output_of(inside_ + "ip neigh show " + address), HasSubstr("lladdr " + mac));
  }
}

TEST_F(AfPacket, DatagramsPassBothWaysWithSharedAndLinearCopies) {
  EthdevConfig shared = config();
  open_port(shared);
  RecordProperty("shared_segments", port_->capabilities().shared_segments);
  exchange(false);
  exchange(true);
  port_.reset();
  EthdevConfig linear = config();
  linear.copy = CopyMode::linear;
  open_port(linear);
  EXPECT_FALSE(port_->capabilities().shared_segments);
  exchange(false);
  exchange(true);
}

// The kernel takes the tag out of the frame and reports it beside; the driver hands it on.
TEST_F(AfPacket, TagsArriveThroughTheKernelsStripping) {
  EthdevConfig tagged = config();
  tagged.vlan = 42;
  open_port(tagged);
  const Descriptor fd(socket_there(AF_PACKET, SOCK_RAW, 0));
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_ifindex = std::stoi(output_of(inside_ + "ip -o link show theirs"));
  for (const uint16_t vlan : {uint16_t{42}, uint16_t{43}, no_vlan}) {
    const Bytes frame = test::build_frame({.source_mac = {2, 0, 0, 0, 0, 7},
                                           .destination_mac = *parse_mac(port_->info().mac),
                                           .vlan = vlan,
                                           .source = test::endpoint("192.0.2.2:7100"),
                                           .remote = test::endpoint("192.0.2.1:7000")},
                                          Bytes(100, static_cast<uint8_t>(vlan)));
    ASSERT_EQ(sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&link),
                     sizeof link),
              static_cast<ssize_t>(frame.size()));
  }
  ASSERT_TRUE(
      turn_until([&] { return !arrived_.empty() && drops_.read(stage::Drop::rx_not_ours) >= 2; }));
  EXPECT_EQ(arrived_, std::vector<Bytes>{Bytes(100, 42)});
}

TEST_F(AfPacket, RemotesBehindTheGatewayGoToItsMac) {
  open_port(config());
  const Destination gateway = resolve(test::endpoint("192.0.2.2:7100"));
  const Destination far = resolve(test::endpoint("198.51.100.7:7100"));
  EXPECT_TRUE(std::equal(far.header.begin(), far.header.begin() + 14, gateway.header.begin()));
  EXPECT_EQ(to_text(far.remote), "198.51.100.7:7100");
}

TEST_F(AfPacket, KernelAddressBelowThePortIsRefused) {
  ASSERT_TRUE(run("ip addr add 192.0.2.1/24 dev ours"));
  const auto port = make_ethdev(config(), pool_);
  ASSERT_FALSE(port.ok());
  EXPECT_THAT(port.error().message, HasSubstr("ip address del 192.0.2.1/24 dev ours"));
}

// The driver drops a packet that is larger than its frames: taken, all the same.
TEST_F(AfPacket, APacketBeyondItsFramesIsTakenOnce) {
  open_port(config());
  const Destination to = resolve(test::endpoint("192.0.2.2:9000"));
  const Capabilities can = port_->capabilities();
  std::vector<rte_mbuf*> packets = test::make_copies(pool_, to, Bytes(2000, 7), 1, can);
  for (rte_mbuf* small : test::make_copies(pool_, to, Bytes(100, 7), 3, can)) {
    packets.push_back(small);
  }
  EXPECT_EQ(port_->transmit(0, to, packets.data(), 4), 4u);
  EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
}

TEST_F(AfPacket, SeesItsLinkGoAndComeAndItsDeviceVanish) {
  open_port(config());
  ASSERT_TRUE(turn_until([&] { return port_->has_link(); }));
  ASSERT_TRUE(run(inside_ + "ip link set theirs down"));
  EXPECT_TRUE(turn_until([&] { return !port_->has_link(); }));
  EXPECT_TRUE(port_->info().is_present);
  EXPECT_FALSE(port_->info().is_up);
  ASSERT_TRUE(run(inside_ + "ip link set theirs up"));
  EXPECT_TRUE(turn_until([&] { return port_->has_link(); }));
  ASSERT_TRUE(port_->set_link(false).ok());
  EXPECT_TRUE(turn_until([&] { return !port_->has_link(); }));
  ASSERT_TRUE(run("ip link del ours"));
  EXPECT_TRUE(turn_until([&] { return !port_->info().is_present; }));
  const Status reset = port_->reset();
  ASSERT_FALSE(reset.ok());
  EXPECT_THAT(reset.error().message, HasSubstr("'ours'"));
  EXPECT_FALSE(port_->start().ok());
}

TEST_F(AfPacket, TakesLargeFramesWhereInterfaceAndBuffersDo) {
  EthdevConfig wanted = config();
  wanted.mtu_bytes = 9000;
  rte_mempool* large = chaincast::test::make_pool(1023, buffer_bytes(wanted.device, 9000));
  const auto refused = make_ethdev(wanted, large);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("MTU 9000 exceeds the 1500 of interface 'ours'"));
  ASSERT_TRUE(run("ip link set ours mtu 9000") && run(inside_ + "ip link set theirs mtu 9000"));
  std::swap(pool_, large);
  open_port(wanted);
  EXPECT_EQ(port_->capabilities().mtu_bytes, 9000);
  const Destination to = resolve(test::endpoint("192.0.2.2:9000"));
  const Descriptor there(socket_there(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9000);
  ASSERT_EQ(bind(there.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const Bytes payload(8972, 7);
  std::vector<rte_mbuf*> copies = test::make_copies(pool_, to, payload, 1, port_->capabilities());
  ASSERT_EQ(port_->transmit(0, to, copies.data(), 1), 1u);
  Bytes got(9100);
  ssize_t bytes = -1;
  EXPECT_TRUE(turn_until([&] {
    bytes = recv(there.get(), got.data(), got.size(), MSG_DONTWAIT);
    return bytes >= 0;
  }));
  got.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
  EXPECT_EQ(got, payload);
  port_.reset();
  std::swap(pool_, large);
  EXPECT_EQ(rte_mempool_in_use_count(large), 0u);
  rte_mempool_free(large);
}

}  // namespace
}  // namespace chaincast::port
