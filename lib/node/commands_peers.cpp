// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "node/commands.hpp"
#include "node/config_arguments.hpp"
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

// How the peer is reached; behind a NAT through a hole in it, or over another node.
std::string path_text(Node& node, uint32_t peer) {
  const hop::LinkStatus& status = node.peering().status(peer);
  if (status.state != hop::LinkState::up) return "";
  if (status.path == hop::Path::direct) return "direct";
  if (status.path == hop::Path::punched) return "punched";
  const auto relay = node.membership() == nullptr
                         ? std::nullopt
                         : node.membership()->crossing().relay_of(status.node);
  return "relayed by " + (relay ? relay->hex().substr(0, 16) : "a node that has gone");
}

Json peer_row(Node& node, uint32_t peer) {
  const Peering& peering = node.peering();
  const hop::LinkStatus& status = peering.status(peer);
  const Peering::Traffic traffic = peering.traffic(peer);
  const TimeNs now = node.now_ns();
  uint64_t lost = 0;
  for (size_t i = 0; i < stage::drop_count; ++i) {
    lost += peering.drops(peer, static_cast<stage::Drop>(i));
  }
  std::string state = to_text(status.state);
  std::string detail = status.detail;
  if (!peering.is_up(peer) && !peering.next_hop_problem(peer).empty()) {
    state = "unresolved";
    detail = peering.next_hop_problem(peer);
  }
  Json row{{"name", peering.name(peer)},
           {"state", state},
           {"address", port::to_text(peering.links().config(peer).remote)},
           {"path", path_text(node, peer)},
           {"node", status.node == NodeId{} ? "" : status.node.hex()}};
  row["last_heard_ms"] = status.last_heard_ns == 0
                             ? Json(nullptr)
                             : Json((now - std::min(now, status.last_heard_ns)) / ns_per_ms);
  row["rtt_us"] = status.rtt_ns == 0 ? Json(nullptr) : Json(status.rtt_ns / ns_per_us);
  row["mtu_bytes"] = status.mtu_bytes;
  row["loss_percent"] = status.loss * 100;
  row["version"] = status.version;
  row["sessions"] = status.sessions;
  row["check"] = !status.check_off;
  row["rate_bits_per_s"] = peering.settings(peer).rate_bytes_per_s * 8;
  row["receive_rate_bits_per_s"] = peering.settings(peer).receive_rate_bytes_per_s * 8;
  row["tx_datagrams"] = traffic.tx_datagrams;
  row["tx_frames"] = traffic.tx_frames;
  row["tx_bytes"] = traffic.tx_bytes;
  row["tx_dropped_copies"] = lost;
  row["rx_datagrams"] = traffic.rx_datagrams;
  row["rx_bytes"] = traffic.rx_bytes;
  row["rx_lost"] = traffic.rx_lost;
  row["rx_lanes"] = traffic.rx_lanes;
  row["detail"] = detail;
  return row;
}

Json peer_schema() {
  return schema::object({{"name", schema::text()},
                         {"state", schema::text()},
                         {"address", schema::text()},
                         {"path", schema::text()},
                         {"node", schema::text()},
                         {"last_heard_ms", schema::nullable(schema::count())},
                         {"rtt_us", schema::nullable(schema::count())},
                         {"mtu_bytes", schema::count()},
                         {"loss_percent", schema::real()},
                         {"version", schema::count()},
                         {"sessions", schema::count()},
                         {"check", schema::flag()},
                         {"rate_bits_per_s", schema::count()},
                         {"receive_rate_bits_per_s", schema::count()},
                         {"tx_datagrams", schema::count()},
                         {"tx_frames", schema::count()},
                         {"tx_bytes", schema::count()},
                         {"tx_dropped_copies", schema::count()},
                         {"rx_datagrams", schema::count()},
                         {"rx_bytes", schema::count()},
                         {"rx_lost", schema::count()},
                         {"rx_lanes", schema::list(schema::count())},
                         {"detail", schema::text()}});
}

Reply show_peers(Node& node, const Arguments& arguments) {
  const std::string which = arguments.text("peer", "all");
  Json rows = Json::array();
  for (uint32_t peer : node.peering().peers()) {
    if (which == "all" || which == node.peering().name(peer)) rows.push_back(peer_row(node, peer));
  }
  if (rows.empty() && which != "all") return node.peering().find(which).error();
  return Json{{"peers", rows}};
}

void add_drops(Node& node, uint32_t peer, bool with_name, Json& rows) {
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    const uint64_t count = node.peering().drops(peer, reason);
    if (count == 0) continue;
    Json row = Json::object();
    if (with_name) row["peer"] = node.peering().name(peer);
    row["reason"] = stage::drop_text(reason).name;
    row["copies"] = count;
    rows.push_back(std::move(row));
  }
}

Reply show_peer_drops(Node& node, const Arguments& arguments) {
  const std::string which = arguments.text("peer");
  Json rows = Json::array();
  if (which == "all") {
    for (const uint32_t peer : node.peering().peers()) add_drops(node, peer, true, rows);
  } else {
    auto peer = node.peering().find(which);
    if (!peer) return peer.error();
    add_drops(node, *peer, false, rows);
  }
  return Json{{"peer", which}, {"drops", rows}};
}

Json peer_drops_schema() {
  const Json row = schema::object(
      {{"peer", schema::text(), false}, {"reason", schema::text()}, {"copies", schema::count()}});
  return schema::object({{"peer", schema::text()}, {"drops", schema::list(row)}});
}

