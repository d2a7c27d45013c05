// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

// Round trips between places, from measured matrices, from maps of networks, or generated
// (docs/membership.md, "Simulator"). Immutable once made; any thread. Memory: 4 bytes per pair.
namespace chaincast::sim {

inline constexpr size_t places_max = 4096;

class Latencies {
 public:
  // Symmetric; between nodes of one place `local_us`.
  static constexpr uint32_t local_us = 500;

  size_t places() const { return places_; }
  uint32_t rtt_us(uint32_t a, uint32_t b) const { return rtt_us_[a * places_ + b]; }
  TimeNs one_way_ns(uint32_t a, uint32_t b) const { return rtt_us(a, b) * ns_per_us / 2; }

  // One line per place, as many numbers in each, in ms; of the two directions the mean. Values that
  // are not above 0 are missing: the other direction, or the worst of both rows. Errors name the
  // line.
  static Result<Latencies> parse_matrix(std::string_view text);
  // GraphML as the Topology Zoo writes it: nodes with Latitude and Longitude, edges. A link's round
  // trip is the great circle's at two thirds of the speed of light, there and back, and 0.2 ms; a
  // path is the shortest. Nodes without a position get their neighbours' mean.
  static Result<Latencies> parse_graphml(std::string_view text);
  // Places spread evenly over a sphere, at great circles.
  static Latencies generate(size_t places, uint64_t seed);

 private:
  explicit Latencies(size_t places) : places_(places), rtt_us_(places * places, 0) {}
  void set(size_t a, size_t b, double ms);
  void close_paths();

  size_t places_ = 0;
  std::vector<uint32_t> rtt_us_;
};

}  // namespace chaincast::sim
