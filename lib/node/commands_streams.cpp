// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "node/commands.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Argument;
using ops::Arguments;
using ops::ArgumentType;
using ops::Json;
using ops::Operation;
using ops::Reply;

const char* to_text(wire::Suite suite) {
  switch (suite) {
    case wire::Suite::sha256_gmac:
      return "sha256-gmac";
    case wire::Suite::sha256_gcm:
      return "sha256-gcm";
    case wire::Suite::sha256_gmac_ct:
      return "sha256-gmac-ct";
    case wire::Suite::sha256_gcm_ct:
      return "sha256-gcm-ct";
    case wire::Suite::gmac:
      return "gmac";
  }
  return "?";
}

const char* state_of(const Carried& carried) {
  const stream::ReceiverStatus& s = carried.receiver->status();
  if (s.is_held) return "held";
  if (s.is_ended) return "ended";
  if (!s.anchored) return "waiting for an anchor";
  return s.is_stale ? "stale" : "live";
}

std::string anchor_of(const stream::ReceiverStatus& status) {
  if (!status.anchored) return "none";
  return status.anchor_is_descriptor ? "descriptor"
                                     : fmt::format("statement at {}", status.anchor_seq);
}

Json progress_of(const Carried& carried) {
  const stream::ReceiverStatus& s = carried.receiver->status();
  const stream::ReceiverCounters& c = carried.receiver->counters();
  const repair::RepairCounters& r = carried.repair->counters();
  uint64_t received = 0, duplicates = 0, reordered = 0, hops = 0;
  for (const stream::WorkerShare& share : carried.stream->shares) {
    received += share.received.read();
    duplicates += share.duplicates.read();
    reordered += share.reordered.read();
    hops = std::max(hops, share.hops_max.read());
  }
  return {{"anchor", anchor_of(s)},
          {"received_frames", received},
          {"unique_frames", carried.stream->window->committed()},
          {"duplicate_frames", duplicates},
          {"hops_max", hops},
          {"verified_frames", carried.stream->window->committed()},
          {"highest_seq", s.highest_seen},
          {"linked_next", s.linked_next},
          {"final_next", s.final_next},
          {"delivered_next", s.delivered_next},
          {"delivered_objects", c.delivered_objects},
          {"delivered_bytes", c.delivered_bytes},
          {"repaired_frames", r.frames_repaired},
          {"lost_frames", c.lost_frames},
          {"lost_objects", c.lost_objects},
          {"reordered_frames", reordered},
          {"gap_frames", c.gap_frames},
          {"contradictions", c.contradictions},
          {"replaced_frames", c.replaced},
          {"statements_checked", c.statements_checked},
          {"statements_bad", c.statements_bad},
          {"bad_tags", carried.stream->bad_tags.load(std::memory_order_relaxed)},
          {"nacks_sent", r.nacks_sent},
          {"nacks_received", r.nacks_received},
          {"frames_resent", r.frames_resent}};
}

Json stream_row(Node& node, const Carried& carried) {
  const wire::Descriptor& d = carried.stream->descriptor;
  Json row{{"name", carried.resource},
           {"id", carried.stream->id.hex()},
           {"origin", to_hex(d.origin)},
           {"own", carried.origin != nullptr},
           {"state", state_of(carried)},
           {"suite", to_text(d.suite)},
           {"delivery", d.delivery == wire::Delivery::final ? "final" : "linked"},
           {"keeping", d.keeping == wire::Keeping::kept ? "kept" : "live"},
           {"payload_bytes_max", d.payload_bytes_max}};
  row.update(progress_of(carried));
  const auto resource = node.carrier().resources().find(carried.resource);
  row["subscribers"] = resource == node.carrier().resources().end()
                           ? size_t{0}
                           : resource->second->delivery.subscribers();
  row["queued_bytes"] = carried.origin ? carried.origin->queued_bytes() : 0;
  Json refused = Json::object();
  for (const auto& [peer, neighbour] : carried.neighbours) {
    if (neighbour.is_refused) refused[node.peering().name(peer)] = neighbour.why;
  }
  row["refused_by"] = refused;
  return row;
}

