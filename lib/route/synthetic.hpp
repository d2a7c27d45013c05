// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "wire/route.hpp"

// Made-up route updates, for labs without an MRT file, and the count of changes in any updates.
// Pure; one owner.
namespace chaincast::route {

// The same updates for the same seed, on every machine: announcements of IPv4 and IPv6 prefixes
// with plausible path attributes, and withdrawals of prefixes that were announced before. Memory:
// at most announced_max prefixes of each family.
class SyntheticRoutes {
 public:
  static constexpr size_t prefixes_per_update_max = 32;
  static constexpr size_t announced_max = 4'096;

  // `changes` prefix changes in all, exactly.
  SyntheticRoutes(uint64_t seed, uint64_t changes) : random_(seed), left_(changes) {}

  // Replaces `records` by the next update, one record; false when all changes are made.
  bool next(std::vector<wire::RouteRecord>& records);

 private:
  wire::Prefix make_prefix(bool is_ipv6);
  void announce(bool is_ipv6, size_t count, wire::RouteRecord& record);
  void withdraw(bool is_ipv6, size_t count, wire::RouteRecord& record);

  Random random_;
  uint64_t left_;
  uint32_t updates_ = 0;
  std::vector<wire::Prefix> announced_[2];  // IPv4, IPv6
};

// Announced and withdrawn prefixes in objects of a stream that carries routes.
struct RouteChanges {
  uint64_t announced = 0;
  uint64_t withdrawn = 0;
  uint64_t malformed = 0;  // objects that are no route updates

  void add(ByteSpan object);
  uint64_t prefix_changes() const { return announced + withdrawn; }
};

}  // namespace chaincast::route
