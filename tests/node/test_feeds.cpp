// SPDX-License-Identifier: BSD-3-Clause
// An application's bytes from one node's feed to another's: two whole nodes, each with its own
// control thread, and two UDP sockets that follow docs/rest.md.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "console/feed/feed.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "identity/identity.hpp"
#include "node/node.hpp"
#include "support/eal.hpp"
#include "support/feed_socket.hpp"
#include "support/random.hpp"

namespace chaincast::node {
namespace {

namespace fs = std::filesystem;

// One of two nodes that are linked, with a feed and a thread that runs it.
class FedNode {
 public:
  FedNode(Config config, bool is_host, const Environment& environment) {
    EXPECT_TRUE(resolve_config(config).empty());
    auto made = Node::create(std::move(config), environment);
    EXPECT_TRUE(made.ok()) << made.error().message;
    node_ = std::move(made).value();
    auto opened = console::Feed::open({"s", is_host, feed::object_bytes_max}, *node_);
    EXPECT_TRUE(opened.ok());
    feed_ = std::move(opened).value();
    node_->attach(*feed_);
    EXPECT_TRUE(node_->start_workers().ok());
    thread_ = std::jthread([this] { EXPECT_EQ(node_->run(), 0); });
  }
  ~FedNode() {
    node_->request_stop();
    thread_.join();
  }
  FedNode(const FedNode&) = delete;
  FedNode& operator=(const FedNode&) = delete;
  const console::Feed& feed() const { return *feed_; }

 private:
  std::unique_ptr<Node> node_;
  std::unique_ptr<console::Feed> feed_;
  std::jthread thread_;
};

class Feeds : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("cc-feeds-" + std::to_string(getpid()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    for (const char* name : {"link", "stream"}) {
      EXPECT_TRUE(identity::create_secret(*toolbox_, path(name)).ok());
    }
    for (const char* name : {"a", "b"}) {
      EXPECT_TRUE(identity::create_identity(*toolbox_, path(name)).ok());
    }
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  // Below the ephemeral range; apart for test programs that run side by side.
  static Endpoint address(unsigned node) {
    const auto port = 28'000 + static_cast<unsigned>(getpid() % 1000) * 4 + node * 2;
    return {{127, 0, 0, 1}, static_cast<uint16_t>(port), false};
  }
  Config config_of(unsigned n) const {
    Config out;
    out.node.name = n == 0 ? "a" : "b";
    out.node.key_file = path(out.node.name);
    out.node.network = "feeds";
    out.node.pool_mbufs = 16'000;
    out.ports.emplace_back();
    out.ports[0].name = "lo";
    out.ports[0].address = address(n);
    out.peers.emplace_back();
    out.peers[0].name = n == 0 ? "b" : "a";
    out.peers[0].address = address(1 - n);
    out.peers[0].secret_file = path("link");
    out.streams.emplace_back();
    out.streams[0].name = "s";
    out.streams[0].secret_file = path("stream");
    out.streams[0].publish = n == 0;
    return out;
  }

  const base::ThreadStarter& threads_ = test::ensure_eal();
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<worker::Threads> worker_threads_ = worker::make_registered_threads(threads_);
  Environment environment_ = factory::make_environment(threads_, *worker_threads_, *toolbox_,
                                                       [](LogLevel, const std::string&) {});
  fs::path directory_;
};

// Sends an object once the answers say that what is on its way is little.
class Feeder {
 public:
  explicit Feeder(uint16_t port) : application_(port, 60) {}
  bool put(ByteSpan object) {
    while (sent_ - taken_ >= 4) {
      const auto datagram = application_.receive();
      const auto answer = datagram ? feed::parse_answer(*datagram) : std::nullopt;
      if (!answer || answer->refused > 0) return false;
      taken_ = answer->taken;
    }
    application_.send(object);
    ++sent_;
    return true;
  }

 private:
  test::FeedSocket application_;
  uint64_t sent_ = 0, taken_ = 0;
};

TEST_F(Feeds, EveryByteArrivesInOrder) {
  FedNode host(config_of(0), true, environment_), member(config_of(1), false, environment_);
  Random random(7);
  std::vector<Bytes> objects;
  for (unsigned i = 0; i < 400; ++i) {
    objects.push_back(test::random_bytes(random, 1 + random.below(i % 8 == 0 ? 65'507 : 4'000)));
  }
  std::jthread feeding([&] {
    Feeder feeder(host.feed().udp_port());
    for (const Bytes& object : objects) ASSERT_TRUE(feeder.put(object));
  });
  test::FeedSocket reader(member.feed().udp_port(), 60);
  std::vector<Bytes> got;
  for (uint32_t number = 1; got.size() < objects.size(); ++number) {
    reader.send(feed::encode(feed::Request{1, number, 150'000, got.size(), 1000}));
    auto datagram = reader.receive();
    for (; datagram && !datagram->empty(); datagram = reader.receive()) got.push_back(*datagram);
    ASSERT_TRUE(datagram.has_value()) << "after " << got.size() << " objects";
  }
  EXPECT_EQ(got, objects);
  const ops::Json counts = member.feed().describe();
  EXPECT_EQ(counts["objects"], objects.size());
  EXPECT_EQ(counts["lost_frames"], 0u);
  EXPECT_EQ(counts["unseen"], 0u);
}

}  // namespace
}  // namespace chaincast::node
