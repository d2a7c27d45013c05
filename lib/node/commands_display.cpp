// SPDX-License-Identifier: BSD-3-Clause
// `show` of what is neither port, peer nor stream.
#include <rte_mempool.h>
#include <rte_version.h>

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

Reply show_version(Node& node) {
  return Json{{"chaincast", CHAINCAST_VERSION},
              {"protocol", wire::version},
              {"dpdk", rte_version()},
              {"crypto", std::string(node.lines().front()->engine().name())}};
}

Reply show_drops(Node& node) {
  Json rows = Json::array();
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    const stage::DropText& text = stage::drop_text(reason);
    rows.push_back({{"reason", text.name},
                    {"count", node.drops(reason)},
                    {"unit", text.unit},
                    {"meaning", text.help}});
  }
  return Json{{"drops", rows}};
}

Reply show_workers(Node& node) {
  Json rows = Json::array();
  for (size_t w = 0; w < node.workers().size(); ++w) {
    const worker::Worker& worker = *node.workers()[w];
    const worker::WorkerCounters& c = worker.counters();
    const Line& line = *node.lines()[w];
    rows.push_back({{"worker", w},
                    {"thread", worker.thread_id()},
                    {"cpu", worker.cpu()},
                    {"idle", worker.idle() == worker::Idle::poll ? "poll" : "sleep"},
                    {"turns", c.turns.read()},
                    {"busy_turns", c.busy_turns.read()},
                    {"packets", c.packets.read()},
                    {"datagrams", line.counters().datagrams.read()},
                    {"control_datagrams", line.counters().control_datagrams.read()},
                    {"handed_over", line.counters().handed_over.read()},
                    {"sleeps", c.sleeps.read()},
                    {"turn_max_us", c.turn_max_ns.read() / ns_per_us},
                    {"engine", std::string(line.engine().name())},
                    {"crossover_frames", line.engine().crossover_frames()}});
  }
  return Json{{"workers", rows}};
}

Reply show_dedup(Node& node) {
  Json rows = Json::array();
  for (const auto& [id, carried] : node.carrier().carried()) {
    const dedup::Window& window = *carried->stream->window;
    rows.push_back({{"stream", carried->resource},
                    {"id", id.hex()},
                    {"window_frames", window.size()},
                    {"floor", window.floor()},
                    {"next", window.next()},
                    {"highest", window.committed_end()},
                    {"final", window.final_end()},
                    {"committed", window.committed()},
                    {"second_variants", window.seconds()},
                    {"conflicts", carried->stream->conflicts.load(std::memory_order_relaxed)},
                    {"memory_bytes", window.memory_bytes()}});
  }
  uint64_t received = 0, own = 0, kept = 0, hops = 0;
  for (const auto& line : node.lines()) {
    received += line->counters().frames.read();
    own += line->counters().frames_own.read();
    kept += line->counters().frames_kept.read();
    hops = std::max(hops, line->counters().hops_max.read());
  }
  return Json{{"received_frames", received},
              {"unique_frames", kept},
              {"own_frames", own},
              {"duplicate_frames", node.drops(stage::Drop::duplicate)},
              {"hops_max", hops},
              {"streams", rows}};
}

Reply show_pools(Node& node) {
  Json rows = Json::array();
  for (const auto& [name, pool] : node.pools().rows()) {
    rows.push_back({{"pool", name},
                    {"size", pool->size},
                    {"free", rte_mempool_avail_count(pool)},
                    {"in_use", rte_mempool_in_use_count(pool)}});
  }
  const Mailer::Counters& mail = node.mailer().counters();
  return Json{{"pools", rows},
              {"control",
               {{"commands", mail.posted},
                {"ring_full", mail.ring_full},
                {"no_mbuf", mail.no_mbuf},
                {"unresolved", mail.unresolved},
                {"retired_waiting", node.retirer().pending()}}}};
}

Json counts(std::initializer_list<std::string_view> names) {
  std::vector<schema::Field> fields;
  for (const std::string_view name : names) fields.push_back({name, schema::count()});
  return schema::object(fields);
}

