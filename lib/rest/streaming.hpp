// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "rest/api.hpp"
#include "rest/instances.hpp"

// The streaming interface: /ping, /host-super, /host, /join and /stop (docs/rest.md). What is not a
// good call gets its status and an empty body; a good one gets 200 and all six keys.
namespace chaincast::rest {

inline constexpr size_t streaming_body_bytes_max = 64 * 1024;
inline constexpr size_t trackers_max = 256;
inline constexpr size_t resource_bytes_max = 255;

// One call as its path and body say it.
struct Call {
  enum class Action : uint8_t { host_super, host, join, stop };
  Action action = Action::host_super;
  std::vector<Endpoint> trackers;  // host, join
  uint64_t size_max = 0;           // host: at least 1
  std::string resource;            // join
  std::string instance;            // stop
  bool operator==(const Call&) const = default;
};

// Pure; any thread. `invalid` names what is wrong with the body; `not_found`: no such path.
Result<Call> parse_call(std::string_view path, std::string_view body);
// The six keys, in the order of the published interface.
std::string render(const Outcome& outcome);

// 32 hex digits: 24 that tell resources apart, and 8 of the largest object, so that a member knows
// it before it has met anybody.
std::string make_resource_id(const std::array<uint8_t, 12>& random, uint32_t size_max);
// Nothing where the id is not of that form: then it is a name that somebody chose.
std::optional<uint32_t> size_of(std::string_view resource);

// Any thread, as far as `instances` allows, which outlives it. A call waits as long as the action.
class Streaming {
 public:
  // `token`: what POST has to show as `Authorization: Bearer TOKEN`; empty: nothing.
  Streaming(Instances& instances, std::string token);
  Response handle(const Request& request) const;

 private:
  Response act(const Call& call) const;

  Instances& instances_;
  const std::string token_;
};

}  // namespace chaincast::rest
