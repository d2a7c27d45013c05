// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "console/unix/client.hpp"
#include "gen/schedule.hpp"
#include "gen/stamp.hpp"

// What chaincast-gen does, one function per command. Each returns the exit code.
namespace chaincast::generator {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;  // lost, altered, too few, or refused by the node
inline constexpr int exit_usage = 2;   // wrong arguments, no connection, connection lost

struct SendOptions {
  std::string stream;
  // One of these says what to send.
  std::string mrt;
  std::string pcap;
  std::string file;     // "-": stdin
  uint64_t routes = 0;  // made-up prefix changes
  std::string sizes;

  bool payloads = false;  // with pcap: what UDP datagrams carry, instead of packets

  uint64_t object_bytes = 0;  // 0: the source's own default
  uint64_t count = 0;         // synthetic objects; 0: until `seconds`
  double seconds = 0;         // stop then; 0: at the end of the source
  gen::Rate rate;
  bool stamp = false;
  gen::StampClock clock = gen::StampClock::monotonic;
  uint64_t seed = 1;
  std::string record;  // the bytes published go to this file as well
  bool json = false;
};
int send(console::Client& client, const SendOptions& options);

struct ReceiveOptions {
  std::string stream;
  uint64_t count = 0;     // stop after so many objects; 0: never
  uint64_t bytes = 0;     // stop after so many bytes; 0: never
  double seconds = 0;     // stop then; 0: never
  double idle = 0;        // stop when nothing came for so long after the first object; 0: never
  std::string output;     // objects' bytes go here
  std::string histogram;  // latencies go here
  bool ring = false;      // through memory shared with the node
  bool routes = false;
  bool stamped = false;     // every object must have a stamp
  bool joins_late = false;  // what was sent before the first object is not missed
  bool json = false;
};
int receive(console::Client& client, const ReceiveOptions& options);

// Prints an error where it belongs and gives its exit code: connection trouble is exit_usage.
int report(const Error& failure);

}  // namespace chaincast::generator
