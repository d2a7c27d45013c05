// SPDX-License-Identifier: BSD-3-Clause
// Bodies of the streaming interface: a call that is taken has only what its path has, within its
// bounds, and says the same when it is written down again. The first byte chooses the path. The
// same bytes are a feed's datagrams as well.
#include "base/assert.hpp"
#include "feed/datagram.hpp"
#include "fuzz.hpp"
#include "port/port.hpp"
#include "rest/streaming.hpp"

namespace {

using namespace chaincast;
using Action = rest::Call::Action;

constexpr const char* paths[] = {"/host-super", "/host", "/join", "/stop"};

std::string written(const rest::Call& call) {
  if (call.action == Action::host_super) return "";
  if (call.action == Action::stop) return ops::Json(call.instance).dump();
  ops::Json out = ops::Json::object();
  out["Trackers"] = ops::Json::array();
  for (const Endpoint& tracker : call.trackers) out["Trackers"].push_back(port::to_text(tracker));
  if (call.action == Action::host) {
    out["MaxResourceSize"] = call.size_max;
  } else {
    out["ResourceID"] = call.resource;
  }
  return out.dump();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const char* const path = paths[data[0] % 4];
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto call = rest::parse_call(path, body)) {
    CC_ASSERT(call->trackers.size() <= rest::trackers_max);
    CC_ASSERT(call->resource.size() <= rest::resource_bytes_max);
    CC_ASSERT(call->instance.size() <= rest::resource_bytes_max);
    CC_ASSERT((call->action == Action::host) == (call->size_max > 0));
    // What is written out may be longer than what may come: escapes, addresses.
    const std::string text = written(*call);
    if (text.size() <= rest::streaming_body_bytes_max) {
      const auto again = rest::parse_call(path, text);
      CC_ASSERT(again && *again == *call);
    }
  }
  const ByteSpan datagram(data, size);
  if (const auto request = feed::parse_request(datagram)) {
    CC_ASSERT(feed::encode(*request) == Bytes(datagram.begin(), datagram.end()));
  }
  if (const auto answer = feed::parse_answer(datagram)) {
    CC_ASSERT(feed::encode(*answer) == Bytes(datagram.begin(), datagram.end()));
  }
  return 0;
}
