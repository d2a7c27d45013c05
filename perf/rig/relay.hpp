// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rig/device.hpp"
#include "wire/frame.hpp"

// What a benchmark of relays puts side by side: anything that receives units from one neighbour
// (frames, or IPsec packets) and sends each to N others through a Device.
namespace chaincast::bench {

struct Pools {
  rte_mempool* received = nullptr;  // arrivals, and what is packed anew
  rte_mempool* jumbo = nullptr;     // the same for a fabric of 9,000 bytes
  rte_mempool* headers = nullptr;   // small buffers
  rte_mempool* tunnels = nullptr;   // packets that are written as a whole
};

// One cell of a table.
struct Cell {
  std::string system;           // "chaincast", "hub-aes256", ...
  wire::Suite suite{};          // chaincast
  uint16_t unit_bytes = 1400;   // payload of a frame, or inner packet of a tunnel
  unsigned bundle = 1;          // frames a datagram holds when it arrives
  uint16_t datagram_bytes = 0;  // what the paths to the others carry, from the hop header on
  uint16_t mtu_bytes = 1500;
  unsigned fanout = 1;
  unsigned offered = 1;  // how often each frame arrives, each time from another neighbour
  bool is_warm = false;  // arrivals fit the caches
  Sink sink = Sink::null;
  bool has_stage_clock = false;  // chaincast: cycles by stage as well
  bool is_plain = false;         // chaincast: without cryptography of frames
  unsigned workers = 1;          // chaincast: each with a lane, a stream and arrivals of its own
  std::vector<uint16_t> mix;     // unit_bytes in turns, with unit_bytes the largest; one a datagram
};

class Relay {
 public:
  virtual ~Relay() = default;
  virtual Device& device() = 0;
  // Makes the next arrivals, about `datagrams` of them, and offers them to the device. Not timed.
  virtual void prepare(unsigned datagrams) = 0;
  // Just before run(): what is to be ready when the clock starts.
  virtual void get_ready() {}
  // Relays until the device is over. This is what is timed.
  virtual void run() = 0;
  // Datagrams received so far.
  virtual uint64_t arrived() { return device().received(); }
  // Units received so far that were the first of their kind, and copies of units sent.
  virtual uint64_t units() const = 0;
  virtual uint64_t copies() const = 0;
  // Bytes of an arriving datagram with its headers.
  virtual unsigned arrival_bytes() const = 0;
  // Cycles so far by stage, where a clock was asked for.
  virtual std::vector<std::pair<std::string, uint64_t>> stages() const { return {}; }
  // Whether everything that came in is accounted for, and every sample is what a receiver expects,
  // by an implementation of its own. Empty, or what is wrong.
  virtual std::string check() = 0;
};

}  // namespace chaincast::bench
