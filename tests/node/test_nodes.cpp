// SPDX-License-Identifier: BSD-3-Clause
// Whole nodes in one process, over kernel sockets on loopback with the impairing link around them.
#include <gtest/gtest.h>
#include <rte_mempool.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "crypto/openssl/toolbox.hpp"
#include "factory/factory.hpp"
#include "identity/identity.hpp"
#include "node/node.hpp"
#include "support/data.hpp"
#include "support/eal.hpp"
#include "support/inbox.hpp"
#include "support/random.hpp"
#include "support/stub_port.hpp"

namespace chaincast::node {
namespace {

namespace fs = std::filesystem;
using test::Inbox;

struct LabConfig {
  unsigned nodes = 5;
  // Neighbours on a ring, so that each node has an even number of links; all of them if that is
  // as many.
  unsigned reach = 2;
  std::string link = {};  // TOML of the impairment, or empty
  std::string node = {};  // more keys of [node]
  std::string port = {};  // more keys of [[port]]
  std::string peer = {};  // more keys of each [[peer]]
  std::vector<std::pair<std::string, std::string>> streams = {{"open", "sha256-gmac"}};
  std::function<void(Environment&)> environment = [](Environment&) {};
};

// Nodes of one network, stepped by the test's thread or on threads of their own. Node 0 publishes.
class Lab {
 public:
  explicit Lab(const LabConfig& config) : config_(config) {
    directory_ =
        fs::temp_directory_path() / ("cc-lab-" + std::to_string(getpid()) + "-" +
                                     std::to_string(config.nodes) + config.link.substr(0, 1));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    EXPECT_TRUE(identity::create_secret(*toolbox, path("link.secret")).ok());
    for (const auto& [name, suite] : config.streams) {
      EXPECT_TRUE(identity::create_secret(*toolbox, path(name + ".secret")).ok());
    }
    config.environment(environment);
    for (unsigned n = 0; n < config.nodes; ++n) {
      EXPECT_TRUE(identity::create_identity(*toolbox, path("n" + std::to_string(n) + ".key")).ok());
      nodes.push_back(make_node(n));
    }
  }
  ~Lab() {
    inboxes.clear();
    nodes.clear();
    fs::remove_all(directory_);
  }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  static uint16_t udp_port(unsigned node) {
    // Below the ephemeral range; apart for test programs that run side by side.
    return static_cast<uint16_t>(12'000 + static_cast<unsigned>(getpid() % 400) * 40 + node * 4);
  }
  std::vector<unsigned> neighbours(unsigned node) const {
    std::set<unsigned> found;
    for (unsigned step = 1; step <= config_.reach; ++step) {
      found.insert((node + step) % config_.nodes);
      found.insert((node + config_.nodes - step) % config_.nodes);
    }
    found.erase(node);
    return {found.begin(), found.end()};
  }
  std::string text(unsigned n) const {
    std::string out = "[node]\nname = \"n" + std::to_string(n) + "\"\nkey = \"n" +
                      std::to_string(n) + ".key\"\nnetwork = \"lab\"\npool_mbufs = 16000\n" +
                      config_.node + "[[port]]\nname = \"lo\"\ndriver = \"udp\"\naddress = " +
                      "\"127.0.0.1:" + std::to_string(udp_port(n)) + "\"\n" + config_.port;
    if (!config_.link.empty()) {
      out += "link = { " + config_.link + ", seed = " + std::to_string(n + 1) + " }\n";
    }
    for (const unsigned peer : neighbours(n)) {
      out += "[[peer]]\nname = \"n" + std::to_string(peer) +
             "\"\naddress = \"127.0.0.1:" + std::to_string(udp_port(peer)) +
             "\"\nsecret = \"link.secret\"\n" + config_.peer;
    }
    for (const auto& [name, suite] : config_.streams) {
      out += "[[stream]]\nname = \"" + name + "\"\nsecret = \"" + name + ".secret\"\nsuite = \"" +
             suite + "\"\n" + (n == 0 ? "publish = true\n" : "");
    }
    return out;
  }
  // Turns all nodes until `done`, at most `limit_s`.
  template <typename Done>
  bool run_until(Done&& done, unsigned limit_s = 30) {
    const TimeNs end = now_ns() + limit_s * ns_per_s;
    while (!done()) {
      if (now_ns() > end) return false;
      turn();
      if (is_threaded) sched_yield();
    }
    return true;
  }
  // Lets nodes live through so many seconds in far less.
  void skip(unsigned seconds) {
    constexpr TimeNs stride_ns = 20 * ns_per_ms;
    for (TimeNs left = seconds * ns_per_s; left > 0; left -= stride_ns) {
      skipped_ns_ += stride_ns;
      turn();
    }
  }
  // Takes a node out, without its knowing, or gives it back.
  std::unique_ptr<Node> exchange(unsigned n, std::unique_ptr<Node> node) {
    std::swap(nodes[n], node);
    return node;
  }
  std::unique_ptr<Node> make_node(unsigned n) {
    auto config = parse_config(text(n), "n.toml", directory_.string());
    EXPECT_TRUE(config.ok()) << config.error().message;
    auto made = Node::create(std::move(config).value(), environment);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(made).value();
  }
  bool all_up() {
    for (unsigned n = 0; n < nodes.size(); ++n) {
      if (nodes[n]->peering().peers_up().size() != neighbours(n).size()) return false;
      for (const auto& [name, suite] : config_.streams) {
        const auto info = nodes[n]->stream(name);
        if (!info.ok() || info->stream.value == 0) return false;
      }
    }
    return true;
  }
  Inbox& subscribe(unsigned node, const std::string& stream) {
    inboxes.push_back(std::make_unique<Inbox>());
    EXPECT_TRUE(nodes[node]->subscribe(stream, inboxes.back().get()).ok());
    return *inboxes.back();
  }
  void publish(const std::string& stream, ByteSpan object) {
    ASSERT_TRUE(run_until([&] {
      const auto result = nodes[0]->publish(stream, object);
      EXPECT_NE(result.state, cli::PublishState::failed) << result.message;
      return result.state != cli::PublishState::busy;
    }));
  }

  MonotonicClock clock;
  const base::ThreadStarter& threads = test::ensure_eal();
  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  std::unique_ptr<worker::Threads> worker_threads = worker::make_registered_threads(threads);
  Environment environment = factory::make_environment(threads, *worker_threads, *toolbox,
                                                      [](LogLevel, const std::string&) {});
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<std::unique_ptr<Inbox>> inboxes;
  bool is_threaded = false;

 private:
  TimeNs now_ns() const { return clock.now_ns() + skipped_ns_; }
  void turn() {
    for (auto& node : nodes) {
      if (node == nullptr) continue;
      if (is_threaded) {
        node->control_turn(now_ns());
      } else {
        node->step(now_ns());
      }
    }
  }

  TimeNs skipped_ns_ = 0;
  const LabConfig config_;
  fs::path directory_;
};

std::vector<Bytes> make_objects(unsigned count, size_t bytes_max, uint64_t seed) {
  Random random(seed);
  std::vector<Bytes> objects(count);
  for (Bytes& object : objects) object = test::random_bytes(random, 1 + random.below(bytes_max));
  return objects;
}

// Publishes on every stream of the lab and waits until every node has everything, in order.
void deliver_everywhere(Lab& lab, const std::vector<std::string>& streams,
                        const std::vector<std::vector<Bytes>>& objects, unsigned limit_s) {
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); })) << "links or streams did not come up";
  std::vector<std::vector<Inbox*>> inboxes(streams.size());
  for (size_t s = 0; s < streams.size(); ++s) {
    for (unsigned n = 1; n < lab.nodes.size(); ++n) {
      inboxes[s].push_back(&lab.subscribe(n, streams[s]));
    }
  }
  for (size_t i = 0; i < objects[0].size(); ++i) {
    for (size_t s = 0; s < streams.size(); ++s) lab.publish(streams[s], objects[s][i]);
  }
  const bool done = lab.run_until(
      [&] {
        for (size_t s = 0; s < streams.size(); ++s) {
          for (const Inbox* inbox : inboxes[s]) {
            if (inbox->objects.size() < objects[s].size() && inbox->lost == 0) return false;
          }
        }
        return true;
      },
      limit_s);
  EXPECT_TRUE(done);
  for (size_t s = 0; s < streams.size(); ++s) {
    for (size_t n = 0; n < inboxes[s].size(); ++n) {
      EXPECT_EQ(inboxes[s][n]->lost, 0u) << streams[s] << " at node " << n + 1;
      ASSERT_EQ(inboxes[s][n]->objects.size(), objects[s].size()) << streams[s];
      EXPECT_TRUE(inboxes[s][n]->objects == objects[s]) << streams[s] << " at node " << n + 1;
    }
  }
}

