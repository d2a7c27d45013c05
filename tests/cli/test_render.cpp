// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "cli/render.hpp"

namespace chaincast::cli {
namespace {

using ops::Json;

TEST(Heading, UnitsGoIntoBrackets) {
  EXPECT_EQ(heading("rtt_us"), "rtt (us)");
  EXPECT_EQ(heading("queue_bytes_max"), "queue max (bytes)");
  EXPECT_EQ(heading("rate_frames_per_s"), "rate (frames/s)");
  EXPECT_EQ(heading("rate_bits_per_s"), "rate (bits/s)");
  EXPECT_EQ(heading("loss_percent"), "loss (percent)");
  EXPECT_EQ(heading("peers"), "peers");
  EXPECT_EQ(heading("bytes"), "bytes");
  EXPECT_EQ(heading("last_heard_ms"), "last heard (ms)");
}

TEST(Render, ObjectsAreAlignedLines) {
  const Json reply{{"name", "a"}, {"uptime_s", 12}, {"up", true}, {"peers", {"b", "c"}}};
  EXPECT_EQ(to_text(reply),
            "name:       a\n"
            "uptime (s): 12\n"
            "up:         yes\n"
            "peers:      b, c\n");
}

TEST(Render, ArraysOfObjectsAreTablesWithNumbersRight) {
  const Json reply{{"peers", Json::array({Json{{"name", "b"}, {"rtt_us", 5}, {"state", "up"}},
                                          Json{{"name", "long"}, {"rtt_us", 12345}}})}};
  EXPECT_EQ(to_text(reply),
            "peers:\n"
            "  name  rtt (us)  state\n"
            "  b            5  up\n"
            "  long     12345  -\n");
}

TEST(Render, NestedValuesStayReadable) {
  const Json reply{
      {"node", Json{{"id", "00ff"}, {"ports", Json::array()}}},
      {"rows", Json::array({Json{{"n", 1}, {"drops", Json{{"tag", 2}, {"gap", 0}}}}})}};
  EXPECT_EQ(to_text(reply),
            "node:\n"
            "  id:    00ff\n"
            "  ports: none\n"
            "rows:\n"
            "  n  drops\n"
            "  1  tag=2 gap=0\n");
}

TEST(Render, WideRowsAndTablesInRowsBecomeBlocks) {
  const Json inner = Json::array({Json{{"lane", 0}}, Json{{"lane", 1}}});
  const Json reply = Json::array({Json{{"name", "b"}, {"lanes", inner}}, Json{{"name", "c"}}});
  EXPECT_EQ(to_text(reply), "name: b\nlanes:\n  lane\n     0\n     1\n\nname: c\n");
  Json wide;
  for (int i = 0; i < 20; ++i) wide["column_number_" + std::to_string(i)] = i;
  EXPECT_NE(to_text(Json::array({wide})).find("column number 19: 19\n"), std::string::npos);
}

TEST(Render, ControlCharactersFromElsewhereAreShown) {
  EXPECT_EQ(to_text(Json{{"name", "a\x1b[2J\n"}}), "name: a\\x1b[2J\\x0a\n");
}

TEST(Render, EmptyRepliesAndWholeTexts) {
  EXPECT_EQ(to_text(nullptr), "");
  EXPECT_EQ(to_text(Json::array()), "none\n");
  EXPECT_EQ(to_text("a\nb"), "a\nb\n");
  EXPECT_EQ(to_text(3), "3\n");
}

}  // namespace
}  // namespace chaincast::cli
