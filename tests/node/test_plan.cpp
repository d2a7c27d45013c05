// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/plan.hpp"

namespace chaincast::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* base =
    "port = [{ name = \"lo\", driver = \"udp\", address = \"127.0.0.1:7001\" },\n"
    "        { name = \"p1\", driver = \"udp\", address = \"127.0.0.1:7051\" }]\n"
    "[node]\nname = \"a\"\nkey = \"a.key\"\nnetwork = \"n\"\n"
    "[[peer]]\nname = \"b\"\nport = \"lo\"\naddress = \"127.0.0.1:7101\"\nsecret = \"s\"\n"
    "[[peer]]\nname = \"c\"\nport = \"p1\"\naddress = \"127.0.0.1:7201\"\nsecret = \"s\"\n"
    "[[stream]]\nname = \"news\"\nsecret = \"s\"\n";

Config parsed(std::string text, const std::string& from = "", const std::string& to = "") {
  if (!from.empty()) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  auto config = parse_config(text, "test", "");
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().message);
  return config ? *config : Config{};
}

// "peer b: replaced", of what differs.
std::vector<std::string> differing(const Config& running, const Config& wanted) {
  std::vector<std::string> out;
  for (const Change& change : plan_change(running, wanted)) {
    if (change.effect == Effect::unchanged) continue;
    out.push_back(change.kind + " " + change.name + ": " + to_text(change.effect));
  }
  return out;
}

std::vector<std::string> after(const std::string& from, const std::string& to) {
  return differing(parsed(base), parsed(base, from, to));
}

TEST(Plan, TheSameFileDiffersInNothing) {
  EXPECT_THAT(differing(parsed(base), parsed(base)), IsEmpty());
  EXPECT_TRUE(is_same(plan_change(parsed(base), parsed(base))));
  // What is resolved by the parser is no difference to what is written out.
  EXPECT_THAT(after("port = \"lo\"\n", "port = \"lo\"\nqueue = 1024\ncheck = true\n"), IsEmpty());
}

TEST(Plan, SaysOfEachKeyWhatItTakes) {
  EXPECT_THAT(after("secret = \"s\"\n", "secret = \"s\"\nrate = \"10Mbit\"\n"),
              ElementsAre("peer b: changed"));
  EXPECT_THAT(after("secret = \"s\"\n", "secret = \"s\"\nqueue = 64\n"),
              ElementsAre("peer b: replaced"));
  EXPECT_THAT(after("secret = \"s\"\n", "secret = \"s\"\nqueue = 64\nrate = \"1Mbit\"\n"),
              ElementsAre("peer b: replaced"));
  EXPECT_THAT(after("name = \"news\"\n", "name = \"news\"\npublish = true\n"),
              ElementsAre("stream news: replaced"));
  EXPECT_THAT(after("network = \"n\"\n", "network = \"n\"\nidle = \"poll\"\nworkers = 2\n"),
              ElementsAre("node workers: needs a restart", "node idle: changed"));
  EXPECT_THAT(after("[[stream]]\n", "[repair]\nenabled = false\n[[stream]]\n"),
              ElementsAre("repair : changed"));
  EXPECT_THAT(after("[[stream]]\n", "[metrics]\naddress = \"127.0.0.1:9100\"\n[[stream]]\n"),
              ElementsAre("metrics : needs a restart"));
}

TEST(Plan, APortListensToMoreWithoutBeingReplaced) {
  EXPECT_THAT(after("127.0.0.1:7051\"", "127.0.0.1:7051\", promisc = true"),
              ElementsAre("port p1: changed"));
}

identity::SecretFile secret(uint8_t fill, identity::SecretFile::Kind kind) {
  identity::SecretFile out{kind, {}};
  out.secret.fill(fill);
  return out;
}

TEST(Plan, AFileThatHoldsSomethingElseIsAChange) {
  constexpr auto full = identity::SecretFile::Kind::full, relay = identity::SecretFile::Kind::relay;
  Config running = parsed(base);
  running.peers[0].secret = secret(1, full);
  running.peers[1].secret = secret(1, full);
  running.streams[0].secret = secret(1, full);
  running.node.public_key = PublicKey{1};
  Config wanted = running;
  EXPECT_THAT(differing(running, wanted), IsEmpty());
  wanted.peers[1].secret = secret(2, full);
  wanted.streams[0].secret = secret(1, relay);
  wanted.node.public_key = PublicKey{2};
  EXPECT_THAT(differing(running, wanted), ElementsAre("node key: needs a restart",
                                                      "stream news: replaced", "peer c: replaced"));
  for (const Change& change : plan_change(running, wanted)) {
    if (change.kind == "peer" && change.name == "c") {
      EXPECT_EQ(change.detail, "secret: s holds another one");
    }
  }
  // What nobody has read differs from nothing.
  EXPECT_THAT(differing(running, parsed(base)), IsEmpty());
}

TEST(Plan, APortTakesItsPeersAlong) {
  EXPECT_THAT(after("127.0.0.1:7051", "127.0.0.1:7052"),
              ElementsAre("port p1: replaced", "peer c: replaced"));
}

TEST(Plan, ComesAndGoesByName) {
  EXPECT_THAT(after("name = \"b\"", "name = \"bb\""),
              ElementsAre("peer b: removed", "peer bb: added"));
}

TEST(Plan, DetailsShowOldAndNew) {
  for (const Change& change : plan_change(
           parsed(base), parsed(base, "secret = \"s\"\n", "secret = \"s\"\nrate = \"10Mbit\"\n"))) {
    if (change.effect == Effect::unchanged) continue;
    EXPECT_THAT(change.detail, HasSubstr("rate: unlimited -> 10Mbit"));
  }
}

}  // namespace
}  // namespace chaincast::node
