// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "cli/periodic.hpp"

namespace chaincast::cli {
namespace {

struct Counting final : Commander {
  ops::Reply run(std::string_view line) override {
    return ops::Json{{"line", line}, {"run", ++runs}};
  }
  std::vector<std::string> complete(std::string_view) override { return {}; }
  int runs = 0;
};

TEST(Periodic, RunsOnceAPeriodAndDoesNotCatchUp) {
  Counting commander;
  std::string out;
  Periodic periodic(commander, "show", 10 * ns_per_s,
                    [&](const std::string& text) { out += text; });
  periodic.on_ready({}, 5 * ns_per_s);
  EXPECT_EQ(commander.runs, 0);
  EXPECT_EQ(periodic.wake_at_ns(), 15 * ns_per_s);
  periodic.on_ready({}, 15 * ns_per_s - 1);
  EXPECT_EQ(commander.runs, 0);
  periodic.on_ready({}, 15 * ns_per_s);
  EXPECT_EQ(out, "line: show\nrun:  1\n");
  periodic.on_ready({}, 100 * ns_per_s);
  EXPECT_EQ(commander.runs, 2);
  EXPECT_EQ(periodic.wake_at_ns(), 110 * ns_per_s);
}

}  // namespace
}  // namespace chaincast::cli