const std::vector<std::pair<std::string, std::string>> two_streams = {{"open", "sha256-gmac"},
                                                                      {"closed", "sha256-gcm"}};

TEST(Nodes, FiveInOneProcessDeliverEverything) {
  Lab lab({.streams = two_streams});
  deliver_everywhere(lab, {"open", "closed"},
                     {make_objects(200, 4000, 1), make_objects(200, 4000, 2)}, 40);
  for (const auto& node : lab.nodes) {
    EXPECT_EQ(node->drops(stage::Drop::tag), 0u);
    EXPECT_EQ(node->drops(stage::Drop::conflict), 0u);
  }
}

TEST(Nodes, FiveInOneProcessOverBadLinks) {
  Lab lab({.link = "loss = 0.05, reorder = 0.02, duplicate = 0.01", .streams = two_streams});
  deliver_everywhere(lab, {"open", "closed"},
                     {make_objects(150, 4000, 3), make_objects(150, 4000, 4)}, 60);
}

// A neighbour that sends more than is taken from it. At so low a rate only the burst passes.
TEST(Nodes, AFloodingNeighbourIsHeldToItsBudget) {
  Lab lab({.nodes = 2, .peer = "receive_rate = \"1kbit\"\n"});
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); }));
  const Inbox& inbox = lab.subscribe(1, "open");
  for (const Bytes& object : make_objects(150, 4000, 6)) lab.publish("open", object);
  Node& node = *lab.nodes[1];
  EXPECT_TRUE(lab.run_until([&] { return node.drops(stage::Drop::link_budget) > 100; }));
  size_t bytes = 0;
  for (const Bytes& object : inbox.objects) bytes += object.size();
  EXPECT_GT(bytes, 0u);
  EXPECT_LE(bytes, 65'536u);
  EXPECT_EQ(node.peering().peers_up().size(), 1u);
}

