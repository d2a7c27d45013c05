// SPDX-License-Identifier: BSD-3-Clause
// Looking into the workers while traffic runs.
#include <fmt/core.h>

#include <algorithm>

#include "node/commands.hpp"
#include "ops/schema.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Argument;
using ops::Arguments;
using ops::ArgumentType;
using ops::Json;
using ops::Operation;
using ops::Reply;
namespace schema = ops::schema;

constexpr uint64_t bytes_per_megabyte = 1'000'000;

// What a port judges is gone before a worker sees it, and a copy is lost before it is made.
bool is_seen(const stage::DropText& text) {
  return text.unit == "datagram" || text.unit == "frame";
}

std::vector<std::string> seen_reasons() {
  std::vector<std::string> out;
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const stage::DropText& text = stage::drop_text(static_cast<stage::Drop>(i));
    if (is_seen(text)) out.emplace_back(text.name);
  }
  return out;
}

stage::Drop reason_named(const std::string& name) {
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    if (stage::drop_text(reason).name == name) return reason;
  }
  return stage::Drop::count_;
}

Json capture_row(const capture::Capture& capture) {
  const capture::Progress progress = capture.progress();
  Json row{{"file", capture.config().file},
           {"state", capture::to_text(progress.state)},
           {"packets", progress.packets},
           {"file_bytes", progress.bytes},
           {"missed", progress.missed}};
  if (!progress.problem.empty()) row["problem"] = progress.problem;
  return row;
}

Json capture_schema() {
  return schema::object({{"file", schema::text(), false},
                         {"state", schema::one_of({"none", "running", "full", "ended", "failed"})},
                         {"packets", schema::count(), false},
                         {"file_bytes", schema::count(), false},
                         {"missed", schema::count(), false},
                         {"problem", schema::text(), false}});
}

Reply start_capture(Node& node, const Arguments& arguments) {
  capture::CaptureConfig config;
  config.file = arguments.text("file");
  config.application = "chaincast " CHAINCAST_VERSION;
  if (arguments.has("port")) {
    auto found = node.find_port(arguments.text("port"));
    if (!found) return found.error();
    config.filter.port_id = (*found)->id;
  }
  config.filter.stream = arguments.text("stream");
  config.filter.dropped = reason_named(arguments.text("dropped"));
  config.packets_max = arguments.number("packets", config.packets_max);
  if (arguments.has("megabytes")) {
    config.bytes_max = arguments.number("megabytes") * bytes_per_megabyte;
  }
  if (Status started = node.sight().start_capture(std::move(config)); !started) {
    return started.error();
  }
  return capture_row(*node.sight().last_capture());
}

Reply stop_capture(Node& node) {
  if (Status stopped = node.sight().stop_capture(); !stopped) return stopped.error();
  return capture_row(*node.sight().last_capture());
}

Reply show_capture(Node& node) {
  const capture::Capture* const capture = node.sight().last_capture();
  if (capture == nullptr) return Json{{"state", "none"}};
  return capture_row(*capture);
}

Argument limit(std::string name, uint64_t max, std::string unit, std::string help) {
  Argument out = ops::optional(ops::keyed(ops::argument(name, ArgumentType::number, help)));
  out.min = 1;
  out.max = max;
  out.unit = std::move(unit);
  return out;
}

Operation start_operation(Node* node) {
  const auto keyword = [](Argument argument) {
    return ops::optional(ops::keyed(std::move(argument)));
  };
  return {"capture start",
          "sight",
          {ops::argument("file", ArgumentType::file, "a pcapng file that does not exist yet"),
           keyword(ops::argument("port", ArgumentType::port, "only of this port")),
           keyword(ops::argument("stream", ArgumentType::word,
                                 "only datagrams with frames of this stream (name or id)")),
           keyword(ops::choice("dropped", seen_reasons(),
                               "only received datagrams lost for this reason, or with such a "
                               "frame")),
           limit("packets", uint64_t{1} << 40, "packets", "end with this many"),
           limit("megabytes", 1'000'000, "MB", "end before the file is larger (default 1,074)")},
          Access::write,
          "Write datagrams of all ports, both directions, with what was dropped and why",
          [node](const Arguments& a) { return start_capture(*node, a); }};
}

// ---- trace ----

std::string port_name(const Node& node, uint16_t id) {
  for (const auto& record : node.ports()) {
    if (record->id == id) return record->config.name;
  }
  return std::to_string(id);  // it has been detached
}

