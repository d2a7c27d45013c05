// SPDX-License-Identifier: BSD-3-Clause
// Delivery at `accepted` over whole nodes of one network: votes where the origin is no neighbour,
// and members who lie.
#include "member_lab.hpp"
#include "support/liar.hpp"

namespace chaincast::node {
namespace {

using ops::Json;

Json stream_row(Node& node) {
  const Json shown = node.run("show streams news").value();
  return shown["streams"][0];
}

// Every member but the liar gets exactly these, in this order.
bool have_all(const std::vector<Inbox*>& inboxes, size_t count) {
  return std::all_of(inboxes.begin(), inboxes.end(),
                     [&](const Inbox* inbox) { return inbox->objects.size() >= count; });
}

class Votes : public testing::Test {
 protected:
  // A network of a supernode (0), a host (1) and members, of two workers each. `quorum`: besides
  // the origin's own neighbours, so many members must have parents enough.
  void start(unsigned members, const std::string& host, const std::string& member,
             unsigned quorum) {
    fill(lab_, members, host, "degree = 4\n", member, "workers = 2\n");
    if (HasFatalFailure()) return;
    for (unsigned n = 2; n < lab_.nodes.size(); ++n) {
      inboxes_.push_back(&lab_.subscribe(n, "news"));
    }
    ASSERT_TRUE(lab_.run_until([&] { return voters().size() >= quorum && are_placed(); }))
        << "the graph leaves too few nodes that are no neighbours of the origin";
  }
  // Members that are no neighbours of the origin, and have parents enough.
  std::vector<unsigned> voters() {
    std::vector<unsigned> out;
    for (unsigned n = 2; n < lab_.nodes.size(); ++n) {
      const Json row = stream_row(*lab_.nodes[n]);
      if (row.contains("origin_link") && row["origin_link"] == false &&
          row["votes_shortcoming"] == "") {
        out.push_back(n);
      }
    }
    return out;
  }
  // Everyone hears the origin, or has parents.
  bool are_placed() {
    for (unsigned n = 2; n < lab_.nodes.size(); ++n) {
      const Json row = stream_row(*lab_.nodes[n]);
      if (row["origin_link"] == false && row["votes_parents"] == 0) return false;
    }
    return true;
  }
  void publish(const std::vector<Bytes>& objects) {
    for (const Bytes& object : objects) lab_.publish(1, "news", object);
  }
  const Carried& carried(unsigned n) { return *lab_.nodes[n]->carrier().carried().begin()->second; }