bool carries(Node& node, StreamId id) {
  return node.carrier().carried().count(id) != 0;
}

// A node learns the present run of an origin first, and the one before it from a neighbour that was
// away. It forgets the right one.
TEST(Nodes, AnIncarnationThatIsLearnedLateIsNotTakenForTheNewer) {
  Lab lab({.nodes = 3});
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); }));
  const StreamId before = lab.nodes[0]->stream("open")->stream;
  lab.publish("open", Bytes(100, 1));
  Inbox& first = lab.subscribe(1, "open");
  ASSERT_TRUE(lab.run_until([&] { return first.objects.size() == 1; }));
  auto away = lab.exchange(1, nullptr);
  for (const unsigned n : {0u, 2u}) {  // crash, and come back knowing nothing
    lab.nodes[n].reset();
    lab.nodes[n] = lab.make_node(n);
  }
  const StreamId now = lab.nodes[0]->stream("open")->stream;
  ASSERT_NE(before, now);
  lab.publish("open", Bytes(100, 2));
  Node& learner = *lab.nodes[2];
  ASSERT_TRUE(lab.run_until([&] { return carries(learner, now); }));
  ASSERT_FALSE(carries(learner, before));
  lab.exchange(1, std::move(away));
  ASSERT_TRUE(lab.run_until([&] { return carries(learner, before); }));
  lab.skip(120);
  for (const auto& node : lab.nodes) {
    EXPECT_FALSE(carries(*node, before));
    EXPECT_TRUE(carries(*node, now));
  }
  EXPECT_EQ(learner.stream("open")->stream, now);
}

