// SPDX-License-Identifier: BSD-3-Clause
#include "console/signals/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace chaincast::console {
namespace {

TEST(Signals, AreHeardThroughTheDescriptorAndDoNotEndTheProcess) {
  Signals::block();
  int stops = 0;
  int reloads = 0;
  auto signals = Signals::open([&stops] { ++stops; }, [&reloads] { ++reloads; });
  ASSERT_TRUE(signals.ok());
  std::vector<pollfd> fds;
  (*signals)->add_poll_fds(fds);
  ASSERT_EQ(fds.size(), 1u);
  EXPECT_EQ(poll(fds.data(), 1, 0), 0);
  (*signals)->on_ready(fds, 0);
  EXPECT_EQ(stops, 0);

  raise(SIGTERM);
  EXPECT_EQ(poll(fds.data(), 1, 1000), 1);
  (*signals)->on_ready(fds, 0);
  EXPECT_EQ(stops, 1);
  raise(SIGINT);
  (*signals)->on_ready(fds, 0);
  EXPECT_EQ(stops, 2);
  EXPECT_EQ(reloads, 0);
  raise(SIGHUP);
  (*signals)->on_ready(fds, 0);
  EXPECT_EQ(stops, 2);
  EXPECT_EQ(reloads, 1);
}

}  // namespace
}  // namespace chaincast::console
