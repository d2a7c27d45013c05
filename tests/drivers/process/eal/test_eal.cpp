// SPDX-License-Identifier: BSD-3-Clause
#include "process/eal/eal.hpp"

#include <gmock/gmock.h>

#include <algorithm>

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

TEST(Options, TelemetryWithoutHugepagesIsForWhoAsks) {
  Request wanted = request();
  std::string said;
  EXPECT_THAT(choose_options(wanted, 0, said), Contains("--no-telemetry"));
  wanted.options = {"--no-huge", "-m", "64", "--telemetry"};
  EXPECT_THAT(choose_options(wanted, 0, said), Not(Contains("--no-telemetry")));
}

TEST(Options, OrdinaryMemoryThatIsAskedForGetsItsSize) {
  Request wanted = request();
  wanted.options = {"--no-huge", "--no-pci"};
  std::string said;
  const auto options = choose_options(wanted, size_t{1} << 30, said);
  EXPECT_THAT(options, Contains("--no-shconf"));
  EXPECT_THAT(options, Contains("165"));
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

// ---- lcores for workers ----

cpu_set_t cpus(std::initializer_list<unsigned> numbers) {
  cpu_set_t out;
  CPU_ZERO(&out);
  for (const unsigned cpu : numbers) CPU_SET(cpu, &out);
  return out;
}

using Words = std::vector<std::string>;

TEST(Lcores, PinnedWorkersHaveTheirCpusAndTheMainLcoreTheOthers) {
  EXPECT_EQ(lcore_options({2, {5, 3}, cpus({1, 3, 5, 7})}),
            (Words{"--lcores", "1@(1,7),5@(5),3@(3)", "--main-lcore", "1"}));
}

TEST(Lcores, FloatingWorkersHaveAllCpus) {
  EXPECT_EQ(lcore_options({2, {}, cpus({0, 1})}),
            (Words{"--lcores", "0@(0,1),1@(0,1),2@(0,1)", "--main-lcore", "0"}));
}

TEST(Lcores, OnTheOnlyCpuThereIsRoomForBoth) {
  EXPECT_EQ(lcore_options({1, {0}, cpus({0})}),
            (Words{"--lcores", "1@(0),0@(0)", "--main-lcore", "1"}));
}

TEST(Lcores, ACpuBeyondThoseThatEalCountsHasAnotherNumber) {
  EXPECT_EQ(lcore_options({1, {300}, cpus({300, 301})}),
            (Words{"--lcores", "1@(301),0@(300)", "--main-lcore", "1"}));
}

TEST(Lcores, ACpuThatTheProcessMayNotUseIsLeftToItsWorkerToComplain) {
  EXPECT_EQ(lcore_options({1, {4}, cpus({0, 1})}), Words());
}

class LcoreChoice : public testing::Test {
 protected:
  LcoreChoice() { wanted_.workers = {1, {1}, cpus({0, 1})}; }

  Words options(Words given, size_t free_bytes = size_t{1} << 30) {
    wanted_.options = std::move(given);
    std::string said;
    return choose_options(wanted_, free_bytes, said);
  }

  Request wanted_ = request();
};

TEST_F(LcoreChoice, IsMadeWhereOthersMayAttach) {
  EXPECT_THAT(options({}), Contains("0@(0),1@(1)"));
  EXPECT_THAT(options({"--no-pci"}), Contains("0@(0),1@(1)"));
}

TEST_F(LcoreChoice, IsNotMadeWhereNobodyCan) {
  for (const Words& given : {Words{"--no-huge"}, Words{"--in-memory"}, Words{"--no-shconf"},
                             Words{"--huge-unlink=always"}}) {
    EXPECT_THAT(options(given), Not(Contains("--lcores"))) << given.front();
    EXPECT_FALSE(admits_secondaries(options(given))) << given.front();
  }
  EXPECT_THAT(options({}, 0), Not(Contains("--lcores")));
}

TEST_F(LcoreChoice, IsTheOperatorsWhereHeMadeIt) {
  for (const Words& given : {Words{"-l", "0"}, Words{"-c1"}, Words{"--lcores=0"}}) {
    EXPECT_THAT(options(given), Not(Contains("0@(0),1@(1)"))) << given.front();
  }
}

}  // namespace
}  // namespace chaincast::eal