Reply show_links(Node& node) {
  const hop::LinkCounters& c = node.peering().links().counters();
  Json reply{{"malformed", c.malformed},         {"unknown_address", c.unknown_address},
             {"over_budget", c.over_budget},     {"bad_mac", c.bad_mac},
             {"reflected", c.reflected},         {"wrong_node", c.wrong_node},
             {"wrong_version", c.wrong_version}, {"unexpected", c.unexpected},
             {"no_session", c.no_session},       {"bad_seal", c.bad_seal},
             {"replayed", c.replayed},           {"unsupported", c.unsupported},
             {"no_link_id", c.no_link_id}};
  if (node.membership() != nullptr) reply["network"] = network_links(*node.membership());
  return reply;
}

Json links_schema() {
  std::vector<schema::Field> fields;
  for (const char* name : {"malformed", "unknown_address", "over_budget", "bad_mac", "reflected",
                           "wrong_node", "wrong_version", "unexpected", "no_session", "bad_seal",
                           "replayed", "unsupported", "no_link_id"}) {
    fields.push_back({name, schema::count()});
  }
  fields.push_back({"network", schema::list(network_link_schema()), false});
  return schema::object(fields);
}

Reply add_peer(Node& node, const Arguments& arguments) {
  auto config = read_section<PeerConfig>(arguments);
  if (config) config = admit(std::move(*config), node.config());
  if (!config) return config.error();
  if (Status added = node.add_peer(*config); !added) return added.error();
  return Json{{"added", config->name}};
}

Reply set_rate(Node& node, const Arguments& arguments) {
  const std::string name = arguments.text("peer");
  const auto bits = parse_rate(arguments.text("rate"));
  if (!bits) return bits.error();
  if (Status set = node.set_peer_rate(name, *bits); !set) return set.error();
  return Json{{"peer", name}, {"rate_bits_per_s", *bits}};
}

// The answer comes with a later keepalive; the reply states the newest measurement.
Reply ping(Node& node, const Arguments& arguments) {
  auto peer = node.peering().find(arguments.text("peer"));
  if (!peer) return peer.error();
  const bool sent = node.peering().ping(*peer, node.now_ns());
  const hop::LinkStatus& status = node.peering().status(*peer);
  if (!sent) {
    return error(ErrorCode::refused, fmt::format("peer {}: link is {}; `show peers` says why",
                                                 arguments.text("peer"), to_text(status.state)));
  }
  return Json{{"peer", arguments.text("peer")},
              {"state", to_text(status.state)},
              {"rtt_us", status.rtt_ns / ns_per_us},
              {"rtt_min_us", status.rtt_min_ns / ns_per_us}};
}

Argument one_peer() {
  return ops::argument("peer", ArgumentType::peer, "peer name");
}

std::vector<Argument> add_arguments() {
  auto arguments = section_arguments<PeerConfig>({"name", "address"});
  for (Argument& argument : arguments) {
    if (argument.name == "port") argument.type = ArgumentType::port;  // completes
  }
  return arguments;
}

std::vector<Operation> change_operations(Node* node) {
  return {
      {"add peer", "peers", add_arguments(), Access::write, "Add a peer while traffic runs",
       [node](const Arguments& a) { return add_peer(*node, a); }},
      {"remove peer",
       "peers",
       {one_peer()},
       Access::write,
       "Say goodbye to a peer and forget it",
       [node](const Arguments& a) -> Reply {
         if (Status removed = node->remove_peer(a.text("peer")); !removed) return removed.error();
         return Json{{"removed", a.text("peer")}};
       }},
      {"set peer rate",
       "peers",
       {one_peer(), ops::argument("rate", ArgumentType::word,
                                  "\"unlimited\", or bits per second such as 100Mbit")},
       Access::write,
       "Limit what is sent to a peer",
       [node](const Arguments& a) { return set_rate(*node, a); }},
  };
}

}  // namespace

std::vector<Operation> peer_operations(Node* node) {
  const auto any =
      ops::optional(ops::or_all(ops::argument("peer", ArgumentType::peer, "peer name or all")));
  std::vector<Operation> operations = {
      {"show peers",
       "peers",
       {any},
       Access::read,
       "State, last heard, round trip, MTU, loss and traffic of each peer",
       [node](const Arguments& a) { return show_peers(*node, a); },
       schema::rows("peers", peer_schema())},
      {"show peer drops",
       "peers",
       {ops::or_all(ops::argument("peer", ArgumentType::peer, "peer name or all"))},
       Access::read,
       "Copies lost for a peer, by reason",
       [node](const Arguments& a) { return show_peer_drops(*node, a); },
       peer_drops_schema()},
      {"show links",
       "peers",
       {},
       Access::read,
       "What was refused on the links' control path, and the links of the network",
       [node](const Arguments&) { return show_links(*node); },
       links_schema()},
      {"ping",
       "peers",
       {one_peer()},
       Access::read,
       "Measure the round trip to a peer",
       [node](const Arguments& a) { return ping(*node, a); },
       schema::object({{"peer", schema::text()},
                       {"state", schema::text()},
                       {"rtt_us", schema::count()},
                       {"rtt_min_us", schema::count()}})},
  };
  for (Operation& change : change_operations(node)) operations.push_back(std::move(change));
  return operations;
}

}  // namespace chaincast::node
