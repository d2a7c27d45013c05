// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "graph/message.hpp"

// What a member remembers over a restart (docs/membership.md, "State"): whom it was linked with, so
// that it comes back without a tracker, and a counter above all that its records had. A JSON file;
// nothing secret. Control thread; each call waits for the disk.
namespace chaincast::node {

inline constexpr size_t member_state_bytes_max = 64 * 1024;

struct MemberState {
  Digest network{};
  uint64_t counter = 0;
  std::vector<graph::Contact> members;  // at most graph::contacts_max
};

// Nothing is remembered (`not_found`) at the first start. `invalid` names the file and the remedy.
Result<MemberState> load_member_state(const std::string& path);
// Replaces the file as a whole: a crash leaves the old one or the new one.
Status save_member_state(const std::string& path, const MemberState& state);

}  // namespace chaincast::node