Reply show_streams(Node& node, const Arguments& arguments) {
  const std::string which = arguments.text("stream", "all");
  Json rows = Json::array();
  for (const auto& [name, resource] : node.carrier().resources()) {
    if (which != "all" && which != name) continue;
    bool is_known = false;
    for (const auto& [id, carried] : node.carrier().carried()) {
      if (carried->resource != name) continue;
      rows.push_back(stream_row(node, *carried));
      is_known = true;
    }
    if (!is_known) {
      rows.push_back({{"name", name},
                      {"state", "not heard of"},
                      {"subscribers", resource->delivery.subscribers()}});
    }
  }
  if (rows.empty() && which != "all") {
    return error(ErrorCode::not_found,
                 fmt::format("stream {}: not configured; `show streams` lists the names", which));
  }
  return Json{{"streams", rows}};
}

Reply add_stream(Node& node, const Arguments& arguments) {
  // The TOML reader knows ranges, suites and cross checks: it reads these settings as well.
  std::string text =
      fmt::format("[node]\nname = \"x\"\nkey = \"x\"\nnetwork = \"x\"\n[[stream]]\nname = \"{}\"\n",
                  arguments.text("stream"));
  text += fmt::format("secret = \"{}\"\n", arguments.text("secret"));
  if (arguments.has("publish")) {
    text += fmt::format("publish = {}\n", arguments.text("publish") == "on");
  }
  if (arguments.has("suite")) text += fmt::format("suite = \"{}\"\n", arguments.text("suite"));
  if (arguments.has("rate")) text += fmt::format("rate = {}\n", arguments.number("rate"));
  if (arguments.has("delivery")) {
    text += fmt::format("delivery = \"{}\"\n", arguments.text("delivery"));
  }
  auto parsed = parse_config(text, "add stream", "");
  if (!parsed) return parsed.error();
  if (Status added = node.add_stream(parsed->streams.front()); !added) return added.error();
  return Json{{"added", arguments.text("stream")}};
}

Argument keyword(const char* name, ArgumentType type, const char* help, bool optional,
                 std::vector<std::string> choices = {}) {
  Argument argument;
  argument.name = name;
  argument.keyword = name;
  argument.type = type;
  argument.help = help;
  argument.optional = optional;
  argument.choices = std::move(choices);
  return argument;
}

}  // namespace

std::vector<Operation> stream_operations(Node* node) {
  Argument any;
  any.name = "stream";
  any.type = ArgumentType::stream;
  any.help = "stream name or all";
  any.allows_all = true;
  any.optional = true;
  Argument one = any;
  one.allows_all = false;
  one.optional = false;
  one.help = "stream name";
  Argument fresh = one;
  fresh.type = ArgumentType::word;
  auto rate = keyword("rate", ArgumentType::number, "declared rate", true);
  rate.unit = "frames/s";
  return {
      {"show streams",
       "streams",
       {any},
       Access::read,
       "State, anchor, progress, delivery, loss and repair of each stream",
       [node](const Arguments& a) { return show_streams(*node, a); }},
      {"add stream",
       "streams",
       {fresh, keyword("secret", ArgumentType::file, "file of the stream secret", false),
        keyword("publish", ArgumentType::choice, "be an origin", true, {"on", "off"}),
        keyword("suite", ArgumentType::choice, "suite of an origin", true,
                {"sha256-gmac", "sha256-gcm", "sha256-gmac-ct", "sha256-gcm-ct", "gmac"}),
        rate,
        keyword("delivery", ArgumentType::choice, "when objects are handed out", true,
                {"linked", "final"})},
       Access::write,
       "Carry a stream, or become its origin, while traffic runs",
       [node](const Arguments& a) { return add_stream(*node, a); }},
      {"remove stream",
       "streams",
       {one},
       Access::write,
       "End our origin and forget the stream",
       [node](const Arguments& a) -> Reply {
         if (Status removed = node->remove_stream(a.text("stream")); !removed) {
           return removed.error();
         }
         return Json{{"removed", a.text("stream")}};
       }},
  };
}

}  // namespace chaincast::node
