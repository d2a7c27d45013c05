// SPDX-License-Identifier: BSD-3-Clause
#include "identity/genesis.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crypto/openssl/toolbox.hpp"

namespace chaincast::identity {
namespace {

const std::string key_a(64, 'a');
const std::string key_b(64, 'b');
const std::string key_c(64, 'c');

std::string with(std::string_view more) {
  return "chaincast-genesis-1\nname news\nadmission listed\nfounder " + key_a + "\n" +
         std::string(more);
}

TEST(Genesis, TheNetworkIsTheDigestOfTheFile) {
  const auto toolbox = crypto::openssl::make_toolbox();
  const std::string text = with("endorser " + key_b + "\nadmit " + key_c + "\nvotes 75\n");
  const auto genesis = parse_genesis(text, *toolbox);
  ASSERT_TRUE(genesis.ok()) << genesis.error().message;
  EXPECT_EQ(genesis->network, toolbox->sha256(as_bytes(text)));
  EXPECT_EQ(genesis->name, "news");
  EXPECT_EQ(genesis->votes_percent, 75u);
  EXPECT_EQ(genesis->threshold_percent, 67u);
  for (const uint8_t byte : {uint8_t{0xaa}, uint8_t{0xbb}, uint8_t{0xcc}}) {
    PublicKey key;
    key.fill(byte);
    EXPECT_TRUE(genesis->admits(key));
  }
  EXPECT_FALSE(genesis->admits(PublicKey{}));
  const auto again = parse_genesis(genesis_text(*genesis), *toolbox);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->admitted, genesis->admitted);
  EXPECT_EQ(again->votes_percent, 75u);
}

TEST(Genesis, OpenNetworksAdmitAnyone) {
  const auto toolbox = crypto::openssl::make_toolbox();
  const auto genesis = parse_genesis(
      "chaincast-genesis-1\n# a comment\n\nname lab\nadmission open\nfounder " + key_a, *toolbox);
  ASSERT_TRUE(genesis.ok()) << genesis.error().message;
  EXPECT_TRUE(genesis->admits(PublicKey{}));
}

TEST(Genesis, SaysWhichLineIsWrong) {
  const auto toolbox = crypto::openssl::make_toolbox();
  struct Case {
    std::string text, expected;
  };
  for (const Case& c :
       {Case{"", "line 1: the file is empty"}, Case{"chaincast-genesis-2\n", "line 1"},
        Case{with("founder xyz\n"), "line 5: a key is 64 hex digits"},
        Case{with("threshold 50\n"), "line 5: a number from 51 to 100"},
        Case{with("votes 5\nvotes 6\n"), "line 6: votes stands twice"},
        Case{with("colour blue\n"), "line 5: colour is unknown"},
        Case{with("links\n"), "line 5: a word and a value"},
        Case{"chaincast-genesis-1\nname News\n", "line 2: a name is"},
        Case{"chaincast-genesis-1\nname a\nfounder " + key_a, "admission is missing"},
        Case{"chaincast-genesis-1\nname a\nadmission open\n", "a founder is missing"},
        Case{"chaincast-genesis-1\nname a\nadmission open\nfounder " + key_a + "\nadmit " + key_b,
             "although admission is open"}}) {
    const auto genesis = parse_genesis(c.text, *toolbox);
    ASSERT_FALSE(genesis.ok()) << c.text;
    EXPECT_NE(genesis.error().message.find(c.expected), std::string::npos)
        << genesis.error().message;
  }
}

TEST(Genesis, IsWrittenOnceAndNeverOverwritten) {
  const auto toolbox = crypto::openssl::make_toolbox();
  std::string directory = testing::TempDir() + "chaincast-genesis-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/g";
  Genesis genesis;
  genesis.name = "News";
  genesis.founders.resize(1);
  EXPECT_EQ(create_genesis(*toolbox, path, genesis).error().code, ErrorCode::invalid);
  EXPECT_FALSE(std::filesystem::exists(path));
  genesis.name = "news";
  const auto network = create_genesis(*toolbox, path, genesis);
  ASSERT_TRUE(network.ok()) << network.error().message;
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(*network, toolbox->sha256(as_bytes(text)));
  EXPECT_EQ(parse_genesis(text, *toolbox)->name, "news");
  genesis.name = "other";
  EXPECT_EQ(create_genesis(*toolbox, path, genesis).error().code, ErrorCode::exists);
  EXPECT_EQ(std::filesystem::file_size(path), text.size());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace chaincast::identity