// What a node does not carry is not sent to it: `unknown_stream` stands still from its refusal on.
TEST(Nodes, ARefusedStreamIsNotSentUntilItIsWanted) {
  Lab lab({.nodes = 3, .reach = 1});
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); }));
  const Inbox& at_two = lab.subscribe(2, "open");
  Node& leaver = *lab.nodes[1];
  const StreamConfig config = leaver.config().streams.at(0);
  ASSERT_TRUE(leaver.remove_stream("open").ok());
  const auto is_refused = [&](unsigned node) {
    const auto& carried = *lab.nodes[node]->carrier().carried().begin()->second;
    return std::any_of(carried.neighbours.begin(), carried.neighbours.end(),
                       [](const auto& neighbour) { return neighbour.second.is_refused; });
  };
  ASSERT_TRUE(lab.run_until([&] { return is_refused(0) && is_refused(2); }));
  for (const uint32_t peer : lab.nodes[0]->peering().peers()) {
    lab.nodes[0]->carrier().on_path_changed(peer, lab.clock.now_ns());
  }
  EXPECT_TRUE(is_refused(0)) << "a path that grows is no consent";
  const uint64_t unknown = leaver.drops(stage::Drop::unknown_stream);
  const std::vector<Bytes> objects = make_objects(200, 1000, 7);
  for (const Bytes& object : objects) lab.publish("open", object);
  ASSERT_TRUE(lab.run_until([&] { return at_two.objects.size() == objects.size(); }));
  EXPECT_EQ(at_two.objects, objects);
  EXPECT_EQ(leaver.drops(stage::Drop::unknown_stream), unknown);

  ASSERT_TRUE(leaver.add_stream(config).ok());
  const Inbox& at_one = lab.subscribe(1, "open");
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); })) << "it is not offered again";
  const Bytes last = make_objects(1, 1000, 8)[0];
  ASSERT_TRUE(lab.run_until([&] {
    lab.publish("open", last);
    return !at_one.objects.empty() && at_one.objects.back() == last;
  }));
  EXPECT_FALSE(is_refused(0) || is_refused(2));
}

// Asks for its next turn `wait_ns` later.
struct TurnPort final : test::StubPort {
  explicit TurnPort(TimeNs wait) : wait_ns(wait) {}
  TimeNs control(TimeNs now_ns) override {
    turns.push_back(now_ns);
    return wait_ns == time_never ? time_never : now_ns + wait_ns;
  }

  const TimeNs wait_ns;
  std::vector<TimeNs> turns;
};

TEST(Nodes, APortGetsTheTurnsItAsksFor) {
  Lab lab({.nodes = 1});
  std::vector<TurnPort*> ports;
  lab.environment.make_port = [&](const PortConfig& config, uint16_t, unsigned, rte_mempool*) {
    auto port = std::make_unique<TurnPort>(config.name == "seldom" ? 5 * ns_per_ms : time_never);
    ports.push_back(port.get());
    return Result<std::unique_ptr<port::Port>>(std::move(port));
  };
  PortConfig config;
  for (const char* name : {"seldom", "never"}) {
    config.name = name;
    ASSERT_TRUE(lab.nodes[0]->add_port(config).ok());
  }
  const TimeNs start = lab.clock.now_ns();
  for (TimeNs ms = 0; ms < 12; ++ms) lab.nodes[0]->step(start + ms * ns_per_ms);
  EXPECT_EQ(ports[0]->turns, (std::vector{start, start + 5 * ns_per_ms, start + 10 * ns_per_ms}));
  EXPECT_EQ(ports[1]->turns, std::vector{start});
}

// The published Bitcoin headers, 80 bytes each, through one relay.
TEST(Nodes, BitcoinHeadersArriveInOrder) {
  CC_DATA_FILE_OR_SKIP(path, "chain/bitcoin.headers.822528-826559.bin");
  const Bytes file = test::read_file(path);
  ASSERT_EQ(file.size() % 80, 0u);
  std::vector<Bytes> headers;
  for (size_t at = 0; at < file.size(); at += 80) {
    headers.emplace_back(file.begin() + static_cast<ptrdiff_t>(at),
                         file.begin() + static_cast<ptrdiff_t>(at + 80));
  }
  Lab lab({.nodes = 3, .reach = 1});
  deliver_everywhere(lab, {"open"}, {headers}, 40);
}

