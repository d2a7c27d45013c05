// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>

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

size_t widest_line(const std::string& text) {
  size_t widest = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    widest = std::max(widest, end - start);
    start = end + 1;
  }
  return widest;
}

TEST(Render, ATerminalWrapsTheWidestTextAndLosesNoWord) {
  Json rows = Json::array();
  rows.push_back(Json{{"reason", "tag"}, {"count", 12}, {"meaning", "digest or tag do not match"}});
  const std::string table = to_text(Json{{"drops", rows}}, 40);
  EXPECT_EQ(table,
            "drops:\n"
            "  reason  count  meaning\n"
            "  tag        12  digest or tag do not\n"
            "                 match\n");
  EXPECT_EQ(to_text(Json{{"drops", rows}}), to_text(Json{{"drops", rows}}, 200));
  const Json value{{"detail", "one two three four five six seven eight nine ten eleven"}};
  EXPECT_EQ(to_text(value, 30),
            "detail: one two three four\n        five six seven eight\n"
            "        nine ten eleven\n");
}

TEST(Render, NothingIsWiderThanTheTerminalWhereThatIsPossible) {
  Json rows = Json::array();
  for (int i = 0; i < 5; ++i) {
    rows.push_back(
        Json{{"name", "peer"},
             {"a_long_heading_of_numbers", i * 1'000'000},
             {"address", std::string(static_cast<size_t>(20 * i), 'x')},
             {"detail", "some words and \xc3\xa4\xc3\xb6\xc3\xbc " + std::to_string(i)}});
  }
  for (size_t columns = 60; columns < 200; ++columns) {
    EXPECT_LE(widest_line(to_text(Json{{"peers", rows}}, columns)), columns + 3) << columns;
  }
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
