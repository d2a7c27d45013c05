// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "node/config.hpp"
#include "node/full_config.hpp"

namespace chaincast::node {
namespace {

using testing::HasSubstr;

// Line numbers in the tests below count from the [node] header, line 1.
const std::string minimal =
    "[node]\n"                        // 1
    "name = \"a\"\n"                  // 2
    "key = \"a.key\"\n"               // 3
    "network = \"net\"\n"             // 4
    "[[port]]\n"                      // 5
    "name = \"lo\"\n"                 // 6
    "driver = \"udp\"\n"              // 7
    "address = \"127.0.0.1:7001\"\n"  // 8
    "[[peer]]\n"                      // 9
    "name = \"b\"\n"                  // 10
    "address = \"127.0.0.1:7101\"\n"  // 11
    "secret = \"../ab.secret\"\n"     // 12
    "[[stream]]\n"                    // 13
    "name = \"news\"\n"               // 14
    "secret = \"/s/news.secret\"\n";  // 15

Result<Config> parse(const std::string& text) {
  return parse_config(text, "n.toml", "/home/u/lab");
}

std::string failure(const std::string& text) {
  const auto config = parse(text);
  EXPECT_FALSE(config.ok()) << text;
  return config.ok() ? "" : config.error().message;
}

// `minimal` with its line `number` (from 1) replaced; an empty text removes it, lines may be added.
std::string with_line(size_t number, const std::string& replacement) {
  size_t start = 0;
  for (size_t i = 1; i < number; ++i) start = minimal.find('\n', start) + 1;
  const size_t end = minimal.find('\n', start) + 1;
  return minimal.substr(0, start) + (replacement.empty() ? "" : replacement + "\n") +
         minimal.substr(end);
}

TEST(Config, FifteenLinesAreEnough) {
  EXPECT_LE(std::count(minimal.begin(), minimal.end(), '\n'), 15);
  const auto config = parse(minimal);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->node.key_file, "/home/u/lab/a.key");
  EXPECT_EQ(config->node.socket, "/home/u/lab/a.sock");
  EXPECT_EQ(config->peers[0].secret_file, "/home/u/ab.secret");
  EXPECT_EQ(config->peers[0].port, "lo");
  EXPECT_EQ(config->peers[0].address.port, 7101);
  EXPECT_EQ(config->streams[0].secret_file, "/s/news.secret");
  EXPECT_EQ(config->streams[0].payload_bytes, 1160);
  EXPECT_FALSE(config->streams[0].publish);
}

TEST(Config, TheSocketOfASystemConfigurationIsUnderRun) {
  EXPECT_EQ(parse_config(minimal, "x", "/etc/chaincast")->node.socket, "/run/chaincast/a.sock");
  EXPECT_EQ(parse_config(minimal, "x", "")->node.socket, "a.sock");
  EXPECT_EQ(parse_config(minimal, "x", "")->node.key_file, "a.key");
}

struct BadLine {
  size_t line;
  std::string replacement;
  std::string message;  // exact start
};

class BadConfig : public testing::TestWithParam<BadLine> {};

TEST_P(BadConfig, NamesFileLineKeyAndRemedy) {
  const auto& [line, replacement, message] = GetParam();
  EXPECT_THAT(failure(with_line(line, replacement)), testing::StartsWith(message));
}

INSTANTIATE_TEST_SUITE_P(
    Lines, BadConfig,
    testing::Values(
        // Syntax and structure.
        BadLine{7, "driver = udp", "n.toml:7: not TOML:"},
        BadLine{2, "name = \"a\"\nname = \"b\"", "n.toml:3: not TOML:"},
        BadLine{1, "[nod]",
                "n.toml:1: unknown section or key 'nod'; did you mean 'node'?\nn.toml:1: "
                "section [node] is missing"},
        BadLine{5, "[[prot]]", "n.toml:5: unknown section or key 'prot'; did you mean 'port'?"},
        BadLine{5, "[port]", "n.toml:5: write [[port]], in double brackets"},
        // Unknown keys.
        BadLine{4, "network = \"n\"\nworker = 2",
                "n.toml:5: [node] worker: unknown key; did you mean 'workers'?"},
        BadLine{12, "secret = \"s\"\nrepair = 1",
                "n.toml:13: [[peer]] 'b' repair: unknown key; "
                "expected one of: name, address, port"},
        // Missing keys: the line of the section.
        BadLine{3, "", "n.toml:1: [node] key: is missing; set it: file of the identity"},
        BadLine{11, "", "n.toml:9: [[peer]] 'b' address: is missing"},
        BadLine{10, "", "n.toml:9: [[peer]] 1 name: is missing"},
        // Types.
        BadLine{2, "name = 5", "n.toml:2: [node] name: is a whole number; it must be a text"},
        BadLine{4, "network = \"n\"\nworkers = \"2\"",
                "n.toml:5: [node] workers: is a text; it must be a whole number, 1..16 threads"},
        BadLine{14, "name = \"n\"\npublish = 1",
                "n.toml:15: [[stream]] 'n' publish: is a whole number; it must be true or false"},
        BadLine{4, "network = \"n\"\neal = \"-l 1\"",
                "n.toml:5: [node] eal: is a text; it must be"},
        BadLine{4, "network = \"n\"\neal = [\n 1]", "n.toml:6: [node] eal: is a whole number"},
        // Ranges.
        BadLine{4, "network = \"n\"\nworkers = 0",
                "n.toml:5: [node] workers: 0 must be 1..16 threads"},
        BadLine{4, "network = \"n\"\nworkers = 17",
                "n.toml:5: [node] workers: 17 must be 1..16 threads"},
        BadLine{4, "network = \"n\"\nworkers = -1", "n.toml:5: [node] workers: -1 must be 1..16"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nmtu = 1279",
                "n.toml:9: [[port]] 'lo' mtu: 1279 must be 1280..65535 bytes"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nmtu = 65536",
                "n.toml:9: [[port]] 'lo' mtu: 65536 must be 1280..65535 bytes"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nlink = { delay_ms = 1, loss = 1.5 }",
                "n.toml:9: [[port]] 'lo' link.loss: is a number; it must be a probability, 0..1"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nlink = { loss = nan }",
                "n.toml:9: [[port]] 'lo' link.loss:"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nlink = { los = 0.1 }",
                "n.toml:9: [[port]] 'lo' link.los: unknown key; did you mean 'loss'?"},
        BadLine{2, "name = \"\"", "n.toml:2: [node] name: must have 1..4096 characters"},
        BadLine{2, "name = \"a\\u0007\"", "n.toml:2: [node] name: must have 1..4096 characters"},
        // Choices and parsed texts.
        BadLine{7, "driver = \"upd\"",
                "n.toml:7: [[port]] 'lo' driver: 'upd' must be one of udp, ethdev; did you mean"},
        BadLine{11, "address = \"localhost:1\"",
                "n.toml:11: [[peer]] 'b' address: 'localhost:1' is "
                "not an address and UDP port; write"},
        BadLine{12, "secret = \"s\"\nrate = \"10\"",
                "n.toml:13: [[peer]] 'b' rate: '10' is not a "
                "rate; write \"unlimited\""},
        BadLine{12, "secret = \"s\"\nnode = \"00\"",
                "n.toml:13: [[peer]] 'b' node: '00' is not a "
                "node id of 32 hex digits; copy it from the peer's `show status`"},
        BadLine{15, "secret = \"s\"\npayload = 63",
                "n.toml:16: [[stream]] 'news' payload: '63' must"},
        BadLine{15, "secret = \"s\"\norigins = [\"00\"]",
                "n.toml:16: [[stream]] 'news' origins: '00' is not an Ed25519 public key"}));

// Relations between values.
INSTANTIATE_TEST_SUITE_P(
    Relations, BadConfig,
    testing::Values(
        BadLine{2, "name = \"a b\"", "n.toml:2: [node] name: 'a b' is no name; use"},
        BadLine{10, "name = \"all\"", "n.toml:10: [[peer]] 'all' name: 'all' means every one"},
        BadLine{14, "name = \"News\"", "n.toml:14: [[stream]] 'News' name: 'News' is no name"},
        BadLine{4, "network = \"n\"\nworkers = 2\nworker_cpus = [1]",
                "n.toml:6: [node] worker_cpus: has 1 cpus for 2 workers"},
        BadLine{4, "network = \"n\"\nworkers = 2\nworker_cpus = [1, 1]",
                "n.toml:6: [node] worker_cpus: cpu 1 is listed twice"},
        BadLine{4, "network = \"n\"\nsocket = \"/" + std::string(110, 'x') + "\"",
                "n.toml:5: [node] socket:"},
        BadLine{8, "", "n.toml:5: [[port]] 'lo' address: is missing; driver udp needs ip:port"},
        BadLine{7, "driver = \"ethdev\"", "n.toml:5: [[port]] 'lo' device: is missing"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nip = [\"10.0.0.1/24\"]",
                "n.toml:9: [[port]] 'lo' ip: is for driver ethdev"},
        BadLine{8, "address = \"127.0.0.1:7001\"\nudp_port = 7001",
                "n.toml:9: [[port]] 'lo' udp_port: is for driver ethdev; udp listens on the port"},
        BadLine{4,
                "network = \"n\"\nworkers = 3\n[[port]]\nname = \"q\"\nqueues = 2\n"
                "address = \"127.0.0.1:7009\"",
                "n.toml:8: [[port]] 'q' queues: 2 for 3 workers; give each worker one"},
        BadLine{11, "address = \"[::1]:7101\"",
                "n.toml:11: [[peer]] 'b' address: [::1]:7101: port 'lo' has no IPv6 address"},
        BadLine{12, "secret = \"s\"\nport = \"l0\"",
                "n.toml:13: [[peer]] 'b' port: no [[port]] is called 'l0'; did you mean 'lo'?"},
        BadLine{12,
                "secret = \"s\"\n[[peer]]\nname = \"b\"\naddress = \"127.0.0.1:1\"\nsecret = \"s\"",
                "n.toml:14: [[peer]] 'b' name: 'b' names another [[peer]] already"},
        BadLine{
            12,
            "secret = \"s\"\n[[peer]]\nname = \"c\"\naddress = \"127.0.0.1:7101\"\nsecret = \"s\"",
            "n.toml:15: [[peer]] 'c' address: 127.0.0.1:7101 is [[peer]] b's already"},
        BadLine{8,
                "address = \"127.0.0.1:7001\"\n[[port]]\nname = \"p\"\ndriver = \"udp\"\n"
                "address = \"127.0.0.1:7001\"",
                "n.toml:12: [[port]] 'p' address: 127.0.0.1:7001 is [[port]] lo's already"},
        BadLine{15, "secret = \"s\"\nwindow = 5000",
                "n.toml:16: [[stream]] 'news' window: 5000 must"},
        BadLine{15, "secret = \"s\"\nwindow = 512",
                "n.toml:16: [[stream]] 'news' window: 512 must"},
        BadLine{15, "secret = \"s\"\nsuite = \"gmac\"\ndelivery = \"final\"",
                "n.toml:17: [[stream]] 'news' delivery: \"final\" is refused with suite gmac"},
        BadLine{15, "secret = \"s\"\nkeeping = \"kept\"\ndelivery = \"linked\"",
                "n.toml:17: [[stream]] 'news' delivery: \"linked\" is refused with keeping"},
        BadLine{15, "secret = \"s\"\nsuite = \"gmac\"\nkeeping = \"kept\"\ndelivery = \"linked\"",
                "n.toml:17: [[stream]] 'news' keeping: \"kept\" is refused with suite gmac"},
        BadLine{15, "secret = \"s\"\npublish = true\npayload = \"jumbo\"",
                "n.toml:17: [[stream]] 'news' payload: 8860 bytes fit no fabric port: the largest "
                "mtu leaves 1400;"},
        BadLine{15, "secret = \"s\"\n[repair]\nretry_min_ms = 900\nretry_max_ms = 10",
                "n.toml:18: [repair] retry_max_ms: is less than retry_min_ms"},
        BadLine{15, "", "n.toml:13: [[stream]] 'news' secret: is missing; set it, or [membership]"},
        BadLine{15, "guests = [\"00112233445566778899aabbccddeeff\"]\nsecret = \"s\"",
                "n.toml:15: [[stream]] 'news' guests: needs [membership] address"},
        BadLine{15, "publish = true\n[membership]\naddress = \"192.0.2.1:0\"",
                "n.toml:13: [[stream]] 'news' secret: is missing; whoever publishes brings it"},
        BadLine{15, "[membership]\naddress = \"0.0.0.0:7000\"",
                "n.toml:16: [membership] address: 0.0.0.0:7000 is no address that others can"},
        BadLine{15, "secret = \"s\"\n[membership]\ndegree = 5",
                "n.toml:16: [membership] address: is missing; set where other nodes reach"},
        BadLine{15, "[membership]\naddress = \"192.0.2.1:0\"\nsupernode = true",
                "n.toml:17: [membership] supernode: carries no stream; remove"}));

TEST(Config, EveryProblemIsNamedInOrderOfLine) {
  const std::string message = failure(
      "[node]\nname = 1\nkey = 2\n[[peer]]\naddress = \"x\"\n[[port]]\nname = \"p\"\ndriver = 3\n");
  size_t last = 0;
  for (const char* place : {"n.toml:1: [node] network", "n.toml:2:", "n.toml:3:",
                            "n.toml:4: [[peer]] 1 name", "n.toml:5:", "n.toml:8:"}) {
    const size_t found = message.find(place);
    ASSERT_NE(found, std::string::npos) << place << " in\n" << message;
    EXPECT_GE(found, last);
    last = found;
  }
}

TEST(Config, AFileOfALaterVersionIsRefusedWholeAndOthersAreRead) {
  EXPECT_TRUE(parse("version = 1\n" + minimal).ok());
  // A later version may know sections and keys that this one does not: no word of those.
  const std::string later = failure("version = 2\nnovelty = 1\n" + minimal);
  EXPECT_THAT(later, testing::StartsWith("n.toml:1: version: 2 is later than 1, which this"));
  EXPECT_THAT(later, HasSubstr("upgrade chaincast"));
  EXPECT_EQ(std::count(later.begin(), later.end(), '\n'), 0) << later;
  for (const char* wrong : {"0", "-1", "\"1\"", "1.0"}) {
    EXPECT_THAT(failure(std::string("version = ") + wrong + "\n" + minimal),
                testing::StartsWith("n.toml:1: version: must be 1"))
        << wrong;
  }
}

TEST(Config, ASavedFileSaysItsVersion) {
  EXPECT_THAT(save_config(*parse(minimal)), testing::StartsWith("version = 1\n"));
  EXPECT_THAT(example_config(), HasSubstr("\nversion = 1\n"));
}

TEST(Config, HugeAndHostileTextsAreErrors) {
  EXPECT_THAT(failure(std::string(config_bytes_max + 1, '#')), HasSubstr("at most 1048576"));
  EXPECT_THAT(failure("x = " + std::string(100'000, '[')), HasSubstr("not TOML"));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "k" + std::to_string(i) + " = 1\n";
  const std::string message = failure(many + minimal);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 19);
}

// toml++ asserts on these, or worse; found by fuzz_config.
TEST(Config, WhatTheTomlLibraryCannotTakeIsAnError) {
  for (const char* text :
       {"[=]", "[.]", "[\x01]", "[[!]]", "[\xc3\xa9]", "[a.=]", "a.= 1", "x = {=}", "x = 1\xc3\xa9",
        "x = \"\"\xc3\xa9", "x = '''a'''''\xc3\xa9"}) {
    EXPECT_THAT(failure(text), HasSubstr("n.toml:1: not TOML:")) << text;
  }
  EXPECT_THAT(failure("\"\\\"#\" = \"\"\n\xc3\xa9 = 1"), HasSubstr("n.toml:2: not TOML: a char"));
}

TEST(Config, OtherScriptsStandInQuotesAndComments) {
  const std::string name = "\xc3\xa9";
  for (const std::string& value :
       {"\"" + name + "\"", "'" + name + "'", "\"\"\"" + name + "\"\"\"", "\"\\\"" + name + "\"",
        "'''a''" + name + "'''", "\"x\" # " + name}) {
    const auto config = parse("\xef\xbb\xbf# " + name + "\n" + with_line(4, "network = " + value));
    EXPECT_TRUE(config.ok()) << value << config.error().message;
  }
}

TEST(Config, PeersMustChooseAmongSeveralFabricPorts) {
  const std::string two = with_line(8,
                                    "address = \"127.0.0.1:7001\"\n[[port]]\nname = \"p2\"\n"
                                    "driver = \"udp\"\naddress = \"127.0.0.1:7002\"");
  EXPECT_EQ(failure(two), "n.toml:13: [[peer]] 'b' port: must name one of lo, p2");
}

TEST(Config, DefaultsFollowFromOtherValues) {
  const auto kept = parse(with_line(15, "secret = \"s\"\nkeeping = \"kept\""));
  EXPECT_EQ(kept->streams[0].delivery, wire::Delivery::final);
  EXPECT_EQ(parse(with_line(15, "secret = \"s\"\npayload = \"lan\""))->streams[0].payload_bytes,
            1400);
  StreamConfig stream;
  EXPECT_EQ(window_log2_of(stream), 13);
  stream.rate_frames_per_s = 1'000'000;
  EXPECT_EQ(window_log2_of(stream), 19);
  stream.window_frames = 1024;
  EXPECT_EQ(window_log2_of(stream), 10);
}

TEST(Config, SavedAndLoadedAgainShowsTheSame) {
  for (const std::string& text : {minimal, full_config, example_config()}) {
    const auto config = parse(text);
    ASSERT_TRUE(config.ok()) << config.error().message;
    const std::string saved = save_config(*config);
    // Read from another directory: nothing relative may be left.
    const auto again = parse_config(saved, "saved", "/elsewhere");
    ASSERT_TRUE(again.ok()) << again.error().message << saved;
    EXPECT_EQ(to_json(*again).dump(), to_json(*config).dump());
    EXPECT_EQ(save_config(*again), saved);
  }
}

TEST(Config, AMembersStreamNeedsNoSecret) {
  const auto config = parse(with_line(15, "[membership]\naddress = \"192.0.2.1:0\""));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->streams[0].secret_file.empty());
  EXPECT_EQ(to_json(*parse_config(save_config(*config), "again.toml", "")), to_json(*config));
}

TEST(Config, BehindANatThereIsATrackerAndNothingThatOthersHaveToReach) {
  const std::string network = std::string(minimal) + "[membership]\naddress = \"10.0.0.2:7000\"\n";
  const std::string behind = network + "behind_nat = true\n";
  const std::string tracker = "trackers = [\"192.0.2.1:7000\"]\n";
  const auto config = parse(behind + tracker);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->membership.is_behind_nat);
  EXPECT_THAT(parse(behind).error().message, HasSubstr("needs a tracker"));
  EXPECT_THAT(parse(behind + tracker + "relay = \"192.0.2.7:7100\"\n").error().message,
              HasSubstr("no place for a supernode or a relay"));
  EXPECT_THAT(parse(network + "relay = \"0.0.0.0:7100\"\n").error().message,
              HasSubstr("no address that others can reach"));
  EXPECT_THAT(parse(network + "relay = \"192.0.2.7:65510\"\n").error().message,
              HasSubstr("65510..65543"));
  EXPECT_TRUE(parse(network + "relay = \"192.0.2.7:65510\"\nrelay_pairs = 24\n").ok());
}

TEST(Config, WhatAPortDoesNotHaveIsNotSaved) {
  const auto config = parse(minimal);
  EXPECT_THAT(save_config(*config), testing::Not(HasSubstr("udp_port")));
  EXPECT_TRUE(to_json(*config)["ports"][0]["udp_port"].is_null());
  EXPECT_THAT(save_config(*parse(full_config)), HasSubstr("udp_port = 7777"));
}

TEST(Config, EveryKeyIsReadAndShown) {
  const auto config = parse(full_config);
  ASSERT_TRUE(config.ok()) << config.error().message;
  const ops::Json shown = to_json(*config);
  // Nothing in `full_config` is at its default, so no section may show one.
  const auto defaults = to_json(*parse(minimal));
  for (const auto& item : shown["node"].items())
    EXPECT_NE(item.value(), defaults["node"][item.key()]) << item.key();
  for (const auto& item : shown["repair"].items())
    EXPECT_NE(item.value(), defaults["repair"][item.key()]) << item.key();
  for (const std::string section : {"metrics", "rest", "membership"}) {
    for (const auto& item : shown[section].items()) {
      if (item.key() == "supernode") continue;   // one has no streams
      if (item.key() == "behind_nat") continue;  // nothing there can be a relay
      EXPECT_NE(item.value(), defaults[section][item.key()]) << item.key();
    }
  }
  for (const auto& item : shown["streams"][0].items()) {
    // What is kept is final, and takes no votes.
    const bool is_of_votes =
        item.key() == "votes" || item.key() == "tolerated" || item.key() == "malicious";
    const ops::Json& value = shown["streams"][is_of_votes ? 1 : 0][item.key()];
    EXPECT_NE(value, defaults["streams"][0][item.key()]) << item.key();
  }
  EXPECT_EQ(shown["ports"][0]["link"]["rate"], "10Mbit");
  EXPECT_EQ(shown["ports"][0]["link"]["reorder"], 1e-7);
  EXPECT_EQ(shown["peers"][0]["rate"], "2500kbit");
  EXPECT_EQ(shown["ports"][0]["ip"][1], "fd00::1/64");
  EXPECT_EQ(config->streams[0].payload_bytes, wire::payload_lan_ipv6_bytes);
}

TEST(Config, TheDescriptorCarriesWhatTheStreamAsksFor) {
  const auto config = parse(full_config);
  wire::Descriptor descriptor = descriptor_of(config->streams[0]);
  EXPECT_EQ(descriptor.suite_class, wire::SuiteClass::confidential);
  EXPECT_EQ(descriptor.window_log2, 11);
  EXPECT_TRUE(descriptor.carries_routes);
  // It must be one that other nodes accept.
  const auto parsed = wire::parse_descriptor(wire::encode(descriptor));
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
}

TEST(Config, ExampleHasEveryKeyOfTheReference) {
  const std::string example = example_config();
  const std::string reference = config_reference_markdown();
  size_t keys = 0;
  for (size_t at = reference.find("\n| `"); at != std::string::npos;
       at = reference.find("\n| `", at + 1)) {
    std::string key = reference.substr(at + 4, reference.find('`', at + 4) - at - 4);
    if (key.starts_with("link.")) key = "link";
    EXPECT_THAT(example, HasSubstr(key + " = ")) << key;
    ++keys;
  }
  EXPECT_GT(keys, 50u);
}

// docs/configuration.md holds the reference word for word; where this fails, paste it there anew.
TEST(Config, TheDocumentedReferenceIsCurrent) {
  std::ostringstream page;
  page << std::ifstream(CHAINCAST_DOCS "/configuration.md").rdbuf();
  EXPECT_NE(page.str().find(config_reference_markdown()), std::string::npos)
      << config_reference_markdown();
}

// Where this fails: `chaincast --print-commands > docs/commands.md`.
TEST(Config, TheDocumentedCommandsExplainEveryDrop) {
  std::ostringstream page;
  page << std::ifstream(CHAINCAST_DOCS "/commands.md").rdbuf();
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const stage::DropText& text = stage::drop_text(static_cast<stage::Drop>(i));
    EXPECT_THAT(page.str(), HasSubstr("| `" + std::string(text.name) + "` | "));
    EXPECT_THAT(page.str(), HasSubstr(" | " + std::string(text.help) + " |\n"));
  }
}

TEST(Config, FilesAreReadRelativeToThemselves) {
  std::string pattern = testing::TempDir() + "chaincast_config_XXXXXX";
  const std::string directory = ::mkdtemp(pattern.data());
  std::ofstream(directory + "/a.toml") << minimal;
  const auto config = load_config(directory + "/a.toml");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->node.key_file, directory + "/a.key");
  EXPECT_THAT(load_config(directory + "/none.toml").error().message,
              testing::AllOf(HasSubstr("/none.toml: No such file"), HasSubstr("check the path")));
  EXPECT_EQ(load_config(directory).error().code, ErrorCode::io);
  std::filesystem::remove_all(directory);
}

TEST(Config, NetworkIsHexOrText) {
  EXPECT_FALSE(network_from_hex("my network").has_value());
  EXPECT_FALSE(network_from_hex("0011").has_value());
  EXPECT_EQ((*network_from_hex(std::string(62, '0') + "ff"))[31], 0xff);
}

}  // namespace
}  // namespace chaincast::node