// A relay with two workers between an origin and a receiver: both lanes carry frames.
void relay_over_two_lanes(const std::string& port,
                          const std::function<void(Environment&)>& environment = {}) {
  std::vector<std::pair<std::string, std::string>> streams;
  // Which worker emits a stream is drawn with its id: of so many, each worker gets some.
  for (int i = 0; i < 20; ++i) streams.emplace_back("s" + std::to_string(i), "sha256-gmac");
  // Three nodes in a ring, whose third link is taken away.
  LabConfig config{.nodes = 3, .reach = 1, .node = "workers = 2\n", .port = port};
  config.streams = streams;
  if (environment) config.environment = environment;
  Lab lab(config);
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); }));
  ASSERT_TRUE(lab.nodes[0]->remove_peer("n2").ok());
  ASSERT_TRUE(lab.nodes[2]->remove_peer("n0").ok());
  std::vector<Inbox*> inboxes;
  for (const auto& [name, suite] : streams) inboxes.push_back(&lab.subscribe(2, name));
  const std::vector<Bytes> objects = make_objects(20, 1000, 9);
  for (const Bytes& object : objects) {
    for (const auto& [name, suite] : streams) lab.publish(name, object);
  }
  EXPECT_TRUE(lab.run_until([&] {
    return std::all_of(inboxes.begin(), inboxes.end(),
                       [&](const Inbox* inbox) { return inbox->objects.size() >= objects.size(); });
  }));
  for (const Inbox* inbox : inboxes) EXPECT_TRUE(inbox->objects == objects);
  uint64_t kept = 0;
  for (const auto& line : lab.nodes[1]->lines()) {
    EXPECT_GT(line->counters().frames_kept.read(), 0u) << "a lane without traffic";
    kept += line->counters().frames_kept.read();
  }
  uint64_t committed = 0;
  for (const auto& [id, carried] : lab.nodes[2]->carrier().carried()) {
    committed += carried->stream->window->committed();
  }
  EXPECT_GE(kept, committed);
}

TEST(Nodes, TwoWorkersRelayOverTwoLanes) {
  relay_over_two_lanes("");
}

// Lane 0 then sends on a queue of its own.
TEST(Nodes, TwoWorkersRelayOverTwoLanesAndThreeQueues) {
  relay_over_two_lanes("queues = 3\n");
}

// What came by which of a port's queues, and in which order they were polled first.
struct QueueNotes {
  std::vector<unsigned> polled;
  std::array<uint64_t, 3> control{}, bulk{};
};

// A port of kernel sockets as a NIC with flow rules would be: queue q has UDP port base + q.
class SteeringPort final : public port::Port {
 public:
  SteeringPort(std::unique_ptr<port::Port> port, QueueNotes& notes)
      : port_(std::move(port)), notes_(notes) {}
  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    if (notes_.polled.size() < 3) notes_.polled.push_back(queue);
    const unsigned count = port_->receive(queue, out, max, drops);
    for (unsigned i = 0; i < count; ++i) {
      const bool is_control = out[i].data[2] == 0;  // docs/wire.md, 1.1
      ++(is_control ? notes_.control : notes_.bulk)[queue];
    }
    return count;
  }
  unsigned transmit(unsigned queue, const port::Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override {
    return port_->transmit(queue, to, packets, count);
  }
  void tick(unsigned queue, TimeNs now_ns) noexcept override { port_->tick(queue, now_ns); }
  port::Info info() const override { return port_->info(); }
  port::Capabilities capabilities() const override {
    port::Capabilities out = port_->capabilities();
    out.control_port = true;
    out.control_queue = port::ControlQueue::own;
    return out;
  }
  port::Counters counters() const override { return port_->counters(); }
  Result<port::Destination> destination(const Endpoint& remote, uint16_t local_port) override {
    return port_->destination(remote, local_port);
  }
  Status start() override { return port_->start(); }
  void stop() override { port_->stop(); }
  int wait_fd(unsigned queue) const override { return port_->wait_fd(queue); }

 private:
  const std::unique_ptr<port::Port> port_;
  QueueNotes& notes_;
};