  Lab lab_;
  std::vector<Inbox*> inboxes_;
};

// The origin signs nothing after the first statement, so what arrives was accepted without it.
TEST_F(Votes, MembersFarFromTheOriginAcceptByVotesBeforeItSigns) {
  start(10,
        "delivery = \"accepted\"\nvotes = 50\nstatement_interval_ms = 10000\n"
        "statement_frames = 65535\n",
        "malicious = 0\n", 2);
  ASSERT_FALSE(HasFatalFailure());
  const std::vector<unsigned> far = voters();
  publish({Bytes{0}});
  ASSERT_TRUE(lab_.run_until([&] { return have_all(inboxes_, 1); }));
  std::vector<Bytes> objects = make_objects(30, 1);
  // The same bytes published twice are two frames, and come twice at once.
  objects.insert(objects.begin() + 10, objects[10]);
  publish(objects);
  ASSERT_TRUE(lab_.run_until([&] { return have_all(inboxes_, 1 + objects.size()); }, 8));
  lab_.run_until([] { return false; }, 1);
  for (const Inbox* inbox : inboxes_) {
    EXPECT_TRUE(std::vector<Bytes>(inbox->objects.begin() + 1, inbox->objects.end()) == objects);
    EXPECT_EQ(inbox->lost, 0u);
  }
  for (const unsigned n : far) {
    const Json row = stream_row(*lab_.nodes[n]);
    EXPECT_GT(row["accepted_by_votes"], 0u) << row.dump();
    EXPECT_LT(row["final_next"], row["delivered_next"]) << "it waited for no signature";
  }
  for (unsigned n = 2; n < lab_.nodes.size(); ++n) {
    const Json row = stream_row(*lab_.nodes[n]);
    EXPECT_EQ(row["votes_double"], 0u);
    EXPECT_EQ(row["votes_overruled"], 0u);
    EXPECT_TRUE(lab_.nodes[n]->run("show suspicion").value()["liars"].empty());
  }
}

// It vouches for frames that were never sent, and then as everyone does.
TEST_F(Votes, AMemberThatVouchesForOtherFramesChangesNothingAndIsNamedByItsChildren) {
  start(12, "delivery = \"accepted\"\nvotes = 50\ntolerated = 1\n",
        "tolerated = 1\nmalicious = 0\n", 1);
  ASSERT_FALSE(HasFatalFailure());
  // A parent of one that goes by votes.
  Node& child = *lab_.nodes[voters().front()];
  const auto kin = child.membership()->kin(lab_.nodes[1]->identity().id, "news");
  ASSERT_TRUE(kin && !kin->parents.empty());
  const auto is_liar = [&](const auto& node) { return node->identity().id == kin->parents[0]; };
  Node& node = **std::find_if(lab_.nodes.begin(), lab_.nodes.end(), is_liar);
  test::Liar liar(node, *lab_.toolbox);
  const auto objects = make_objects(20, 3);
  for (const Bytes& object : objects) {
    liar.vouch_falsely();
    publish({object});
  }
  ASSERT_TRUE(lab_.run_until([&] { return have_all(inboxes_, objects.size()); }));
  const std::string id = node.identity().id.hex();
  const auto namings = [&] {
    unsigned naming = 0;
    for (const auto& one : lab_.nodes) {
      const Json shown = one->run("show suspicion").value();
      for (const Json& named : shown["liars"]) {
        EXPECT_EQ(named["node"], id) << "the honest are not named";
        EXPECT_EQ(named["lie"], "false vote");
        ++naming;
      }
    }
    return naming;
  };
  EXPECT_TRUE(lab_.run_until([&] { return namings() > 0; }));
  for (const Inbox* inbox : inboxes_) {
    EXPECT_TRUE(inbox->objects == objects);
    EXPECT_EQ(inbox->lost, 0u);
  }
}

// It has the group's key, so its frames verify, and are linked to what is before them.
TEST_F(Votes, AForgeryThatIsEverywhereFirstIsAcceptedNowhere) {
  start(12, "delivery = \"accepted\"\nvotes = 50\ntolerated = 1\n",
        "tolerated = 1\nmalicious = 0\n", 1);
  ASSERT_FALSE(HasFatalFailure());
  const auto objects = make_objects(10, 4);
  publish({objects[0]});
  ASSERT_TRUE(lab_.run_until([&] { return have_all(inboxes_, 1); }));
  test::Liar liar(*lab_.nodes[3], *lab_.toolbox);
  std::vector<Bytes> published = {objects[0]};
  for (size_t i = 1; i < objects.size(); ++i) {
    const auto forges = [&] { return liar.forge_next(); };
    ASSERT_TRUE(lab_.run_until(forges));
    const Seq last = liar.stream()->receiver->status().highest_seen;
    const auto has_spread = [&] {
      for (unsigned n = 2; n < lab_.nodes.size(); ++n) {
        if (n != 3 && carried(n).receiver->status().highest_seen <= last) return false;
      }
      return true;
    };
    ASSERT_TRUE(lab_.run_until(has_spread));
    publish({objects[i]});
    published.push_back(objects[i]);
    ASSERT_TRUE(lab_.run_until([&] { return have_all(inboxes_, published.size()); }));
  }
  for (const Inbox* inbox : inboxes_) {
    EXPECT_TRUE(inbox->objects == published);
    EXPECT_EQ(inbox->lost, 0u);
  }
}

TEST_F(Votes, TheRuleChangesWhileItRunsAndStaysInTheConfiguration) {
  start(4, "delivery = \"accepted\"\n", "", 0);
  ASSERT_FALSE(HasFatalFailure());
  Node& member = *lab_.nodes[2];
  EXPECT_EQ(stream_row(member)["votes_percent"], 50u) << "the host's, whose default it is";
  ASSERT_TRUE(member.run("set votes news 100 2").ok());
  EXPECT_EQ(stream_row(member)["votes_percent"], 100u);
  EXPECT_EQ(stream_row(member)["votes_tolerated"], 2u);
  EXPECT_EQ(member.config().streams[0].votes_percent, 100u);
  EXPECT_EQ(member.config().streams[0].tolerated, 2u);
  EXPECT_EQ(stream_row(member)["votes_malicious"], 30u) << "unless set";
  ASSERT_TRUE(member.run("set votes news 100 2 10").ok());
  EXPECT_EQ(member.config().streams[0].malicious, 10u);
  ASSERT_TRUE(member.run("set votes news 20").ok());
  EXPECT_EQ(stream_row(member)["votes_tolerated"], 2u) << "as it was";
  EXPECT_EQ(stream_row(member)["votes_malicious"], 10u) << "as it was";
  EXPECT_FALSE(member.run("set votes news 20 2 51").ok());
  EXPECT_FALSE(member.run("set votes news 101").ok());
  EXPECT_FALSE(member.run("set votes weather 50").ok());
  EXPECT_EQ(stream_row(*lab_.nodes[3])["votes_percent"], 50u) << "its own rule alone";
}

}  // namespace
}  // namespace chaincast::node
