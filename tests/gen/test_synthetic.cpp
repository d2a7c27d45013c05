// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "gen/synthetic.hpp"

namespace chaincast::gen {
namespace {

using testing::HasSubstr;

Sizes sizes_of(const char* text) {
  auto sizes = Sizes::parse(text);
  EXPECT_TRUE(sizes.ok()) << sizes.error().message;
  return std::move(sizes).value();
}

TEST(Sizes, AListIsTakenInTurn) {
  const Sizes sizes = sizes_of("64,512,1400");
  Random random(1);
  for (uint64_t i = 0; i < 30; ++i) {
    EXPECT_EQ(sizes.at(i, random), (std::array{64u, 512u, 1400u}[i % 3]));
  }
  EXPECT_EQ(sizes.smallest(), 64u);
  EXPECT_EQ(sizes.largest(), 1400u);
  EXPECT_EQ(sizes_of("0").largest(), 0u);
}

TEST(Sizes, ARangeIsUniformAndReachesItsEnds) {
  const Sizes sizes = sizes_of("64-67");
  Random random(1);
  std::map<uint32_t, int> seen;
  for (uint64_t i = 0; i < 4'000; ++i) ++seen[sizes.at(i, random)];
  ASSERT_EQ(seen.size(), 4u);
  for (const auto& [size, count] : seen) {
    EXPECT_TRUE(size >= 64 && size <= 67);
    EXPECT_NEAR(count, 1'000, 150);
  }
  EXPECT_EQ(sizes_of("9-9").at(0, random), 9u);
}

TEST(Sizes, ImixIsSevenFourOne) {
  const Sizes sizes = sizes_of("imix");
  Random random(1);
  std::map<uint32_t, int> seen;
  for (uint64_t i = 0; i < 1'200; ++i) ++seen[sizes.at(i, random)];
  EXPECT_EQ(seen, (std::map<uint32_t, int>{{64, 700}, {594, 400}, {1518, 100}}));
}

TEST(Sizes, NonsenseIsNamed) {
  for (const char* text : {"", "x", "64,", ",64", "64,,64", "64-", "-64", "9-8", "64 ", "1e3", "+1",
                           "16777217", "99999999999", "1-2-3", "IMIX"}) {
    const auto sizes = Sizes::parse(text);
    ASSERT_FALSE(sizes.ok()) << text;
    EXPECT_THAT(sizes.error().message, HasSubstr(text));
  }
  std::string many = "1";
  for (int i = 0; i < 1'024; ++i) many += ",1";
  EXPECT_FALSE(Sizes::parse(many).ok());
}

TEST(Synthetic, DependsOnSeedAndIndexAlone) {
  const Sizes sizes = sizes_of("64-90");
  Bytes object;
  Bytes again;
  std::set<Bytes> distinct;
  for (uint64_t index = 0; index < 100; ++index) {
    for (uint64_t seed = 1; seed < 4; ++seed) {
      synthetic_object(sizes, seed, index, object);
      synthetic_object(sizes, seed, 99 - index, again);
      synthetic_object(sizes, seed, index, again);
      EXPECT_EQ(object, again);
      distinct.insert(object);
    }
  }
  EXPECT_EQ(distinct.size(), 300u);
}

// Pinned, so that digests of made-up streams stay comparable between versions.
TEST(Synthetic, ContentStaysWhatItWas) {
  Bytes object;
  synthetic_object(sizes_of("20"), 1, 0, object);
  EXPECT_EQ(to_hex(object), "2c83f301eb3f9c904e876d9fae53f0b8516ba84e");
}

}  // namespace
}  // namespace chaincast::gen
