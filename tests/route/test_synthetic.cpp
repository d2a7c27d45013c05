// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <set>

#include "route/mrt.hpp"
#include "route/synthetic.hpp"
#include "support/data.hpp"

namespace chaincast::route {
namespace {

std::vector<wire::RouteRecord> all_of(uint64_t seed, uint64_t changes) {
  SyntheticRoutes routes(seed, changes);
  std::vector<wire::RouteRecord> out;
  std::vector<wire::RouteRecord> records;
  while (routes.next(records)) out.insert(out.end(), records.begin(), records.end());
  return out;
}

TEST(SyntheticRoutes, SameSeedSameUpdates) {
  EXPECT_EQ(all_of(1, 5'000), all_of(1, 5'000));
  EXPECT_NE(all_of(1, 5'000), all_of(2, 5'000));
}

TEST(SyntheticRoutes, MakesExactlyTheChangesAskedFor) {
  for (const uint64_t changes : {0u, 1u, 31u, 33u, 20'000u}) {
    RouteChanges counted;
    for (const auto& record : all_of(7, changes)) counted.add(wire::encode({record}));
    EXPECT_EQ(counted.prefix_changes(), changes);
    EXPECT_EQ(counted.malformed, 0u);
  }
}

// Every withdrawal is of a prefix that stands announced, and both families take part in both.
TEST(SyntheticRoutes, WithdrawsOnlyWhatWasAnnounced) {
  std::set<wire::Prefix> announced;
  size_t seen[2][2] = {};
  for (const auto& record : all_of(3, 20'000)) {
    const bool withdraws = record.action == wire::RouteRecord::Action::withdraw;
    EXPECT_EQ(record.attributes.empty(), withdraws);
    ASSERT_LE(record.prefixes.size(), SyntheticRoutes::prefixes_per_update_max);
    for (const wire::Prefix& prefix : record.prefixes) {
      ++seen[withdraws ? 1 : 0][prefix.is_ipv6 ? 1 : 0];
      EXPECT_EQ(prefix, wire::masked(prefix));
      if (withdraws) {
        EXPECT_TRUE(announced.contains(prefix));
      } else {
        announced.insert(prefix);
      }
    }
  }
  for (const auto& action : seen) {
    for (const size_t count : action) EXPECT_GT(count, 500u);
  }
}

TEST(SyntheticRoutes, RecordsSurviveTheWire) {
  for (const auto& record : all_of(5, 2'000)) {
    const auto parsed = wire::parse_route_update(wire::encode({record}));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(*parsed, std::vector{record});
  }
}

TEST(RouteChanges, CountsWhatIsNoUpdate) {
  RouteChanges changes;
  changes.add({});
  changes.add(Bytes(5, 0xff));
  EXPECT_EQ(changes.malformed, 2u);
  EXPECT_EQ(changes.prefix_changes(), 0u);
}

// Packed or one object an update, the changes are those of the data set's own description.
TEST(RouteChanges, AgreeWithThePublishedCountOfARealFile) {
  CC_DATA_FILE_OR_SKIP(path, "bgp/bgpdump.updates.20070211.0141.gz");
  for (const bool one_per_update : {false, true}) {
    PackOptions options;
    options.one_per_update = one_per_update;
    if (one_per_update) options.object_bytes = size_t{1} << 20;
    const auto routes = load_route_objects(path, options);
    ASSERT_TRUE(routes.ok());
    RouteChanges changes;
    for (const Bytes& object : routes->objects) changes.add(object);
    EXPECT_EQ(changes.announced, 51'329u);
    EXPECT_EQ(changes.withdrawn, 2'328u);
    EXPECT_EQ(changes.malformed, 0u);
    if (one_per_update) {
      EXPECT_LE(routes->objects.size(), routes->counts.records);
      EXPECT_EQ(routes->objects.size(), routes->counts.records - routes->counts.skipped);
    }
  }
}

}  // namespace
}  // namespace chaincast::route
