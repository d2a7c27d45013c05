// SPDX-License-Identifier: BSD-3-Clause
// Nodes that nobody may dial, as whole nodes over TLS and kernel sockets on loopback: what their
// tracker carries, tells and forwards. There is no NAT here; tests/scenario/test_nat.py has some.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "node/node.hpp"
#include "support/eal.hpp"
#include "support/inbox.hpp"

namespace chaincast::node {
namespace {

namespace fs = std::filesystem;

class Crossed : public testing::Test {
 protected:
  Crossed() {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    EXPECT_TRUE(identity::create_secret(*toolbox_, path("news.secret")).ok());
  }
  ~Crossed() override {
    nodes_.clear();
    fs::remove_all(directory_);
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  // 0 is the tracker, 1 the host, the others members.
  static std::string place(unsigned n, unsigned port = 0) {
    const auto base = 24'000 + static_cast<unsigned>(getpid() % 100) * 80;
    return "\"127.0.0.1:" + std::to_string(base + n * 10 + port) + "\"";
  }
  void add(const std::string& membership) {
    const auto n = static_cast<unsigned>(nodes_.size());
    const std::string name = "n" + std::to_string(n);
    ASSERT_TRUE(identity::create_identity(*toolbox_, path(name + ".key")).ok());
    std::string text = "[node]\nname = \"" + name + "\"\nkey = \"" + name +
                       ".key\"\nnetwork = \"lab\"\npool_mbufs = 8000\n[[port]]\nname = \"lo\"\n" +
                       "address = " + place(n) + "\n[membership]\naddress = " + place(n) + "\n" +
                       membership;
    if (n != 0) {
      text += "trackers = [" + place(0) + "]\nbehind_nat = true\n[[stream]]\nname = \"news\"\n";
    }
    if (n == 1) text += "publish = true\nsecret = \"news.secret\"\n";
    auto config = parse_config(text, name + ".toml", directory_.string());
    ASSERT_TRUE(config.ok()) << config.error().message;
    auto made = Node::create(std::move(config).value(), environment_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    nodes_.push_back(std::move(made).value());
  }
  void add_all(const std::string& tracker) {
    add("supernode = true\n" + tracker);
    add("");
    add("");
  }
  template <typename Done>
  bool run_until(Done&& done, unsigned limit_s = 30) {
    const TimeNs end = clock_.now_ns() + limit_s * ns_per_s;
    while (!done()) {
      if (clock_.now_ns() > end) return false;
      for (auto& node : nodes_) node->step(clock_.now_ns());
    }
    return true;
  }
  const Crossing& crossing(unsigned n) { return nodes_[n]->membership()->crossing(); }
  bool are_linked() {
    return nodes_[1]->peering().peers_up().size() == 1 &&
           nodes_[2]->peering().peers_up().size() == 1;
  }
  const wire::NodeRecord* record_of(unsigned n, unsigned at) {
    const auto* entry = nodes_[at]->membership()->member().view().find(nodes_[n]->identity().id);
    return entry == nullptr ? nullptr : &entry->record->said;
  }

  const fs::path directory_ =
      fs::temp_directory_path() / ("cc-crossed-" + std::to_string(getpid()));
  MonotonicClock clock_;
  const base::ThreadStarter& threads_ = test::ensure_eal();
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  std::unique_ptr<worker::Threads> worker_threads_ = worker::make_registered_threads(threads_);
  Environment environment_ = factory::make_environment(threads_, *worker_threads_, *toolbox_,
                                                       [](LogLevel, const std::string&) {});
  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(Crossed, TwoThatNobodyDialsFindEachOtherThroughTheirTracker) {
  add_all("relay = " + place(0, 2) + "\nrelay_pairs = 2\n");
  ASSERT_TRUE(run_until([&] { return are_linked(); }));
  ASSERT_TRUE(run_until([&] {
    const auto info = nodes_[2]->stream("news");
    return info.ok() && info->stream.value != 0;
  }));
  test::Inbox inbox;
  ASSERT_TRUE(nodes_[2]->subscribe("news", &inbox).ok());
  const Bytes object(5000, 0x17);
  ASSERT_EQ(nodes_[1]->publish("news", object).state, cli::PublishState::accepted);
  ASSERT_TRUE(run_until([&] { return inbox.objects.size() == 1; }));
  EXPECT_EQ(inbox.objects[0], object);
  // Nobody dialled them: the one session between the two is a carried one.
  for (const unsigned n : {1u, 2u}) {
    EXPECT_EQ(crossing(n).channels(), 1u) << n;
    for (const auto& session : nodes_[n]->membership()->sessions().sessions()) {
      EXPECT_TRUE(session.remote.is_carried || session.was_dialled);
    }
  }
  EXPECT_GE(crossing(0).carriage().counters().opened, 1u);
  // The grant went from end to end, and nothing was forwarded, since the ports can be reached.
  EXPECT_GE(nodes_[2]->membership()->counters().grants_taken, 1u);
  EXPECT_EQ(crossing(0).relay()->counters().forwarded, 0u);
  EXPECT_EQ(crossing(1).prober().mapping(), punch::Mapping::independent);
  EXPECT_EQ(crossing(1).prober().seen(), nodes_[1]->ports()[0]->port->info().addresses);
  const auto peers = nodes_[1]->run("show peers").value()["peers"];
  EXPECT_EQ(peers[0]["path"], "direct");
}

TEST_F(Crossed, ItsRecordNamesWhoPassesOnToIt) {
  add_all("relay = " + place(0, 2) + "\nrelay_pairs = 2\n");
  const Endpoint tracker = nodes_[0]->membership()->sessions().address();
  ASSERT_TRUE(run_until([&] { return record_of(1, 2) != nullptr; }));
  EXPECT_EQ(record_of(1, 2)->roles, wire::role_behind_nat);
  EXPECT_EQ(record_of(1, 2)->addresses, std::vector<Endpoint>{tracker});
  ASSERT_TRUE(run_until([&] { return record_of(0, 2) != nullptr; }));
  EXPECT_EQ(record_of(0, 2)->roles, wire::role_supernode);
}

TEST_F(Crossed, WhoDoesNotRelayPassesNothingOn) {
  add_all("");
  ASSERT_TRUE(run_until([&] { return crossing(0).carriage().counters().refused > 0; }));
  EXPECT_EQ(crossing(0).carriage().counters().opened, 0u);
  EXPECT_TRUE(nodes_[1]->peering().peers().empty());
  EXPECT_TRUE(crossing(1).prober().seen().empty());
}

}  // namespace
}  // namespace chaincast::node
