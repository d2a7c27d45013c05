// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "node/config.hpp"

// What lies between two configurations, item by item: the difference that `reload` prints and
// applies. Pure; any thread. Cost: every key of both, a quadratic look-up of names.
namespace chaincast::node {

enum class Effect : uint8_t {
  unchanged,
  added,
  removed,
  changed,   // in place
  replaced,  // removed and added: a peer's link and a stream's incarnation begin anew
  restart,   // only a new process takes it over
};

struct Change {
  std::string kind;  // "node", "repair", "metrics", "rest", "port", "peer", "stream"
  std::string name;  // of the port, peer or stream; of the key for "node"
  Effect effect = Effect::unchanged;
  std::string detail;  // "rate: unlimited -> 10Mbit, queue: 1024 -> 64"
};

// Keys of [node] one by one, [repair] as one, then ports, streams and peers by name. A peer whose
// port is replaced is replaced with it. Key and secret files are compared by name, and by what they
// held where both configurations have that.
std::vector<Change> plan_change(const Config& running, const Config& wanted);
// Where no item has another effect than `unchanged`.
bool is_same(const std::vector<Change>& plan);
const char* to_text(Effect effect);

}  // namespace chaincast::node
