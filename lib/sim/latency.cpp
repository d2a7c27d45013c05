// SPDX-License-Identifier: BSD-3-Clause
#include "sim/latency.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numbers>
#include <optional>
#include <string>

#include "base/random.hpp"

namespace chaincast::sim {
namespace {

constexpr uint32_t no_path = ~0u;

Error bad(std::string_view what, size_t line) {
  return error(ErrorCode::invalid, "latencies: line " + std::to_string(line) + ": " +
                                       std::string(what) + "; docs/membership.md has the format");
}

std::vector<double> numbers_of(std::string_view line, bool& good) {
  std::vector<double> out;
  size_t at = 0;
  while (at < line.size()) {
    at = line.find_first_not_of(" \t,\r", at);
    if (at == std::string_view::npos) break;
    double value = 0;
    const auto [end, code] = std::from_chars(line.data() + at, line.data() + line.size(), value);
    if (code != std::errc{} || !std::isfinite(value)) {
      good = false;
      break;
    }
    out.push_back(value);
    at = static_cast<size_t>(end - line.data());
  }
  return out;
}

struct Position {
  double latitude = 0, longitude = 0;  // degrees
};

double great_circle_km(const Position& a, const Position& b) {
  constexpr double earth_km = 6371;
  constexpr double degree = std::numbers::pi / 180;
  const double sin_lat = std::sin((b.latitude - a.latitude) * degree / 2);
  const double sin_lon = std::sin((b.longitude - a.longitude) * degree / 2);
  const double h = sin_lat * sin_lat + std::cos(a.latitude * degree) *
                                           std::cos(b.latitude * degree) * sin_lon * sin_lon;
  return 2 * earth_km * std::asin(std::min(1.0, std::sqrt(h)));
}

double fibre_rtt_ms(const Position& a, const Position& b) {
  constexpr double fibre_km_per_ms = 200;
  return 0.2 + 2 * great_circle_km(a, b) / fibre_km_per_ms;
}

// What a program that knows its writer needs of XML: the attribute of a tag.
std::optional<std::string_view> attribute(std::string_view tag, std::string_view name) {
  const std::string key = " " + std::string(name) + "=\"";
  const size_t at = tag.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t first = at + key.size();
  const size_t last = tag.find('"', first);
  if (last == std::string_view::npos) return std::nullopt;
  return tag.substr(first, last - first);
}

struct Map {
  std::map<std::string, size_t, std::less<>> index;
  std::vector<std::optional<Position>> positions;
  std::vector<std::pair<size_t, size_t>> edges;
};

// Visits every tag with the text behind it.
template <typename Visit>
void for_each_tag(std::string_view text, Visit&& visit) {
  size_t at = 0;
  while ((at = text.find('<', at)) != std::string_view::npos) {
    const size_t end = text.find('>', at);
    if (end == std::string_view::npos) return;
    const size_t next = std::min(text.find('<', end), text.size());
    visit(text.substr(at, end - at), text.substr(end + 1, next - end - 1));
    at = end;
  }
}

Result<Map> read_map(std::string_view text) {
  Map map;
  std::string latitude_key, longitude_key;
  std::optional<double> latitude, longitude;
  size_t current = 0;
  bool in_node = false;
  Status status;
  for_each_tag(text, [&](std::string_view tag, std::string_view content) {
    if (tag.starts_with("<key ")) {
      const auto name = attribute(tag, "attr.name");
      const auto id = attribute(tag, "id");
      const bool is_of_node = attribute(tag, "for") == "node";
      if (name && id && is_of_node && *name == "Latitude") latitude_key = *id;
      if (name && id && is_of_node && *name == "Longitude") longitude_key = *id;
    } else if (tag.starts_with("<node ")) {
      const auto id = attribute(tag, "id");
      current = map.positions.size();
      in_node = id && map.index.emplace(*id, current).second;
      if (in_node) map.positions.emplace_back();
      latitude = longitude = std::nullopt;
    } else if (tag.starts_with("<data ") && in_node) {
      double value = 0;
      std::from_chars(content.data(), content.data() + content.size(), value);
      const auto key = attribute(tag, "key");
      if (key == latitude_key) latitude = value;
      if (key == longitude_key) longitude = value;
      if (latitude && longitude) map.positions[current] = Position{*latitude, *longitude};
    } else if (tag.starts_with("</node")) {
      in_node = false;
    } else if (tag.starts_with("<edge ")) {
      const auto from = map.index.find(attribute(tag, "source").value_or(""));
      const auto to = map.index.find(attribute(tag, "target").value_or(""));
      if (from == map.index.end() || to == map.index.end()) {
        status =
            error(ErrorCode::invalid, "latencies: GraphML: an edge names a node that is not there");
        return;
      }
      map.edges.emplace_back(from->second, to->second);
    }
  });
  if (!status) return status.error();
  if (map.positions.empty() || map.positions.size() > places_max) {
    return error(ErrorCode::invalid, "latencies: GraphML: " + std::to_string(map.positions.size()) +
                                         " nodes, outside 1..4096");
  }
  return map;
}

void fill_positions(Map& map) {
  for (size_t round = 0; round < map.positions.size(); ++round) {
    bool changed = false;
    for (size_t node = 0; node < map.positions.size(); ++node) {
      if (map.positions[node]) continue;
      Position sum;
      double count = 0;
      for (const auto& [a, b] : map.edges) {
        const size_t other = a == node ? b : a;
        if ((a != node && b != node) || !map.positions[other]) continue;
        sum.latitude += map.positions[other]->latitude;
        sum.longitude += map.positions[other]->longitude;
        ++count;
      }
      if (count == 0) continue;
      map.positions[node] = Position{sum.latitude / count, sum.longitude / count};
      changed = true;
    }
    if (!changed) break;
  }
}

}  // namespace

void Latencies::set(size_t a, size_t b, double ms) {
  const auto us = static_cast<uint32_t>(std::clamp(ms * 1000, 1.0, 60e6));
  rtt_us_[a * places_ + b] = rtt_us_[b * places_ + a] = us;
}

// Floyd and Warshall; what stays apart gets the longest path there is.
void Latencies::close_paths() {
  for (size_t k = 0; k < places_; ++k) {
    for (size_t a = 0; a < places_; ++a) {
      const uint32_t first = rtt_us_[a * places_ + k];
      if (first == no_path) continue;
      for (size_t b = 0; b < places_; ++b) {
        const uint32_t second = rtt_us_[k * places_ + b];
        if (second == no_path) continue;
        uint32_t& rtt = rtt_us_[a * places_ + b];
        rtt = std::min(rtt, first + second);
      }
    }
  }
  uint32_t longest = local_us;
  for (const uint32_t rtt : rtt_us_) longest = rtt == no_path ? longest : std::max(longest, rtt);
  for (uint32_t& rtt : rtt_us_) rtt = rtt == no_path ? longest : rtt;
}

Result<Latencies> Latencies::parse_matrix(std::string_view text) {
  std::vector<std::vector<double>> rows;
  size_t line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    bool good = true;
    rows.push_back(numbers_of(line, good));
    if (!good) return bad("not a number", line_number);
    if (rows.back().size() != rows.front().size()) {
      return bad("has " + std::to_string(rows.back().size()) + " numbers, the first line " +
                     std::to_string(rows.front().size()),
                 line_number);
    }
  }
  const size_t places = rows.size();
  if (places == 0 || places > places_max || rows.front().size() != places) {
    return bad("the matrix is not square, or not of 1 to 4096 places", line_number);
  }
  Latencies out(places);
  for (size_t a = 0; a < places; ++a) {
    for (size_t b = a + 1; b < places; ++b) {
      const double there = rows[a][b], back = rows[b][a];
      double ms = there > 0 && back > 0 ? (there + back) / 2 : std::max(there, back);
      if (ms <= 0) {
        ms = std::max(*std::max_element(rows[a].begin(), rows[a].end()),
                      *std::max_element(rows[b].begin(), rows[b].end()));
      }
      out.set(a, b, ms);
    }
    out.set(a, a, local_us / 1000.0);
  }
  return out;
}

