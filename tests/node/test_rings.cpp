// SPDX-License-Identifier: BSD-3-Clause
// Nodes in one process, joined by net_ring devices: what one sends is a pointer in the other's
// ring.
#include <gtest/gtest.h>
#include <rte_eth_ring.h>
#include <unistd.h>

#include <filesystem>

#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "identity/identity.hpp"
#include "node/node.hpp"
#include "support/eal.hpp"
#include "support/inbox.hpp"
#include "support/random.hpp"

namespace chaincast::node {
namespace {

namespace fs = std::filesystem;
using test::Inbox;

// n0, n1 and n2 in a row; n0 publishes frames that only large packets carry.
class Rings : public testing::Test {
 protected:
  Rings() {
    fs::create_directories(directory_);
    for (const char* name : {"link.secret", "s.secret"}) {
      EXPECT_TRUE(identity::create_secret(*toolbox_, (directory_ / name).string()).ok());
    }
    join(0);
    join(1);
    for (unsigned n = 0; n < 3; ++n) start(n);
  }
  ~Rings() override {
    nodes_.clear();  // which close the devices
    for (rte_ring* ring : rings_) rte_ring_free(ring);
    fs::remove_all(directory_);
  }
  // The devices net_ring_LINKa of node `link` and net_ring_LINKb of the next one.
  void join(unsigned link) {
    rte_ring* ways[2];
    for (unsigned way = 0; way < 2; ++way) {
      const std::string name = "way" + std::to_string(link) + std::to_string(way);
      ways[way] = rte_ring_create(name.c_str(), 1024, SOCKET_ID_ANY, 0);
      ASSERT_NE(ways[way], nullptr);
      rings_.push_back(ways[way]);
    }
    for (unsigned end = 0; end < 2; ++end) {
      const std::string name = std::to_string(link) + (end == 0 ? "a" : "b");
      const int device = rte_eth_from_rings(name.c_str(), &ways[end], 1, &ways[1 - end], 1, 0);
      ASSERT_GE(device, 0);
    }
  }
  static std::string port_and_peer(unsigned link, unsigned end, unsigned other) {
    const std::string number = std::to_string(link), name = number + (end == 0 ? "a" : "b");
    return "[[port]]\nname = \"p" + number + "\"\ndriver = \"ethdev\"\nmtu = 9000\n" +
           "device = \"net_ring_" + name + "\"\nip = [\"10.0." + number + "." +
           std::to_string(1 + end) + "/24\"]\n[[peer]]\nname = \"n" + std::to_string(other) +
           "\"\nport = \"p" + number + "\"\naddress = \"10.0." + number + "." +
           std::to_string(2 - end) + ":7000\"\nsecret = \"link.secret\"\n";
  }
  void start(unsigned n) {
    const std::string key = "n" + std::to_string(n) + ".key";
    ASSERT_TRUE(identity::create_identity(*toolbox_, (directory_ / key).string()).ok());
    std::string text = "[node]\nname = \"n" + std::to_string(n) + "\"\nkey = \"" + key +
                       "\"\nnetwork = \"rings\"\npool_mbufs = 12000\n";
    if (n > 0) text += port_and_peer(n - 1, 1, n - 1);
    if (n < 2) text += port_and_peer(n, 0, n + 1);
    text += "[[stream]]\nname = \"s\"\nsecret = \"s.secret\"\npayload = \"jumbo\"\n";
    if (n == 0) text += "publish = true\n";
    auto config = parse_config(text, "n.toml", directory_.string());
    ASSERT_TRUE(config.ok()) << config.error().message;
    auto made = Node::create(std::move(config).value(), environment_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    nodes_.push_back(std::move(made).value());
  }
  template <typename Done>
  bool run_until(Done&& is_done) {
    const TimeNs end_ns = clock_.now_ns() + 60 * ns_per_s;
    while (!is_done()) {
      if (clock_.now_ns() > end_ns) return false;
      for (auto& node : nodes_) node->step(clock_.now_ns());
    }
    return true;
  }

  MonotonicClock clock_;
  const base::ThreadStarter& threads_ = test::ensure_eal();
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<worker::Threads> worker_threads_ = worker::make_registered_threads(threads_);
  Environment environment_ = factory::make_environment(threads_, *worker_threads_, *toolbox_,
                                                       [](LogLevel, const std::string&) {});
  const fs::path directory_ = fs::temp_directory_path() / ("cc-rings-" + std::to_string(getpid()));
  std::vector<rte_ring*> rings_;
  Inbox inbox_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(Rings, RelayLargeFramesExactlyOnce) {
  ASSERT_EQ(nodes_.size(), 3u);
  ASSERT_TRUE(run_until([&] {
    const auto info = nodes_[2]->stream("s");
    return info.ok() && info->stream.value != 0;
  })) << "the stream did not become known at the end of the row";
  ASSERT_TRUE(nodes_[2]->subscribe("s", &inbox_).ok());
  Random random(5);
  std::vector<Bytes> objects;
  for (unsigned i = 0; i < 50; ++i) {
    objects.push_back(test::random_bytes(random, 8000 + random.below(40'000)));
    ASSERT_TRUE(run_until(
        [&] { return nodes_[0]->publish("s", objects.back()).state != cli::PublishState::busy; }));
  }
  EXPECT_TRUE(
      run_until([&] { return inbox_.objects.size() >= objects.size() || inbox_.lost > 0; }));
  EXPECT_EQ(inbox_.lost, 0u);
  EXPECT_TRUE(inbox_.objects == objects);
  const port::Counters at_relay = nodes_[1]->ports()[0]->port->counters();
  EXPECT_GT(at_relay.rx_bytes / at_relay.rx_packets, 2000u) << "the frames were small";
  EXPECT_EQ(nodes_[2]->drops(stage::Drop::duplicate), 0u);
}

}  // namespace
}  // namespace chaincast::node
