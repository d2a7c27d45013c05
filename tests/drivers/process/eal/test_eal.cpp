// SPDX-License-Identifier: BSD-3-Clause
#include "process/eal/eal.hpp"

#include <gmock/gmock.h>

namespace chaincast::eal {
namespace {

using testing::Contains;
using testing::Not;

Request request() {
  Request wanted;
  wanted.program = "test";
  wanted.memory_bytes = 100u << 20;
  wanted.file_prefix = "prefix";
  return wanted;
}

TEST(Options, WithoutHugepagesOrdinaryMemoryIsChosenAndSaid) {
  std::string said;
  const auto options = choose_options(request(), 0, said);
  EXPECT_THAT(options, Contains("--no-huge"));
  EXPECT_THAT(options, Contains("--no-shconf"));
  EXPECT_THAT(options, Contains("165"));  // MiB: the pools' and EAL's own
  EXPECT_THAT(options, Contains("--no-pci"));
  EXPECT_THAT(options, Not(Contains("--in-memory")));  // EAL refuses both together
  EXPECT_NE(said.find("no hugepages"), std::string::npos);
}

TEST(Options, HugepagesAreUsedWhereThereAreEnough) {
  std::string said;
  const auto options = choose_options(request(), size_t{1} << 30, said);
  EXPECT_THAT(options, Not(Contains("--no-huge")));
  EXPECT_TRUE(said.empty());
}

TEST(Options, OnlyNicsOfPortsAreProbed) {
  Request wanted = request();
  wanted.pci = {"0000:01:00.0"};
  std::string said;
  const auto options = choose_options(wanted, 0, said);
  EXPECT_THAT(options, Not(Contains("--no-pci")));
  const auto allow = std::find(options.begin(), options.end(), "-a");
  ASSERT_NE(allow, options.end());
  EXPECT_EQ(*std::next(allow), "0000:01:00.0");
}

TEST(Options, GivenOnesAreKept) {
  Request wanted = request();
  wanted.options = {"--no-huge", "-m", "64", "--file-prefix", "mine"};
  std::string said;
  const auto options = choose_options(wanted, 0, said);
  EXPECT_THAT(options, Contains("64"));
  EXPECT_THAT(options, Contains("mine"));
  EXPECT_THAT(options, Not(Contains("prefix")));
  EXPECT_TRUE(said.empty());
}

TEST(Options, ValuesBehindAnEqualsSignAreSeen) {
  Request wanted = request();
  wanted.options = {"--no-huge", "-m", "64", "--file-prefix=mine", "--log-level=*:debug"};
  std::string said;
  const auto options = choose_options(wanted, 0, said);
  EXPECT_THAT(options, Not(Contains("--file-prefix")));
  EXPECT_THAT(options, Not(Contains("--log-level")));
}

}  // namespace
}  // namespace chaincast::eal