std::string peer_name(Node& node, uint32_t peer) {
  const std::vector<uint32_t> peers = node.peering().peers();
  const bool is_known = std::find(peers.begin(), peers.end(), peer) != peers.end();
  return is_known ? node.peering().name(peer) : "";
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

std::string passed_key(size_t point) {
  return std::string(stage::point_text(static_cast<stage::Point>(point))) + "_ns";
}

// Frames of own origins come from no port and no peer; a datagram of a stranger has no peer.
Json trace_row(Node& node, const trace::Entry& entry, TimeNs first_ns) {
  const bool has_frame = entry.stream.value != 0;
  const stream::Stream* const stream = node.plane().streams.find(entry.stream);
  Json row{{"arrived_us", (entry.arrived_ns - first_ns) / ns_per_us},
           {"port", entry.is_own ? Json() : Json(port_name(node, entry.port_id))},
           {"peer", entry.is_own ? Json() : or_null(peer_name(node, entry.peer))},
           {"stream", !has_frame          ? Json()
                      : stream == nullptr ? Json(entry.stream.hex())
                                          : Json(stream->name)},
           {"seq", has_frame ? Json(entry.seq) : Json()}};
  for (size_t i = static_cast<size_t>(stage::Point::hop); i <= size_t{stage::point_count} - 2;
       ++i) {
    const uint32_t passed_ns = entry.passed_ns[i];
    row[passed_key(i)] = passed_ns == 0 ? Json() : Json(passed_ns);
  }
  const bool is_lost = entry.reason != stage::Drop::count_;
  row["dropped"] = is_lost ? Json(stage::drop_text(entry.reason).name) : Json();
  row["copies"] = entry.copies;
  row["lost"] = entry.lost_copies;
  return row;
}

void add_detail(Json& row, const trace::Entry& entry) {
  row["worker"] = entry.worker;
  row["stage"] = stage::point_text(entry.last);
  row["unit"] = entry.is_datagram ? "datagram" : "frame";
  row["bytes"] = entry.length;
  row["frames"] = entry.frames;
  row["stream_id"] = entry.stream.hex();
  row["epoch"] = entry.epoch;
  row["source"] = entry.is_own ? Json() : Json(port::to_text(entry.source));
  row["link_id"] = entry.link_id;
  row["link_seq"] = entry.link_seq;
  const bool any_lost = entry.copy_reason != stage::Drop::count_;
  row["lost_reason"] = any_lost ? Json(stage::drop_text(entry.copy_reason).name) : Json();
}

Json trace_schema() {
  const Json name = schema::nullable(schema::text());
  std::vector<schema::Field> row = {{"arrived_us", schema::count()},
                                    {"port", name},
                                    {"peer", name},
                                    {"stream", name},
                                    {"seq", schema::nullable(schema::count())}};
  std::vector<std::string> passed;
  for (size_t i = static_cast<size_t>(stage::Point::hop); i <= size_t{stage::point_count} - 2;
       ++i) {
    passed.push_back(passed_key(i));
  }
  for (const std::string& key : passed) row.push_back({key, schema::nullable(schema::count())});
  for (const schema::Field& field :
       std::vector<schema::Field>{{"dropped", name},
                                  {"copies", schema::count()},
                                  {"lost", schema::count()},
                                  {"worker", schema::count(), false},
                                  {"stage", schema::text(), false},
                                  {"unit", schema::one_of({"datagram", "frame"}), false},
                                  {"bytes", schema::count(), false},
                                  {"frames", schema::count(), false},
                                  {"stream_id", schema::text(), false},
                                  {"epoch", schema::count(), false},
                                  {"source", name, false},
                                  {"link_id", schema::count(), false},
                                  {"link_seq", schema::count(), false},
                                  {"lost_reason", name, false}}) {
    row.push_back(field);
  }
  return schema::object({{"wanted", schema::count()},
                         {"traced", schema::count()},
                         {"frames", schema::list(schema::object(row))}});
}

Reply show_trace(Node& node, const Arguments& arguments) {
  const Sight::Trace& trace = node.sight().read_trace();
  const TimeNs first_ns = trace.entries.empty() ? 0 : trace.entries.front().arrived_ns;
  Json rows = Json::array();
  for (const trace::Entry& entry : trace.entries) {
    rows.push_back(trace_row(node, entry, first_ns));
    if (arguments.has("detail")) add_detail(rows.back(), entry);
  }
  return Json{{"wanted", trace.wanted}, {"traced", trace.entries.size()}, {"frames", rows}};
}

std::vector<Operation> trace_operations(Node* node) {
  Argument frames = ops::argument("frames", ArgumentType::number, "how many frames to follow");
  frames.min = 1;
  frames.max = trace::frames_max;
  frames.unit = "frames";
  return {
      {"trace add",
       "sight",
       {frames},
       Access::write,
       "Follow the next frames through the stages; forgets the trace before",
       [node](const Arguments& a) -> Reply {
         node->sight().start_trace(static_cast<uint32_t>(a.number("frames")));
         return Json{{"wanted", a.number("frames")}};
       }},
      {"show trace",
       "sight",
       {ops::optional(ops::choice("detail", {"detail"}, "all that is known of each"))},
       Access::read,
       "Followed frames: ns from arrival until each stage was through, why dropped, copies made",
       [node](const Arguments& a) { return show_trace(*node, a); },
       trace_schema()},
      {"clear trace",
       "sight",
       {},
       Access::write,
       "Forget the trace, and follow no more frames",
       [node](const Arguments&) -> Reply {
         node->sight().clear_trace();
         return Json{{"cleared", "trace"}};
       }},
  };
}

std::vector<Operation> capture_operations(Node* node) {
  return {
      start_operation(node),
      {"capture stop",
       "sight",
       {},
       Access::write,
       "End the capture and complete its file",
       [node](const Arguments&) { return stop_capture(*node); }},
      {"show capture",
       "sight",
       {},
       Access::read,
       "The capture that runs, or the last one; `missed` found no room on their way to the file",
       [node](const Arguments&) { return show_capture(*node); },
       capture_schema()},
  };
}

}  // namespace

std::vector<Operation> sight_operations(Node* node) {
  std::vector<Operation> out = capture_operations(node);
  for (auto* const more : {trace_operations, latency_operations}) {
    for (Operation& operation : more(node)) out.push_back(std::move(operation));
  }
  return out;
}

}  // namespace chaincast::node
