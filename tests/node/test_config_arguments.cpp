// SPDX-License-Identifier: BSD-3-Clause
// What commands say of a section against what a file says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "node/config_arguments.hpp"
#include "node/full_config.hpp"

namespace chaincast::node {
namespace {

using testing::HasSubstr;

// Commands have no word for an impairment.
Config parsed() {
  auto config = parse_config(full_config, "file", std::filesystem::current_path().string());
  EXPECT_TRUE(config.ok()) << config.error().message;
  for (PortConfig& port : config->ports) port.link.reset();
  return std::move(*config);
}

// A shown section as a user would type it.
ops::Arguments typed(const ops::Json& section) {
  ops::Arguments out;
  for (const auto& item : section.items()) {
    const ops::Json& value = item.value();
    if (value.is_null()) continue;
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (value.is_boolean()) text = value.get<bool>() ? "on" : "off";
    if (item.key() == "secret") text = std::filesystem::path(text).filename().string();
    if (value.is_array()) {
      text.clear();
      for (const auto& one : value) text += (text.empty() ? "" : ",") + one.get<std::string>();
      if (text.empty()) continue;
    }
    out.set(item.key(), text);
  }
  return out;
}

template <typename Section>
void expect_same(std::vector<Section> Config::*list, const char* shown) {
  const Config config = parsed();
  Config running = config;
  (running.*list).clear();
  const ops::Json wanted = to_json(config)[shown];
  for (size_t i = 0; i < wanted.size(); ++i) {
    auto section = read_section<Section>(typed(wanted[i]));
    ASSERT_TRUE(section.ok()) << section.error().message;
    section = admit(std::move(*section), running);
    ASSERT_TRUE(section.ok()) << section.error().message;
    (running.*list).push_back(std::move(*section));
  }
  EXPECT_EQ(to_json(running)[shown].dump(), wanted.dump());
}

TEST(ConfigArguments, SayWhatAFileSays) {
  expect_same(&Config::ports, "ports");
  expect_same(&Config::peers, "peers");
  expect_same(&Config::streams, "streams");
}

template <typename Section>
void expect_every_key(const ops::Json& section, std::initializer_list<std::string_view> positional,
                      size_t only_shown) {
  const auto arguments = section_arguments<Section>(positional);
  EXPECT_EQ(arguments.size(), section.size() - only_shown);
  for (size_t i = 0; i < arguments.size(); ++i) {
    EXPECT_TRUE(section.contains(arguments[i].name)) << arguments[i].name;
    EXPECT_FALSE(arguments[i].help.empty()) << arguments[i].name;
    const bool leads = i < positional.size();
    EXPECT_EQ(arguments[i].keyword, leads ? "" : arguments[i].name);
    EXPECT_EQ(arguments[i].name, leads ? positional.begin()[i] : arguments[i].name);
  }
}

TEST(ConfigArguments, HaveEveryKeyOfAFile) {
  const ops::Json shown = to_json(parsed());
  expect_every_key<PortConfig>(shown["ports"][0], {"name", "device"}, 1);  // link is a table
  expect_every_key<PeerConfig>(shown["peers"][0], {"name", "address"}, 0);
  expect_every_key<StreamConfig>(shown["streams"][0], {"name"}, 1);  // payload_bytes
}

TEST(ConfigArguments, KnowRangesChoicesAndWhatIsRequired) {
  const auto arguments = section_arguments<StreamConfig>({"name"});
  const auto find = [&](const std::string& name) {
    return *std::find_if(arguments.begin(), arguments.end(),
                         [&](const ops::Argument& argument) { return argument.name == name; });
  };
  EXPECT_TRUE(find("secret").optional);
  const auto of_peers = section_arguments<PeerConfig>({"name", "address"});
  EXPECT_TRUE(std::any_of(of_peers.begin(), of_peers.end(), [](const ops::Argument& argument) {
    return argument.name == "secret" && !argument.optional;
  }));
  EXPECT_EQ(find("secret").type, ops::ArgumentType::file);
  EXPECT_EQ(find("publish").choices, (std::vector<std::string>{"on", "off"}));
  EXPECT_TRUE(find("publish").optional);
  EXPECT_EQ(find("delivery").choices, (std::vector<std::string>{"linked", "final", "accepted"}));
  EXPECT_EQ(find("rate").min, 1u);
  EXPECT_EQ(find("rate").unit, "frames/s");
}

TEST(ConfigArguments, NameTheKeyOfABadValue) {
  const auto problem = [](const std::string& key, const std::string& value) {
    ops::Arguments arguments;
    arguments.set("name", "x");
    arguments.set("secret", "s");
    arguments.set(key, value);
    const auto section = read_section<StreamConfig>(arguments);
    return section.ok() ? "" : section.error().message;
  };
  EXPECT_EQ(problem("rate", "10"), "");
  EXPECT_EQ(problem("rate", "0"), "rate: '0' must be 1..100000000 frames/s");
  EXPECT_EQ(problem("rate", "1x"), "rate: '1x' must be 1..100000000 frames/s");
  EXPECT_THAT(problem("suite", "sha256-gmak"), HasSubstr("did you mean 'sha256-gmac'?"));
  EXPECT_EQ(problem("publish", "yes"), "publish: 'yes' must be on or off");
  EXPECT_THAT(problem("origins", "00,11"), HasSubstr("origins: '00' is not an Ed25519"));
  EXPECT_THAT(problem("secret", "a\nb"), HasSubstr("secret: must have 1..4096 characters"));
  EXPECT_THAT(read_section<StreamConfig>({}).error().message,
              HasSubstr("name: is missing; give it"));
}

TEST(ConfigArguments, DevicesKeepTheirOwnCommas) {
  ops::Arguments arguments;
  arguments.set("name", "x");
  arguments.set("members",
                "net_af_packet0,iface=eth1,qpairs=2,0000:01:00.0,net_af_packet1,iface=e");
  const auto section = read_section<PortConfig>(arguments);
  ASSERT_TRUE(section.ok()) << section.error().message;
  EXPECT_EQ(section->members, (std::vector<std::string>{"net_af_packet0,iface=eth1,qpairs=2",
                                                        "0000:01:00.0", "net_af_packet1,iface=e"}));
}

TEST(ConfigArguments, AreHeldAgainstWhatRuns) {
  const Config running = parsed();
  const auto problem = [&](const PeerConfig& peer) {
    const auto admitted = admit(peer, running);
    return admitted.ok() ? "" : admitted.error().message;
  };
  PeerConfig peer = running.peers[0];
  EXPECT_THAT(problem(peer), HasSubstr("peer b: name: 'b' names another [[peer]] already"));
  EXPECT_THAT(problem(peer), HasSubstr("peer b: address: [fd00::2]:7000 is [[peer]] b's already"));
  peer.name = "c";
  peer.address.port = 7001;
  EXPECT_EQ(problem(peer), "");
  peer.port = "lan";
  EXPECT_THAT(problem(peer), HasSubstr("peer c: port: 'lan' is an edge port"));
  peer.name = "all";
  EXPECT_THAT(problem(peer), HasSubstr("'all' means every one"));
  StreamConfig stream;
  stream.name = "jumbo";
  stream.payload = "jumbo";
  const auto admitted = admit(stream, running);
  ASSERT_TRUE(admitted.ok()) << admitted.error().message;
  EXPECT_EQ(admitted->payload_bytes, 8860);
  Config full = running;
  for (size_t i = full.streams.size(); i < streams_max; ++i) {
    full.streams.push_back(stream);
    full.streams.back().name = "s" + std::to_string(i);
  }
  EXPECT_THAT(admit(stream, full).error().message, HasSubstr("there are 1024 already"));
}

}  // namespace
}  // namespace chaincast::node
