// SPDX-License-Identifier: BSD-3-Clause
#include "session/backoff.hpp"

#include <gtest/gtest.h>

namespace chaincast::session {
namespace {

Endpoint address(uint16_t port) {
  return {.address = {10}, .port = port};
}

TEST(Backoff, DoublesWhileItFailsInARow) {
  Backoff backoff(100, 500);
  EXPECT_FALSE(backoff.holds(address(1), 0));
  TimeNs now_ns = 1000;
  for (const TimeNs wait_ns : {100u, 200u, 400u, 500u, 500u}) {
    backoff.failed(address(1), now_ns);
    EXPECT_TRUE(backoff.holds(address(1), now_ns + wait_ns - 1));
    EXPECT_FALSE(backoff.holds(address(1), now_ns + wait_ns));
    EXPECT_FALSE(backoff.holds(address(2), now_ns));
    now_ns += wait_ns;
  }
  backoff.succeeded(address(1));
  backoff.failed(address(1), now_ns);
  EXPECT_FALSE(backoff.holds(address(1), now_ns + 100));
}

TEST(Backoff, LongAgoIsForgotten) {
  Backoff backoff(100, 500);
  backoff.failed(address(1), 0);
  backoff.failed(address(1), 100 + 500);
  EXPECT_FALSE(backoff.holds(address(1), 700));
}

TEST(Backoff, IsBoundedAndGivesUpWhatWaitsLeast) {
  Backoff backoff(100, 500);
  for (unsigned i = 0; i <= Backoff::addresses_max; ++i) {
    backoff.failed(address(static_cast<uint16_t>(i)), i == 7 ? 0 : 50);
  }
  EXPECT_EQ(backoff.size(), Backoff::addresses_max);
  EXPECT_FALSE(backoff.holds(address(7), 60));
  EXPECT_TRUE(backoff.holds(address(8), 60));
  EXPECT_TRUE(backoff.holds(address(Backoff::addresses_max), 60));
}

}  // namespace
}  // namespace chaincast::session
