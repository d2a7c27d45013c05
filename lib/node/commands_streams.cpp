// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "node/commands.hpp"
#include "node/config_arguments.hpp"
#include "ops/schema.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Arguments;
using ops::ArgumentType;
using ops::Json;
using ops::Operation;
using ops::Reply;
namespace schema = ops::schema;

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
  if (carried.is_origin_lost) return "origin lost";
  if (!s.anchored) return "waiting for an anchor";
  return s.is_stale ? "stale" : "live";
}

const char* to_text(wire::Delivery delivery) {
  switch (delivery) {
    case wire::Delivery::linked:
      return "linked";
    case wire::Delivery::final:
      return "final";
    case wire::Delivery::accepted:
      return "accepted";
  }
  return "?";
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
          {"frames_resent", r.frames_resent},
          {"pending_sent", r.pending_sent},
          {"gone_sent", r.gone_sent}};
}

// Of a stream that is not delivered at `accepted` nothing but zeros.
Json votes_of(const Carried& carried) {
  const Ballots* ballots = carried.ballots.get();
  const vote::Rule rule = ballots ? ballots->votes().rule() : vote::Rule{0, 0, 0};
  const vote::VoteCounters c = ballots ? ballots->votes().counters() : vote::VoteCounters{};
  const BallotCounters sent = ballots ? ballots->counters() : BallotCounters{};
  return {{"accepted_next", carried.receiver->status().accepted_next},
          {"votes_percent", rule.percent},
          {"votes_tolerated", rule.tolerated},
          {"votes_malicious", rule.malicious},
          {"votes_parents", ballots ? ballots->votes().parents() : size_t{0}},
          {"votes_needed", ballots ? ballots->votes().needed() : size_t{0}},
          {"votes_children", ballots ? ballots->children() : size_t{0}},
          {"votes_shortcoming", ballots ? ballots->shortcoming() : ""},
          {"origin_link", ballots != nullptr && ballots->has_origin_link()},
          {"accepted_by_origin_link", c.accepted_by_origin},
          {"accepted_by_votes", c.accepted_by_votes},
          {"accepted_by_signature", c.accepted_by_signature},
          {"votes_received", c.votes},
          {"votes_not_counted", c.not_parent + c.late + c.ahead},
          {"votes_double", c.double_votes},
          {"votes_overruled", c.overruled},
          {"votes_sent", sent.votes_sent},
          {"votes_not_sent", sent.votes_not_sent}};
}

Json stream_row(Node& node, const Carried& carried) {
  const wire::Descriptor& d = carried.stream->descriptor;
  Json row{{"name", carried.resource},
           {"id", carried.stream->id.hex()},
           {"origin", to_hex(d.origin)},
           {"own", carried.origin != nullptr},
           {"state", state_of(carried)},
           {"suite", to_text(d.suite)},
           {"delivery", to_text(d.delivery)},
           {"keeping", d.keeping == wire::Keeping::kept ? "kept" : "live"},
           {"payload_bytes_max", d.payload_bytes_max}};
  row.update(progress_of(carried));
  row.update(votes_of(carried));
  const auto resource = node.carrier().resources().find(carried.resource);
  const bool is_configured = resource != node.carrier().resources().end();
  row["subscribers"] = is_configured ? resource->second->delivery.subscribers() : size_t{0};
  row["dropped_objects"] =
      is_configured ? resource->second->delivery.counters().dropped_objects : uint64_t{0};
  row["queued_bytes"] = carried.origin ? carried.origin->queued_bytes() : 0;
  Json refused = Json::object();
  for (const auto& [peer, neighbour] : carried.neighbours) {
    if (neighbour.is_refused) refused[node.peering().name(peer)] = neighbour.why;
  }
  row["refused_by"] = refused;
  return row;
}

