// SPDX-License-Identifier: BSD-3-Clause
// How long stages take, and copies until their port has them.
#include <array>
#include <memory>

#include "node/commands.hpp"
#include "ops/schema.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Arguments;
using ops::Json;
using ops::Operation;
using ops::Reply;
namespace schema = ops::schema;

void add_times(Json& row, const std::string& what, const std::string& count,
               const stats::Histogram& times) {
  row[count] = times.count();
  row[what + "_p50_ns"] = times.quantile(0.5);
  row[what + "_p99_ns"] = times.quantile(0.99);
  row[what + "_max_ns"] = times.max();
}

constexpr size_t first_stage = static_cast<size_t>(stage::Point::hop);

// Over all workers.
std::unique_ptr<latency::StageTimes> times_of(const Sight& sight, stage::Point point) {
  auto sum = std::make_unique<latency::StageTimes>();
  for (const auto& meter : sight.meters()) {
    sum->burst.merge(meter->stage(point).burst);
    sum->item.merge(meter->stage(point).item);
  }
  return sum;
}

std::unique_ptr<latency::PeerTimes> times_of(const Sight& sight, uint32_t peer) {
  auto sum = std::make_unique<latency::PeerTimes>();
  for (const auto& meter : sight.meters()) {
    const latency::PeerTimes* const times = meter->peer(peer);
    if (times == nullptr) continue;
    sum->direct.merge(times->direct);
    sum->queued.merge(times->queued);
  }
  return sum;
}

Json stage_latency(const Sight& sight) {
  Json rows = Json::array();
  for (size_t i = first_stage; i < stage::point_count; ++i) {
    const auto point = static_cast<stage::Point>(i);
    const auto sum = times_of(sight, point);
    Json row{{"stage", stage::point_text(point)}};
    add_times(row, "burst", "bursts", sum->burst);
    row["item_p50_ns"] = sum->item.quantile(0.5);
    row["item_p99_ns"] = sum->item.quantile(0.99);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json peer_latency(Node& node) {
  Json rows = Json::array();
  for (const uint32_t peer : node.peering().peers()) {
    const auto sum = times_of(node.sight(), peer);
    Json row{{"peer", node.peering().name(peer)}};
    add_times(row, "direct", "direct_copies", sum->direct);
    add_times(row, "queued", "queued_copies", sum->queued);
    rows.push_back(std::move(row));
  }
  return rows;
}

// Upper bounds of the buckets of `show latency buckets`: between 256 ns and a quarter of a second,
// one below a power of two each, which are bounds of the histograms' own buckets.
constexpr std::array<uint64_t, 11> bounds_ns = {
    (1u << 8) - 1,  (1u << 10) - 1, (1u << 12) - 1, (1u << 14) - 1, (1u << 16) - 1, (1u << 18) - 1,
    (1u << 20) - 1, (1u << 22) - 1, (1u << 24) - 1, (1u << 26) - 1, (1u << 28) - 1};

// How many values are not above each bound.
Json buckets_of(const stats::Histogram& times) {
  std::array<uint64_t, bounds_ns.size()> up_to{};
  uint64_t count = 0;
  times.visit([&](uint64_t edge, uint64_t held) {
    count += held;
    for (size_t i = 0; i < bounds_ns.size(); ++i) {
      if (edge <= bounds_ns[i]) up_to[i] += held;
    }
  });
  return Json{{"buckets", up_to}, {"count", count}, {"sum", times.sum()}};
}

Json latency_buckets(Node& node) {
  Json stages = Json::array();
  for (size_t i = first_stage; i < stage::point_count; ++i) {
    const auto sum = times_of(node.sight(), static_cast<stage::Point>(i));
    stages.push_back({{"stage", stage::point_text(static_cast<stage::Point>(i))},
                      {"burst", buckets_of(sum->burst)},
                      {"item", buckets_of(sum->item)}});
  }
  Json peers = Json::array();
  for (const uint32_t peer : node.peering().peers()) {
    const auto sum = times_of(node.sight(), peer);
    peers.push_back({{"peer", node.peering().name(peer)},
                     {"direct", buckets_of(sum->direct)},
                     {"queued", buckets_of(sum->queued)}});
  }
  return Json{{"bounds_ns", bounds_ns}, {"stages", stages}, {"peers", peers}};
}

Json latency_schema() {
  const auto rows = [](std::string_view name, const std::vector<std::string_view>& counts,
                       const std::vector<std::string_view>& histograms) {
    const Json histogram = schema::object({{"buckets", schema::list(schema::count())},
                                           {"count", schema::count()},
                                           {"sum", schema::count()}});
    std::vector<schema::Field> row = {{name, schema::text()}};
    for (const std::string_view key : counts) row.push_back({key, schema::count(), false});
    for (const std::string_view key : histograms) row.push_back({key, histogram, false});
    return schema::list(schema::object(row));
  };
  return schema::object({{"measuring", schema::flag()},
                         {"bounds_ns", schema::list(schema::count()), false},
                         {"stages",
                          rows("stage",
                               {"bursts", "burst_p50_ns", "burst_p99_ns", "burst_max_ns",
                                "item_p50_ns", "item_p99_ns"},
                               {"burst", "item"}),
                          false},
                         {"peers",
                          rows("peer",
                               {"direct_copies", "direct_p50_ns", "direct_p99_ns", "direct_max_ns",
                                "queued_copies", "queued_p50_ns", "queued_p99_ns", "queued_max_ns"},
                               {"direct", "queued"}),
                          false}});
}

Reply show_latency(Node& node, const Arguments& arguments) {
  const std::string which = arguments.text("which", "all");
  Json reply{{"measuring", node.sight().has_latency()}};
  if (which == "buckets") {
    reply.update(latency_buckets(node));
    return reply;
  }
  if (which != "peers") reply["stages"] = stage_latency(node.sight());
  if (which != "stages") reply["peers"] = peer_latency(node);
  return reply;
}

Reply set_latency(Node& node, bool on) {
  if (on) {
    node.sight().start_latency();
  } else {
    node.sight().stop_latency();
  }
  return Json{{"measuring", on}};
}

}  // namespace

std::vector<Operation> latency_operations(Node* node) {
  return {
      {"set latency",
       "sight",
       {ops::choice("latency", {"on", "off"}, "on begins with empty histograms")},
       Access::write,
       "Measure the time in each stage, and from arrival to each peer's port",
       [node](const Arguments& a) { return set_latency(*node, a.text("latency") == "on"); }},
      {"show latency",
       "sight",
       {ops::optional(ops::choice("which", {"stages", "peers", "buckets"},
                                  "one half, or the histograms themselves; else both halves"))},
       Access::read,
       "Quantiles of what `set latency on` measures; `queued` copies had to wait for their port",
       [node](const Arguments& a) { return show_latency(*node, a); },
       latency_schema()},
  };
}

}  // namespace chaincast::node
