// SPDX-License-Identifier: BSD-3-Clause
#include "metrics/metrics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace chaincast::metrics {
namespace {

using ops::Json;

constexpr std::array labels = {Label{"peer", "name"}};
constexpr std::array metrics = {
    Metric{"tx_bytes", Type::counter, "peer_tx_bytes", "bytes", "Sent"},
    Metric{"rtt_us", Type::gauge, "peer_rtt_seconds", "seconds", "Round trip", 1e-6},
    Metric{"state", Type::gauge, "peer_up", "", "Is it up?", 1, "up"},
};
constexpr Table table = {"show peers", "peers", labels, metrics};

TEST(Metrics, RowsBecomeSamplesOfTheirFamily) {
  Page page;
  page.add(
      table,
      Json{
          {"peers",
           {{{"name", "a"}, {"tx_bytes", 18446744073709551615u}, {"rtt_us", 1500}, {"state", "up"}},
            {{"name", "b"}, {"tx_bytes", 0}, {"rtt_us", nullptr}, {"state", "down"}}}}});
  EXPECT_EQ(page.finish(),
            "# TYPE chaincast_peer_tx_bytes counter\n"
            "# UNIT chaincast_peer_tx_bytes bytes\n"
            "# HELP chaincast_peer_tx_bytes Sent\n"
            "chaincast_peer_tx_bytes_total{peer=\"a\"} 18446744073709551615\n"
            "chaincast_peer_tx_bytes_total{peer=\"b\"} 0\n"
            "# TYPE chaincast_peer_rtt_seconds gauge\n"
            "# UNIT chaincast_peer_rtt_seconds seconds\n"
            "# HELP chaincast_peer_rtt_seconds Round trip\n"
            "chaincast_peer_rtt_seconds{peer=\"a\"} 0.0015\n"
            "# TYPE chaincast_peer_up gauge\n"
            "# HELP chaincast_peer_up Is it up?\n"
            "chaincast_peer_up{peer=\"a\"} 1\n"
            "chaincast_peer_up{peer=\"b\"} 0\n"
            "# EOF\n");
}

TEST(Metrics, LabelsAreEscaped) {
  Page page;
  page.add(table, Json{{"peers", {{{"name", "a\"b\\c\nd"}, {"tx_bytes", 1}}}}});
  EXPECT_NE(page.finish().find("{peer=\"a\\\"b\\\\c\\nd\"} 1\n"), std::string::npos);
}

TEST(Metrics, TheReplyItselfMayBeTheRow) {
  constexpr std::array one = {Metric{"forwarding", Type::gauge, "forwarding", "", "Is it?"}};
  constexpr std::array version = {Label{"version", "chaincast"}, Label{"protocol", "protocol"}};
  constexpr std::array info = {Metric{"", Type::info, "build", "", "Versions"}};
  Page page;
  page.add({"show status", "", {}, one}, Json{{"forwarding", true}});
  page.add({"show version", "", version, info}, Json{{"chaincast", "1.2"}, {"protocol", 1}});
  EXPECT_EQ(page.finish(),
            "# TYPE chaincast_forwarding gauge\n"
            "# HELP chaincast_forwarding Is it?\n"
            "chaincast_forwarding 1\n"
            "# TYPE chaincast_build info\n"
            "# HELP chaincast_build Versions\n"
            "chaincast_build_info{version=\"1.2\",protocol=\"1\"} 1\n"
            "# EOF\n");
}

TEST(Metrics, AHistogramHasItsBucketsAndEndsInInfinity) {
  constexpr std::array stage = {Label{"stage", "stage"}};
  constexpr std::array times = {
      Metric{"burst", Type::histogram, "stage_burst_seconds", "seconds", "Time", 1e-9}};
  const Table latency = {"show latency", "stages", stage, times, "measuring", "bounds_ns"};
  Json reply{{"measuring", true},
             {"bounds_ns", {255, 1023}},
             {"stages",
              {{{"stage", "hop"},
                {"burst", {{"buckets", {2, 7}}, {"count", 9}, {"sum", 4'000'000'000u}}}}}}};
  Page page;
  page.add(latency, reply);
  EXPECT_EQ(page.finish(),
            "# TYPE chaincast_stage_burst_seconds histogram\n"
            "# UNIT chaincast_stage_burst_seconds seconds\n"
            "# HELP chaincast_stage_burst_seconds Time\n"
            "chaincast_stage_burst_seconds_bucket{stage=\"hop\",le=\"2.55e-07\"} 2\n"
            "chaincast_stage_burst_seconds_bucket{stage=\"hop\",le=\"1.023e-06\"} 7\n"
            "chaincast_stage_burst_seconds_bucket{stage=\"hop\",le=\"+Inf\"} 9\n"
            "chaincast_stage_burst_seconds_count{stage=\"hop\"} 9\n"
            "chaincast_stage_burst_seconds_sum{stage=\"hop\"} 4\n"
            "# EOF\n");
  reply["measuring"] = false;
  page.add(latency, reply);
  EXPECT_EQ(page.finish().find("chaincast_stage_burst_seconds_"), std::string::npos);
}

TEST(Metrics, ListsAndMapsAreSamplesByIndexAndNameUpToALimit) {
  constexpr std::array lanes = {
      Metric{"lanes", Type::counter, "lane_datagrams", "", "Per lane", 1, "", "lane"}};
  constexpr std::array xstats = {
      Metric{"xstats", Type::unknown, "xstat", "", "Of the device", 1, "", "name"}};
  Page page;
  page.add({"show peers", "peers", labels, lanes},
           Json{{"peers", {{{"name", "a"}, {"lanes", {5, 6}}}}}});
  page.add({"show port xstats", "", {}, xstats}, Json{{"xstats", {{"rx_\"q\"0", 7}}}});
  EXPECT_EQ(page.finish(),
            "# TYPE chaincast_lane_datagrams counter\n"
            "# HELP chaincast_lane_datagrams Per lane\n"
            "chaincast_lane_datagrams_total{peer=\"a\",lane=\"0\"} 5\n"
            "chaincast_lane_datagrams_total{peer=\"a\",lane=\"1\"} 6\n"
            "# TYPE chaincast_xstat unknown\n"
            "# HELP chaincast_xstat Of the device\n"
            "chaincast_xstat{name=\"rx_\\\"q\\\"0\"} 7\n"
            "# EOF\n");
  Json many = Json::object();
  for (size_t i = 0; i < elements_max + 10; ++i) many["x" + std::to_string(i)] = i;
  page.add({"show port xstats", "", {}, xstats}, Json{{"xstats", many}});
  const std::string text = page.finish();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + 1 + static_cast<long>(elements_max));
}

TEST(Metrics, AnEmptyPageIsWholeAndTheNextStartsAnew) {
  Page page;
  page.add(table, Json{{"ports", Json::array()}});
  EXPECT_EQ(page.finish(), "# EOF\n");
  EXPECT_EQ(page.finish(), "# EOF\n");
}

}  // namespace
}  // namespace chaincast::metrics
