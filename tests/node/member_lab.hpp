// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "node/node.hpp"
#include "session/memory/memory.hpp"
#include "support/eal.hpp"
#include "support/inbox.hpp"
#include "support/random.hpp"

// Whole nodes that find each other through a tracker, in one process: sessions within it, frames
// over kernel sockets on loopback.
namespace chaincast::node {

namespace fs = std::filesystem;
using test::Inbox;

// What one node of the lab is.
struct Part {
  bool is_supernode = false;
  std::vector<std::string> streams = {};  // members of; "NAME!" publishes
  std::vector<unsigned> trackers = {0};   // by number
  std::string membership = {};            // more keys of [membership]
  std::vector<std::string> closed = {};   // streams of these that let nobody in
  std::string stream = {};                // more keys of each [[stream]]
  std::string node = {};                  // more keys of [node]
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
        ".key\"\nnetwork = \"lab\"\npool_mbufs = 8000\n" + part.node +
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
      out += part.stream;
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
  // And everyone has stated its links, so that its partners can miss it. Who dies before that is
  // given up only after `silent_ns` (graph/silent.cpp).
  bool have_one_linked_graph() {
    return have_one_graph() && nodes[1]->run("show graph").value()["components"] == 1;
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

inline std::vector<Bytes> make_objects(unsigned count, uint64_t seed) {
  Random random(seed);
  std::vector<Bytes> objects(count);
  for (Bytes& object : objects) object = test::random_bytes(random, 1 + random.below(3000));
  return objects;
}

// A supernode, a host and members that know the supernode's address and nothing else.
// `stream`, `member_stream`: more keys of the host's and of the members'; `membership`, `node`: of
// everyone's.
inline void fill(Lab& lab, unsigned members, const std::string& stream = {},
                 const std::string& membership = {}, const std::string& member_stream = {},
                 const std::string& node = {}) {
  lab.add({.is_supernode = true});
  lab.add({.streams = {"news!"}, .membership = membership, .stream = stream, .node = node});
  for (unsigned i = 0; i < members; ++i) {
    lab.add({.streams = {"news"}, .membership = membership, .stream = member_stream, .node = node});
  }
  ASSERT_TRUE(lab.run_until([&] { return lab.are_joined(); }));
  ASSERT_TRUE(lab.run_until([&] { return lab.have_one_linked_graph(); }));
  ASSERT_TRUE(lab.run_until([&] {
    for (unsigned n = 1; n < lab.nodes.size(); ++n) {
      if (!lab.knows_stream(n, "news")) return false;
    }
    return true;
  }));
}

}  // namespace chaincast::node