Json status_schema() {
  return schema::object({{"name", schema::text()},
                         {"node", schema::text()},
                         {"version", schema::text()},
                         {"uptime_s", schema::count()},
                         {"forwarding", schema::flag()},
                         {"workers", schema::count()},
                         {"ports", schema::count()},
                         {"peers", schema::count()},
                         {"peers_up", schema::count()},
                         {"streams", schema::count()}});
}

Json version_schema() {
  return schema::object({{"chaincast", schema::text()},
                         {"protocol", schema::count()},
                         {"dpdk", schema::text()},
                         {"crypto", schema::text()}});
}

Json workers_schema() {
  const Json row = schema::object({{"worker", schema::count()},
                                   {"thread", schema::count()},
                                   {"cpu", schema::integer()},
                                   {"idle", schema::one_of({"poll", "sleep"})},
                                   {"turns", schema::count()},
                                   {"busy_turns", schema::count()},
                                   {"packets", schema::count()},
                                   {"datagrams", schema::count()},
                                   {"control_datagrams", schema::count()},
                                   {"handed_over", schema::count()},
                                   {"sleeps", schema::count()},
                                   {"turn_max_us", schema::count()},
                                   {"engine", schema::text()},
                                   {"crossover_frames", schema::count()}});
  return schema::rows("workers", row);
}

Json drops_schema() {
  return schema::rows(
      "drops", schema::object({{"reason", schema::text()},
                               {"count", schema::count()},
                               {"unit", schema::one_of({"packet", "datagram", "frame", "copy"})},
                               {"meaning", schema::text()}}));
}

Json dedup_schema() {
  const Json row = schema::object({{"stream", schema::text()},
                                   {"id", schema::text()},
                                   {"window_frames", schema::count()},
                                   {"floor", schema::count()},
                                   {"next", schema::count()},
                                   {"highest", schema::count()},
                                   {"final", schema::count()},
                                   {"committed", schema::count()},
                                   {"second_variants", schema::count()},
                                   {"conflicts", schema::count()},
                                   {"memory_bytes", schema::count()}});
  return schema::object({{"received_frames", schema::count()},
                         {"unique_frames", schema::count()},
                         {"own_frames", schema::count()},
                         {"duplicate_frames", schema::count()},
                         {"hops_max", schema::count()},
                         {"streams", schema::list(row)}});
}

Json pools_schema() {
  const Json row = schema::object({{"pool", schema::text()},
                                   {"size", schema::count()},
                                   {"free", schema::count()},
                                   {"in_use", schema::count()}});
  return schema::object(
      {{"pools", schema::list(row)},
       {"control", counts({"commands", "ring_full", "no_mbuf", "unresolved", "retired_waiting"})}});
}

Operation show(const char* path, const char* help, Json schema,
               std::function<Reply(const Arguments&)> handler) {
  return {path, "display", {}, Access::read, help, std::move(handler), std::move(schema)};
}

}  // namespace

std::vector<Operation> display_operations(Node* node) {
  return {
      show("show status", "Name, identity, uptime and counts of this node", status_schema(),
           [node](const Arguments&) -> Reply { return node->status(); }),
      show("show version", "Versions of chaincast, its protocol, DPDK and the crypto engine",
           version_schema(), [node](const Arguments&) { return show_version(*node); }),
      show("show workers", "Workers: cpu, idle mode, turns, longest turn, crypto engine",
           workers_schema(), [node](const Arguments&) { return show_workers(*node); }),
      show("show drops", "Everything lost, by reason, since the start or the last clear",
           drops_schema(), [node](const Arguments&) { return show_drops(*node); }),
      show("show dedup", "Windows of the streams and what deduplication did", dedup_schema(),
           [node](const Arguments&) { return show_dedup(*node); }),
      show("show pools", "Packet buffers and control rings", pools_schema(),
           [node](const Arguments&) { return show_pools(*node); }),
      {"clear drops",
       "display",
       {},
       Access::write,
       "Count drops from zero again",
       [node](const Arguments&) -> Reply {
         node->clear_drops();
         return Json{{"cleared", "drops"}};
       }},
  };
}

}  // namespace chaincast::node
