// SPDX-License-Identifier: BSD-3-Clause
// Whole nodes that find each other through a tracker: sessions within the process, frames over
// kernel sockets on loopback.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "node/member_state.hpp"
#include "node/node.hpp"
#include "session/memory/memory.hpp"
#include "support/eal.hpp"
#include "support/inbox.hpp"
#include "support/random.hpp"

namespace chaincast::node {
namespace {

namespace fs = std::filesystem;
using test::Inbox;

// What one node of the lab is.
struct Part {
  bool is_supernode = false;
  std::vector<std::string> streams = {};  // members of; "NAME!" publishes
  std::vector<unsigned> trackers = {0};   // by number
  std::string membership = {};            // more keys of [membership]
  std::vector<std::string> closed = {};   // streams of these that let nobody in
};

class Lab {
 public:
  Lab() {
    directory_ = fs::temp_directory_path() / ("cc-members-" + std::to_string(getpid()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    environment.make_sessions = [this](const session::Config& config,
                                       const crypto::Signer& signer) {
      return network->attach(config, signer.public_key());
    };
  }
  ~Lab() {
    inboxes.clear();
    nodes.clear();
    fs::remove_all(directory_);
  }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  static uint16_t port_of(unsigned n) {
    return static_cast<uint16_t>(28'000 + static_cast<unsigned>(getpid() % 100) * 40 + n * 2);
  }
  unsigned add(const Part& part) {
    const auto n = static_cast<unsigned>(parts_.size());
    parts_.push_back(part);
    EXPECT_TRUE(identity::create_identity(*toolbox, key_file(n)).ok());
    nodes.push_back(make(n));
    return n;
  }
  std::string key_file(unsigned n) const { return path("n" + std::to_string(n) + ".key"); }
  std::unique_ptr<Node> make(unsigned n) {
    auto config = parse_config(text(n), "n.toml", directory_.string());
    EXPECT_TRUE(config.ok()) << config.error().message;
    auto made = Node::create(std::move(config).value(), environment);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(made).value();
  }
  std::string text(unsigned n) {
    const Part& part = parts_[n];
    std::string out =
        "[node]\nname = \"n" + std::to_string(n) + "\"\nkey = \"n" + std::to_string(n) +
        ".key\"\nnetwork = \"lab\"\npool_mbufs = 8000\n" +
        "[[port]]\nname = \"lo\"\naddress = \"127.0.0.1:" + std::to_string(port_of(n)) +
        "\"\n[membership]\naddress = \"127.0.0.1:" + std::to_string(port_of(n)) +
        "\"\nstate = \"n" + std::to_string(n) + ".state\"\n" + part.membership;
    if (part.is_supernode) out += "supernode = true\n";
    if (n != 0) {
      out += "trackers = [";
      for (const unsigned tracker : part.trackers) {
        out += "\"127.0.0.1:" + std::to_string(port_of(tracker)) + "\", ";
      }
      out += "]\n";
    }
    for (std::string name : part.streams) {
      const bool is_host = name.ends_with("!");
      if (is_host) name.pop_back();
      out += "[[stream]]\nname = \"" + name + "\"\n";
      if (std::find(part.closed.begin(), part.closed.end(), name) != part.closed.end()) {
        out += "guests = [\"00000000000000000000000000000001\"]\n";
      }
      if (!is_host) continue;
      if (!fs::exists(path(name + ".secret"))) {
        EXPECT_TRUE(identity::create_secret(*toolbox, path(name + ".secret")).ok());
      }
      out += "publish = true\nsecret = \"" + name + ".secret\"\n";
    }
    return out;
  }
  // Turns all nodes until `done`, at most `limit_s`.
  template <typename Done>
  bool run_until(Done&& done, unsigned limit_s = 30) {
    const TimeNs end = clock.now_ns() + limit_s * ns_per_s;
    while (!done()) {
      if (clock.now_ns() > end) return false;
      for (auto& node : nodes) {
        if (node) node->step(clock.now_ns());
      }
    }
    return true;
  }
  bool are_joined() {
    return std::all_of(nodes.begin(), nodes.end(), [](const auto& node) {
      return !node || node->membership()->join().state() == join::State::joined;
    });
  }
  // One graph at all of them, of as many nodes as run.
  bool have_one_graph() {
    const auto running =
        std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return node != nullptr; });
    const graph::Member* first = nullptr;
    for (const auto& node : nodes) {
      if (!node) continue;
      const graph::Member& member = node->membership()->member();
      if (member.view().live() != static_cast<size_t>(running)) return false;
      if (first == nullptr) first = &member;
      if (member.digest() != first->digest()) return false;
    }
    return true;
  }
  Inbox& subscribe(unsigned node, const std::string& stream) {
    inboxes.push_back(std::make_unique<Inbox>());
    EXPECT_TRUE(nodes[node]->subscribe(stream, inboxes.back().get()).ok());
    return *inboxes.back();
  }
  bool knows_stream(unsigned n, const std::string& stream) {
    const auto info = nodes[n]->stream(stream);
    return info.ok() && info->stream.value != 0;
  }
  void publish(unsigned n, const std::string& stream, const Bytes& object) {
    ASSERT_TRUE(run_until([&] {
      const auto result = nodes[n]->publish(stream, object);
      EXPECT_NE(result.state, cli::PublishState::failed) << result.message;
      return result.state != cli::PublishState::busy;
    }));
  }
  void start_again(unsigned n) {
    nodes[n].reset();
    nodes[n] = make(n);
  }

  MonotonicClock clock;
  const base::ThreadStarter& threads = test::ensure_eal();
  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  std::unique_ptr<worker::Threads> worker_threads = worker::make_registered_threads(threads);
  std::shared_ptr<session::memory::Network> network = session::memory::Network::make(*toolbox);
  std::vector<std::string> log;
  Environment environment =
      factory::make_environment(threads, *worker_threads, *toolbox,
                                [this](LogLevel, const std::string& text) { log.push_back(text); });
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<std::unique_ptr<Inbox>> inboxes;

 private:
  std::vector<Part> parts_;
  fs::path directory_;
};

std::vector<Bytes> make_objects(unsigned count, uint64_t seed) {
  Random random(seed);
  std::vector<Bytes> objects(count);
  for (Bytes& object : objects) object = test::random_bytes(random, 1 + random.below(3000));
  return objects;
}

// A supernode, a host and members that know the supernode's address and nothing else.
void fill(Lab& lab, unsigned members) {
  lab.add({.is_supernode = true});
  lab.add({.streams = {"news!"}});
  for (unsigned i = 0; i < members; ++i) lab.add({.streams = {"news"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.are_joined(); }));
  // Everyone has stated its links, so that its partners can miss it.
  ASSERT_TRUE(lab.run_until([&] {
    return lab.have_one_graph() && lab.nodes[1]->run("show graph").value()["components"] == 1;
  }));
  ASSERT_TRUE(lab.run_until([&] {
    for (unsigned n = 1; n < lab.nodes.size(); ++n) {
      if (!lab.knows_stream(n, "news")) return false;
    }
    return true;
  }));
}

TEST(Membership, MembersThatKnowATrackerGetTheStreamAndItsSecret) {
  Lab lab;
  fill(lab, 4);
  const auto objects = make_objects(50, 1);
  std::vector<Inbox*> inboxes;
  for (unsigned n = 2; n < 6; ++n) inboxes.push_back(&lab.subscribe(n, "news"));
  for (const Bytes& object : objects) lab.publish(1, "news", object);
  ASSERT_TRUE(lab.run_until([&] {
    return std::all_of(inboxes.begin(), inboxes.end(),
                       [&](const Inbox* inbox) { return inbox->objects.size() == objects.size(); });
  }));
  for (const Inbox* inbox : inboxes) EXPECT_EQ(inbox->objects, objects);
  // Its graph leaves nobody hanging on one node, and the supernode carries nothing.
  const auto graph = lab.nodes[3]->run("show graph");
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ((*graph)["components"], 1);
  EXPECT_EQ((*graph)["nodes"].size(), 6u);
  EXPECT_TRUE(lab.nodes[0]->peering().peers().empty());
}

TEST(Membership, ANodeThatEndsWithoutAWordLeavesTheGraphAndTheStreamGoesOn) {
  Lab lab;
  fill(lab, 4);
  Inbox& inbox = lab.subscribe(2, "news");
  lab.nodes[4].reset();
  lab.nodes[0].reset();  // the tracker is not needed any more
  // Of two partners that die together the one may leave too few to call the other dead: it is then
  // given up after 30 s (graph/silent.cpp).
  ASSERT_TRUE(lab.run_until([&] { return lab.have_one_graph(); }, 60));
  const auto objects = make_objects(20, 2);
  for (const Bytes& object : objects) lab.publish(1, "news", object);
  EXPECT_TRUE(lab.run_until([&] { return inbox.objects.size() == objects.size(); }));
}

TEST(Membership, ANodeThatSaysGoodbyeIsGoneAtOnce) {
  Lab lab;
  fill(lab, 3);
  ASSERT_TRUE(lab.nodes[3]->drain());
  // The other nodes alone.
  const std::unique_ptr<Node> gone = std::exchange(lab.nodes[3], nullptr);
  const auto id = gone->identity().id;
  EXPECT_TRUE(lab.run_until([&] {
    const auto* entry = lab.nodes[1]->membership()->member().view().find(id);
    return entry != nullptr && entry->standing == graph::Standing::left;
  }));
}

TEST(Membership, AFormerMemberComesBackWithoutATracker) {
  Lab lab;
  fill(lab, 3);
  const fs::path state = lab.path("n4.state");
  ASSERT_TRUE(lab.run_until([&] { return fs::exists(state); }));
  lab.nodes[0].reset();
  lab.start_again(4);
  Inbox& inbox = lab.subscribe(4, "news");
  ASSERT_TRUE(lab.run_until([&] { return lab.knows_stream(4, "news"); }));
  lab.publish(1, "news", Bytes{1, 2, 3});
  EXPECT_TRUE(lab.run_until([&] { return !inbox.objects.empty(); }));
  EXPECT_EQ(lab.nodes[4]->membership()->join().counters().redirects_asked, 0u);
}

TEST(Membership, WhoIsNotAGuestGetsNoSecret) {
  Lab lab;
  lab.add({.is_supernode = true});
  lab.add({.streams = {"news!"}, .closed = {"news"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.have_one_graph(); }));
  lab.add({.streams = {"news"}});
  ASSERT_TRUE(lab.run_until(
      [&] { return lab.nodes[2]->membership()->join().state() == join::State::refused; }));
  EXPECT_EQ(lab.nodes[1]->membership()->counters().grants_sent, 0u);
  EXPECT_FALSE(lab.knows_stream(2, "news"));
}

// The data link is there, for the other stream.
TEST(Membership, GuestsOfAnotherStreamGetNothingOfThis) {
  Lab lab;
  lab.add({.is_supernode = true});
  lab.add({.streams = {"news!", "open!"}, .closed = {"news"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.have_one_graph(); }));
  lab.add({.streams = {"open", "news"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.knows_stream(2, "open"); }));
  Inbox& inbox = lab.subscribe(2, "open");
  lab.publish(1, "news", Bytes{1});
  lab.publish(1, "open", Bytes{2});
  ASSERT_TRUE(lab.run_until([&] { return inbox.objects.size() == 1; }));
  EXPECT_EQ(lab.nodes[1]->membership()->counters().grants_sent, 1u);
  EXPECT_FALSE(lab.knows_stream(2, "news"));
  for (const auto& [id, carried] : lab.nodes[1]->carrier().carried()) {
    ASSERT_EQ(carried->neighbours.size(), 1u);
    EXPECT_EQ(carried->neighbours.begin()->second.is_barred, carried->resource == "news");
  }
}

TEST(Membership, SubnetworksAreJoinedAndLeftWhileNodesRun) {
  Lab lab;
  fill(lab, 2);
  EXPECT_TRUE(lab.nodes[2]->run("leave news").ok());
  const auto members_seen = [&](unsigned n) {
    const auto shown = lab.nodes[n]->run("show members news");
    return shown.ok() ? (*shown)["members"].size() : 0;
  };
  ASSERT_TRUE(lab.run_until([&] { return members_seen(1) == 2; }));
  ASSERT_TRUE(lab.run_until([&] { return lab.nodes[2]->peering().peers().empty(); }));
  EXPECT_TRUE(lab.nodes[2]->run("join news").ok());
  ASSERT_TRUE(lab.run_until([&] { return lab.knows_stream(2, "news"); }));
  EXPECT_EQ(members_seen(1), 3u);
}

TEST(Membership, PeersOfTheNetworkAreNotTheOperatorsToRemove) {
  Lab lab;
  fill(lab, 1);
  ASSERT_FALSE(lab.nodes[1]->peering().peers().empty());
  const std::string name = lab.nodes[1]->peering().name(lab.nodes[1]->peering().peers()[0]);
  const auto removed = lab.nodes[1]->run("remove peer " + name);
  ASSERT_FALSE(removed.ok());
  EXPECT_NE(removed.error().message.find("leave"), std::string::npos);
  // And they are not saved as if the operator had written them.
  const auto config = lab.nodes[1]->run("show config");
  EXPECT_TRUE((*config)["peers"].empty());
}

TEST(MemberState, ComesBackAsItWasSaved) {
  const std::string path =
      (fs::temp_directory_path() / ("cc-state-" + std::to_string(getpid()))).string();
  MemberState state;
  state.network.fill(7);
  state.counter = 1'900'000'000'000'001;
  state.members.push_back({NodeId{{1, 2, 3}}, port::parse_endpoint("192.0.2.1:7000").value(), 0});
  ASSERT_TRUE(save_member_state(path, state).ok());
  const auto loaded = load_member_state(path);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->network, state.network);
  EXPECT_EQ(loaded->counter, state.counter);
  EXPECT_EQ(loaded->members, state.members);
  for (const char* bad :
       {"", "{", "[]", "{\"network\":\"00\",\"counter\":1,\"members\":[]}", "{\"counter\":-1}"}) {
    std::ofstream(path) << bad;
    const auto refused = load_member_state(path);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_NE(refused.error().message.find(path), std::string::npos);
  }
  fs::remove(path);
  EXPECT_EQ(load_member_state(path).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace chaincast::node
