// SPDX-License-Identifier: BSD-3-Clause
// The reader against bgpdump: its published expectation files, and the program where installed.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "lines.hpp"
#include "support/data.hpp"

namespace chaincast::route {
namespace {

// inet_ntop's and bgpdump's spellings of IPv6 differ in the shortest zero run.
std::string respell(const std::string& address) {
  std::array<uint8_t, 16> raw{};
  if (inet_pton(AF_INET6, address.c_str(), raw.data()) != 1) return address;
  return address_text(raw.data(), true);
}

std::string respell_prefix(const std::string& prefix) {
  const size_t slash = prefix.find('/');
  return respell(prefix.substr(0, slash)) + prefix.substr(slash);
}

// Reduces `bgpdump -m` output to action|time|peer|AS|prefix; B (table) becomes A.
std::vector<std::string> reduce(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::array<std::string, 6> field;
    std::istringstream fields(line);
    for (std::string& f : field) std::getline(fields, f, '|');
    if (field[2] == "STATE" || field[0].rfind("20", 0) == 0) continue;
    const std::string action = field[2] == "W" ? "W" : "A";
    lines.push_back(action + "|" + field[1] + "|" + respell(field[3]) + "|" + field[4] + "|" +
                    respell_prefix(field[5]));
  }
  return lines;
}

void expect_same(const std::vector<std::string>& ours, const std::vector<std::string>& theirs) {
  ASSERT_FALSE(theirs.empty());
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    ASSERT_EQ(ours[i], theirs[i]) << "line " << i + 1;
  }
  EXPECT_EQ(ours.size(), theirs.size());
}

class Expectation : public testing::TestWithParam<const char*> {};

TEST_P(Expectation, same_lines) {
  const std::string name = std::string("bgp/bgpdump.") + GetParam();
  CC_DATA_FILE_OR_SKIP(input, name + ".gz");
  CC_DATA_FILE_OR_SKIP(expected, name + ".expect.txt.gz");
  auto reader = MrtReader::open(input);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  const Bytes text = test::read_file(expected);
  expect_same(lines_of(*reader), reduce(std::string(text.begin(), text.end())));
  // That file's one message really ends inside its second prefix.
  const bool damaged = name.ends_with("nlri_mask_trailing_bits");
  for (size_t i = 0; i < mrt_fault_count; ++i) {
    const bool expected_fault = damaged && i == static_cast<size_t>(MrtFault::bad_prefix);
    EXPECT_EQ(reader->counts().faults[i], expected_fault ? 1u : 0u) << describe(reader->counts());
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Expectation,
                         testing::Values("bview.20020722.2337", "bview.64k_stream_overflow",
                                         "bview.ipv4_unicast_add_path", "updates.20020722.2238",
                                         "updates.20070211.0141", "updates.20100722.2015",
                                         "updates.long_withdrawal",
                                         "updates.nlri_mask_trailing_bits"));

class Program : public testing::TestWithParam<const char*> {};

// Full tables are compared up to this many lines; their totals are in test_mrt.cpp.
constexpr size_t lines_max = 40'000;

TEST_P(Program, same_lines) {
  const std::string name = std::string("bgp/") + GetParam();
  CC_DATA_FILE_OR_SKIP(input, name);
  if (std::system("command -v bgpdump >/dev/null") != 0) GTEST_SKIP() << "needs bgpdump";
  const std::string command =
      "bgpdump -m '" + input + "' 2>/dev/null | head -n " + std::to_string(lines_max);
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 65536> chunk;
  for (size_t n; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    text.append(chunk.data(), n);
  }
  pclose(pipe);
  const std::vector<std::string> theirs = reduce(text);
  auto reader = MrtReader::open(input);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  std::vector<std::string> ours = lines_of(*reader, lines_max);
  if (ours.size() > theirs.size() && theirs.size() == lines_max) ours.resize(lines_max);
  expect_same(ours, theirs);
}

INSTANTIATE_TEST_SUITE_P(Files, Program,
                         testing::Values("routeviews.jinx.updates.1427846400.bz2",
                                         "rrc15.updates.20100227.1610.gz",
                                         "rrc03.updates.20100227.1600.first-796-records.gz",
                                         "rrc01.updates.20001104.0124.gz",
                                         "routeviews.rib.20140523.0600.firstMB.bz2",
                                         "routeviews.rib6.20151101.0600.firstMB.bz2"));

}  // namespace
}  // namespace chaincast::route