// Of a stream that somebody has told of, or of a resource that nobody has.
Json stream_schema() {
  std::vector<schema::Field> fields = {
      {"name", schema::text()},
      {"id", schema::text()},
      {"origin", schema::text()},
      {"own", schema::flag()},
      {"state",
       schema::one_of({"held", "ended", "origin lost", "waiting for an anchor", "stale", "live"})},
      {"suite", schema::text()},
      {"delivery", schema::one_of({"accepted", "final", "linked"})},
      {"votes_shortcoming", schema::text()},
      {"origin_link", schema::flag()},
      {"keeping", schema::one_of({"kept", "live"})},
      {"payload_bytes_max", schema::count()},
      {"anchor", schema::text()}};
  for (const char* name : {"received_frames",    "unique_frames",
                           "duplicate_frames",   "hops_max",
                           "verified_frames",    "highest_seq",
                           "linked_next",        "final_next",
                           "delivered_next",     "delivered_objects",
                           "delivered_bytes",    "repaired_frames",
                           "lost_frames",        "lost_objects",
                           "reordered_frames",   "gap_frames",
                           "contradictions",     "replaced_frames",
                           "statements_checked", "statements_bad",
                           "bad_tags",           "nacks_sent",
                           "nacks_received",     "frames_resent",
                           "pending_sent",       "gone_sent",
                           "subscribers",        "dropped_objects",
                           "queued_bytes",       "accepted_next",
                           "votes_percent",      "votes_tolerated",
                           "votes_malicious",    "votes_parents",
                           "votes_needed",       "votes_children",
                           "votes_sent",         "accepted_by_origin_link",
                           "accepted_by_votes",  "accepted_by_signature",
                           "votes_received",     "votes_not_counted",
                           "votes_double",       "votes_overruled",
                           "votes_not_sent"}) {
    fields.push_back({name, schema::count()});
  }
  fields.push_back({"refused_by", schema::map(schema::text())});
  return schema::either(schema::object(fields),
                        schema::object({{"name", schema::text()},
                                        {"state", schema::one_of({"not heard of"})},
                                        {"subscribers", schema::count()}}));
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
  if (rows.empty() && which != "all") return Carrier::not_configured(which);
  return Json{{"streams", rows}};
}

Reply set_votes(Node& node, const Arguments& arguments) {
  const std::string stream = arguments.text("stream");
  vote::Rule rule;
  for (const StreamConfig& config : node.config().streams) {
    if (config.name == stream) rule = {0, config.tolerated, config.malicious};
  }
  const auto number = [&](const char* name, unsigned before) {
    return static_cast<unsigned>(arguments.number(name, before));
  };
  rule.percent = number("percent", 0);
  rule.tolerated = number("tolerated", rule.tolerated);
  rule.malicious = number("malicious", rule.malicious);
  if (Status set = node.set_votes(stream, rule); !set) return set.error();
  return Json{{"stream", stream},
              {"votes", rule.percent},
              {"tolerated", rule.tolerated},
              {"malicious", rule.malicious}};
}

Reply add_stream(Node& node, const Arguments& arguments) {
  auto config = read_section<StreamConfig>(arguments);
  if (config) config = admit(std::move(*config), node.config());
  if (!config) return config.error();
  if (Status added = node.add_stream(*config); !added) return added.error();
  return Json{{"added", config->name}};
}

}  // namespace

Operation votes_operation(Node* node) {
  ops::Argument percent = ops::argument("percent", ArgumentType::number, "share of the parents");
  percent.max = 100;
  ops::Argument tolerated = ops::optional(
      ops::argument("tolerated", ArgumentType::number, "parents that may lie together"));
  tolerated.max = tolerated_max;
  ops::Argument malicious = ops::optional(ops::argument(
      "malicious", ArgumentType::number, "percent of the members that may lie together"));
  malicious.max = vote::malicious_max;
  return {
      "set votes",
      "streams",
      {ops::argument("stream", ArgumentType::stream, "stream name"), percent, tolerated, malicious},
      Access::write,
      "How many parents have to vouch for a frame at this node, from now on; other nodes learn "
      "of it from an origin here once it starts again",
      [node](const Arguments& a) { return set_votes(*node, a); }};
}

std::vector<Operation> stream_operations(Node* node) {
  const auto one = ops::argument("stream", ArgumentType::stream, "stream name");
  const auto any = ops::optional(
      ops::or_all(ops::argument("stream", ArgumentType::stream, "stream name or all")));
  return {
      {"show streams",
       "streams",
       {any},
       Access::read,
       "State, anchor, progress, delivery, loss and repair of each stream",
       [node](const Arguments& a) { return show_streams(*node, a); },
       schema::rows("streams", stream_schema())},
      {"add stream", "streams", section_arguments<StreamConfig>({"name"}), Access::write,
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
      votes_operation(node),
  };
}

}  // namespace chaincast::node