TEST(Nodes, ControlHasAQueueOfItsOwnThatIsPolledFirst) {
  std::vector<std::unique_ptr<QueueNotes>> notes;
  relay_over_two_lanes("queues = 3\n", [&](Environment& environment) {
    environment.make_port = [&, make = environment.make_port](
                                const PortConfig& config, uint16_t id, unsigned workers,
                                rte_mempool* pool) -> Result<std::unique_ptr<port::Port>> {
      auto port = make(config, id, workers, pool);
      if (!port) return port.error();
      notes.push_back(std::make_unique<QueueNotes>());
      return std::unique_ptr<port::Port>(
          std::make_unique<SteeringPort>(std::move(port).value(), *notes.back()));
    };
  });
  ASSERT_EQ(notes.size(), 3u);
  for (const auto& port : notes) {
    EXPECT_EQ(port->polled, (std::vector<unsigned>{0, 1, 2}));
    EXPECT_GT(port->control[0], 0u);
    EXPECT_EQ(port->control[1] + port->control[2], 0u);
  }
  for (const unsigned node : {1u, 2u}) {  // the relay and the receiver
    EXPECT_EQ(notes[node]->bulk[0], 0u);
    EXPECT_GT(notes[node]->bulk[1], 0u);
    EXPECT_GT(notes[node]->bulk[2], 0u);
  }
}

size_t open_files() {
  return static_cast<size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
}
size_t resident_bytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// A peer comes and goes a thousand times under traffic; afterwards everything is as before.
TEST(Nodes, APeerComesAndGoesAThousandTimes) {
  Lab lab({.nodes = 3, .reach = 1});
  ASSERT_TRUE(lab.run_until([&] { return lab.all_up(); }));
  Inbox& inbox = lab.subscribe(1, "open");
  const PeerConfig peer = lab.nodes[0]->config().peers.back();  // n2
  ASSERT_EQ(peer.name, "n2");
  const std::vector<Bytes> objects = make_objects(10, 600, 5);
  uint64_t published = 0;
  const auto round = [&](unsigned i) {
    ASSERT_TRUE(lab.nodes[0]->remove_peer("n2").ok());
    lab.publish("open", objects[i % objects.size()]);
    ++published;
    ASSERT_TRUE(lab.nodes[0]->add_peer(peer).ok());
    for (int turn = 0; turn < 3; ++turn) {
      for (auto& node : lab.nodes) node->step(lab.clock.now_ns());
    }
  };
  const auto settle = [&] {
    ASSERT_TRUE(lab.run_until([&] {
      return inbox.objects.size() == published && lab.nodes[0]->peering().peers_up().size() == 2;
    }));
    inbox.objects.clear();
    published = 0;
    for (int turn = 0; turn < 200; ++turn) {
      for (auto& node : lab.nodes) node->step(lab.clock.now_ns());
    }
  };
  const auto buffers = [&] {
    size_t out = 0;
    for (auto& node : lab.nodes) {
      out += rte_mempool_avail_count(node->pools().payloads());
      out += rte_mempool_avail_count(node->pools().headers());
    }
    return out;
  };
  for (unsigned i = 0; i < 200 && !testing::Test::HasFatalFailure(); ++i) round(i);
  settle();
  ASSERT_FALSE(testing::Test::HasFatalFailure());
  const size_t files = open_files();
  [[maybe_unused]] const size_t resident = resident_bytes();
  const size_t free_buffers = buffers();
  for (unsigned i = 0; i < 1000 && !testing::Test::HasFatalFailure(); ++i) round(i);
  settle();
  ASSERT_FALSE(testing::Test::HasFatalFailure());
  EXPECT_EQ(open_files(), files);
  EXPECT_EQ(lab.nodes[0]->retirer().pending(), 0u);
#if !defined(__SANITIZE_ADDRESS__)  // it keeps freed memory for a while, and finds leaks itself
  EXPECT_LE(resident_bytes(), resident + (1u << 20));
#endif
  EXPECT_EQ(buffers(), free_buffers);
}

}  // namespace
}  // namespace chaincast::node
