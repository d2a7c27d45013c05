// SPDX-License-Identifier: BSD-3-Clause
// Whole nodes that find each other through a tracker: sessions within the process, frames over
// kernel sockets on loopback.
#include <set>

#include "member_lab.hpp"
#include "node/member_state.hpp"

namespace chaincast::node {
namespace {

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
  // Of two partners that die together the one may leave too few to call the other dead, or nobody:
  // it is then given up within a minute (graph/silent.cpp).
  ASSERT_TRUE(lab.run_until([&] { return lab.have_one_graph(); }, 90));
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

// The states of the streams of "news" that a node knows.
std::multiset<std::string> states(Node& node) {
  const ops::Json shown = node.run("show streams news").value();
  std::multiset<std::string> out;
  for (const ops::Json& row : shown["streams"]) out.insert(row["state"].get<std::string>());
  return out;
}

TEST(Membership, ASoleOriginThatDiesIsSaidToBeLostAndMembersGoOnWhenItReturns) {
  Lab lab;
  fill(lab, 3);
  std::vector<Inbox*> inboxes;
  for (unsigned n = 2; n < 5; ++n) inboxes.push_back(&lab.subscribe(n, "news"));
  const auto have = [&](size_t count) {
    return std::all_of(inboxes.begin(), inboxes.end(),
                       [&](const Inbox* inbox) { return inbox->objects.size() == count; });
  };
  lab.publish(1, "news", Bytes{1});
  ASSERT_TRUE(lab.run_until([&] { return have(1); }));
  const NodeId origin = lab.nodes[1]->identity().id;
  lab.nodes[1].reset();
  const auto say_lost = [&] {
    for (unsigned n = 2; n < 5; ++n) {
      if (states(*lab.nodes[n]) != std::multiset<std::string>{"origin lost"}) return false;
    }
    return true;
  };
  // Nobody says so of an origin that the graph still has.
  ASSERT_TRUE(lab.run_until([&] {
    for (unsigned n = 2; n < 5; ++n) {
      const bool is_lost = states(*lab.nodes[n]).contains("origin lost");
      EXPECT_FALSE(is_lost && lab.nodes[n]->membership()->is_live(origin));
    }
    return say_lost();
  }));
  const auto said = std::count_if(lab.log.begin(), lab.log.end(), [&](const std::string& line) {
    return line.find("origin lost: node " + origin.hex()) != std::string::npos;
  });
  EXPECT_EQ(said, 3) << "once at each member";
  const StreamId first = lab.nodes[2]->stream("news")->stream;
  // Subscribers are told as well; one that comes now, once it is there.
  inboxes.push_back(&lab.subscribe(2, "news"));
  const std::vector<std::pair<StreamId, bool>> lost{{first, true}};
  EXPECT_TRUE(lab.run_until([&] {
    return std::all_of(inboxes.begin(), inboxes.end(),
                       [&](const Inbox* inbox) { return inbox->origins == lost; });
  }));
  inboxes.pop_back();
  lab.nodes[1] = lab.make(1);
  ASSERT_TRUE(lab.run_until([&] {
    for (unsigned n = 2; n < 5; ++n) {
      if (!states(*lab.nodes[n]).contains("live")) return false;
    }
    return true;
  }));
  lab.publish(1, "news", Bytes{2});
  EXPECT_TRUE(lab.run_until([&] { return have(2); }));
}

TEST(Membership, WithTwoHostsTheLossOfOneIsNotThatOfTheResource) {
  Lab lab;
  lab.add({.is_supernode = true});
  lab.add({.streams = {"news!"}});
  lab.add({.streams = {"news!"}});
  for (unsigned i = 0; i < 3; ++i) lab.add({.streams = {"news"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.are_joined() && lab.have_one_linked_graph(); }));
  ASSERT_TRUE(lab.run_until([&] {
    for (unsigned n = 3; n < 6; ++n) {
      if (states(*lab.nodes[n]) != std::multiset<std::string>{"live", "live"}) return false;
    }
    return true;
  }));
  std::vector<Inbox*> inboxes;
  for (unsigned n = 3; n < 6; ++n) inboxes.push_back(&lab.subscribe(n, "news"));
  lab.nodes[1].reset();
  // The other one publishes all the while, and everyone gets it.
  size_t published = 0;
  const auto have_all = [&] {
    return std::all_of(inboxes.begin(), inboxes.end(),
                       [&](const Inbox* inbox) { return inbox->objects.size() == published; });
  };
  ASSERT_TRUE(lab.run_until([&] {
    if (have_all()) {
      const auto result = lab.nodes[2]->publish("news", Bytes{1, 2, 3});
      published += result.state == cli::PublishState::accepted ? 1 : 0;
    }
    for (unsigned n = 3; n < 6; ++n) {
      if (states(*lab.nodes[n]) != std::multiset<std::string>{"live", "origin lost"}) return false;
    }
    return published > 0;
  }));
  ASSERT_TRUE(lab.run_until(have_all));
  for (const Inbox* inbox : inboxes) EXPECT_EQ(inbox->lost, 0u);
}

}  // namespace
}  // namespace chaincast::node
