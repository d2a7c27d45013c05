// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "ops/ops.hpp"

// What the streaming interface starts and stops: nodes of this process, by the caller's wish. The
// program implements it; streaming.hpp turns requests into calls.
namespace chaincast::rest {

// The body of a good call. What a call does not have stays empty or 0; so does everything where it
// did not succeed.
struct Outcome {
  bool is_success = false;
  std::string instance;   // the handle for `stop`, good in this process alone
  uint16_t tcp_port = 0;  // of the instance's management address
  uint16_t udp_port = 0;  // of the instance's feed (docs/rest.md), on 127.0.0.1
  std::string resource;   // what a host made or a member has joined
  uint64_t size_max = 0;  // of the resource's objects, in bytes
  bool operator==(const Outcome&) const = default;
};

// Any thread, several at a time. A call waits until the instance is in the network or has failed to
// get there, a few seconds at most.
class Instances {
 public:
  virtual ~Instances() = default;
  virtual Outcome host_super() = 0;
  virtual Outcome host(const std::vector<Endpoint>& trackers, uint64_t size_max) = 0;
  virtual Outcome join(const std::vector<Endpoint>& trackers, const std::string& resource) = 0;
  // Returns when the instance is gone. No success for one that is not there.
  virtual Outcome stop(const std::string& instance) = 0;
  // For GET /v1/instances: an object.
  virtual ops::Json describe() const = 0;
};

}  // namespace chaincast::rest