Result<Latencies> Latencies::parse_graphml(std::string_view text) {
  auto map = read_map(text);
  if (!map) return map.error();
  fill_positions(*map);
  Latencies out(map->positions.size());
  std::fill(out.rtt_us_.begin(), out.rtt_us_.end(), no_path);
  for (const auto& [a, b] : map->edges) {
    if (a == b) continue;
    out.set(a, b,
            fibre_rtt_ms(map->positions[a].value_or(Position{}),
                         map->positions[b].value_or(Position{})));
  }
  for (size_t a = 0; a < out.places_; ++a) out.set(a, a, local_us / 1000.0);
  out.close_paths();
  return out;
}

Latencies Latencies::generate(size_t places, uint64_t seed) {
  CC_ASSERT(places > 0 && places <= places_max);
  Random random(seed);
  std::vector<Position> positions(places);
  for (Position& p : positions) {
    const double z = 2 * static_cast<double>(random.below(1'000'001)) / 1e6 - 1;
    p.latitude = std::asin(z) * 180 / std::numbers::pi;
    p.longitude = 360 * static_cast<double>(random.below(1'000'000)) / 1e6 - 180;
  }
  Latencies out(places);
  for (size_t a = 0; a < places; ++a) {
    for (size_t b = a + 1; b < places; ++b) out.set(a, b, fibre_rtt_ms(positions[a], positions[b]));
    out.set(a, a, local_us / 1000.0);
  }
  return out;
}

}  // namespace chaincast::sim
