// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "node/commands.hpp"
#include "node/commands_nat.hpp"
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

Error no_membership() {
  return error(ErrorCode::not_found,
               "this node is in no network: its peers are those of the configuration; set "
               "[membership] address and start it again");
}

const char* standing_text(graph::Standing standing) {
  switch (standing) {
    case graph::Standing::alive:
      return "alive";
    case graph::Standing::suspected:
      return "suspected";
    case graph::Standing::dead:
      return "dead";
    case graph::Standing::left:
      return "left";
  }
  return "?";
}

const char* lie_text(graph::Lie lie) {
  switch (lie) {
    case graph::Lie::two_records:
      return "two records";
    case graph::Lie::bad_message:
      return "bad message";
    case graph::Lie::false_suspicion:
      return "false suspicion";
    case graph::Lie::withholding:
      return "withholding";
  }
  return "?";
}

// A stream's name where this node has it, else the id of its subnetwork.
std::string subnetwork_name(const Membership& membership, const wire::ResourceId& resource) {
  const std::string name = membership.stream_of(resource);
  return name.empty() ? to_hex(resource.bytes) : name;
}

Json node_row(const Membership& membership, const graph::Entry& entry) {
  const wire::NodeRecord& said = entry.record->said;
  Json subnetworks = Json::array();
  Json hosts = Json::array();
  for (const wire::Subscription& s : said.resources) {
    (s.is_host ? hosts : subnetworks).push_back(subnetwork_name(membership, s.resource));
  }
  return {{"node", entry.id().hex()},
          {"address", said.addresses.empty() ? "" : port::to_text(said.addresses.front())},
          {"role", (said.roles & wire::role_supernode) != 0 ? "supernode" : "node"},
          {"behind_nat", (said.roles & wire::role_behind_nat) != 0},
          {"standing", standing_text(entry.standing)},
          {"links", said.links.size()},
          {"hosts", hosts},
          {"member_of", subnetworks},
          {"counter", said.counter}};
}

Json node_schema() {
  return schema::object({{"node", schema::text()},
                         {"address", schema::text()},
                         {"role", schema::one_of({"supernode", "node"})},
                         {"behind_nat", schema::flag()},
                         {"standing", schema::one_of({"alive", "suspected", "dead", "left"})},
                         {"links", schema::count()},
                         {"hosts", schema::list(schema::text())},
                         {"member_of", schema::list(schema::text())},
                         {"counter", schema::count()}});
}

Reply show_membership(Node& node) {
  const Membership& membership = *node.membership();
  const session::Counters& sessions = node.membership()->sessions().counters();
  const MembershipCounters& own = membership.counters();
  const graph::MemberCounters& member = membership.member().counters();
  return Json{{"state", to_text(membership.join().state())},
              {"node", membership.member().id().hex()},
              {"address", port::to_text(node.membership()->sessions().address())},
              {"network", to_hex(membership.network())},
              {"digest", to_hex(membership.member().digest())},
              {"nodes", membership.member().view().live()},
              {"links", membership.member().links().size()},
              {"sessions", node.membership()->sessions().sessions().size()},
              {"sessions_opened", sessions.opened},
              {"sessions_resumed", sessions.resumed},
              {"sessions_refused", sessions.refused},
              {"sessions_failed", sessions.failed},
              {"messages_sent", sessions.messages_sent},
              {"messages_received", sessions.messages_received},
              {"messages_malformed", own.malformed + sessions.malformed},
              {"messages_not_taken", own.not_taken},
              {"records_published", member.records_published},
              {"facts_changed", member.facts_changed},
              {"accusations", member.accusations},
              {"refutations", member.refutations},
              {"grants_sent", own.grants_sent},
              {"grants_taken", own.grants_taken},
              {"grants_refused", own.grants_refused},
              {"links_failed", own.links_failed}};
}

Json membership_schema() {
  std::vector<schema::Field> fields;
  for (const char* name : {"state", "node", "address", "network", "digest"}) {
    fields.push_back({name, schema::text()});
  }
  for (const char* name :
       {"nodes", "links", "sessions", "sessions_opened", "sessions_resumed", "sessions_refused",
        "sessions_failed", "messages_sent", "messages_received", "messages_malformed",
        "messages_not_taken", "records_published", "facts_changed", "accusations", "refutations",
        "grants_sent", "grants_taken", "grants_refused", "links_failed"}) {
    fields.push_back({name, schema::count()});
  }
  return schema::object(fields);
}

Reply show_graph(Node& node) {
  const Membership& membership = *node.membership();
  const auto analysed = node.membership()->analyst().of(membership.member().view());
  Json rows = Json::array();
  membership.member().view().for_each([&](const graph::EntryRef& entry) {
    if (entry->is_live) rows.push_back(node_row(membership, *entry));
  });
  return Json{{"digest", to_hex(membership.member().digest())},
              {"links", analysed->topology.links.size() / 2},
              {"components", analysed->analysis.components},
              {"articulation_points", analysed->analysis.articulations},
              {"bridges", analysed->analysis.bridges},
              {"nodes", rows}};
}

Json graph_schema() {
  return schema::object({{"digest", schema::text()},
                         {"links", schema::count()},
                         {"components", schema::count()},
                         {"articulation_points", schema::count()},
                         {"bridges", schema::count()},
                         {"nodes", schema::list(node_schema())}});
}

// Graphviz: one edge a link, weighted by its round trip.
Reply show_graph_dot(Node& node) {
  const Membership& membership = *node.membership();
  const graph::Topology& topology =
      node.membership()->analyst().of(membership.member().view())->topology;
  std::string out = "graph network {\n";
  for (uint32_t i = 0; i < topology.nodes.size(); ++i) {
    const graph::Entry& entry = *topology.nodes[i];
    const bool is_supernode = (entry.record->said.roles & wire::role_supernode) != 0;
    out += fmt::format("  \"{}\" [shape={}];\n", entry.id().hex().substr(0, 16),
                       is_supernode ? "box" : "ellipse");
  }
  for (uint32_t i = 0; i < topology.nodes.size(); ++i) {
    for (uint32_t at = topology.first[i]; at < topology.first[i + 1]; ++at) {
      const uint32_t j = topology.links[at];
      if (j < i) continue;
      const auto& ends = topology.nodes[i]->record->said.links;
      const auto end = std::find_if(ends.begin(), ends.end(), [&](const wire::LinkEnd& link) {
        return link.peer == topology.nodes[j]->id();
      });
      out += fmt::format("  \"{}\" -- \"{}\" [label=\"{:.1f} ms\"];\n",
                         topology.nodes[i]->id().hex().substr(0, 16),
                         topology.nodes[j]->id().hex().substr(0, 16),
                         end == ends.end() ? 0.0 : end->rtt_us / 1000.0);
    }
  }
  return Json(out + "}\n");
}

Reply show_node(Node& node, const Arguments& arguments) {
  const Membership& membership = *node.membership();
  const std::string wanted = arguments.text("node");
  Json rows = Json::array();
  membership.member().view().for_each([&](const graph::EntryRef& entry) {
    if (!entry->id().hex().starts_with(wanted)) return;
    Json row = node_row(membership, *entry);
    Json links = Json::array();
    for (const wire::LinkEnd& link : entry->record->said.links) {
      links.push_back(
          {{"node", link.peer.hex()}, {"rtt_us", link.rtt_us}, {"random", link.is_random}});
    }
    row["partners"] = links;
    Json accusers = Json::array();
    for (const auto& accusation : entry->accusations) accusers.push_back(accusation->accuser.hex());
    row["accused_by"] = accusers;
    rows.push_back(std::move(row));
  });
  if (rows.empty()) {
    return error(ErrorCode::not_found,
                 fmt::format("node {}: the graph has none whose id starts so; `show graph` lists "
                             "them",
                             wanted));
  }
  return Json{{"nodes", rows}};
}

Json one_node_schema() {
  Json row = node_schema();
  const Json partner = schema::object(
      {{"node", schema::text()}, {"rtt_us", schema::count()}, {"random", schema::flag()}});
  row["properties"]["partners"] = schema::list(partner);
  row["properties"]["accused_by"] = schema::list(schema::text());
  row["required"].push_back("partners");
  row["required"].push_back("accused_by");
  return schema::rows("nodes", row);
}

Reply members_of(Node& node, const std::string& stream) {
  const Membership& membership = *node.membership();
  const wire::ResourceId resource = membership.id_of(stream);
  Json rows = Json::array();
  membership.member().view().for_each([&](const graph::EntryRef& entry) {
    const wire::Subscription* found = wire::subscription_of(entry->record->said, resource);
    if (!entry->is_live || found == nullptr) return;
    const auto link = membership.data_links().find(entry->id());
    const bool is_linked = link != membership.data_links().end() && link->second.is_open;
    rows.push_back({{"node", entry->id().hex()},
                    {"role", found->is_host ? "host" : "member"},
                    {"private", found->is_private},
                    {"standing", standing_text(entry->standing)},
                    {"peer", is_linked ? link->second.name : ""}});
  });
  if (rows.empty()) {
    return error(
        ErrorCode::not_found,
        fmt::format("stream {}: nobody in the graph is in its subnetwork; check the name", stream));
  }
  return Json{{"stream", stream}, {"subnetwork", to_hex(resource.bytes)}, {"members", rows}};
}

Json members_schema() {
  const Json row = schema::object({{"node", schema::text()},
                                   {"role", schema::one_of({"host", "member"})},
                                   {"private", schema::flag()},
                                   {"standing", schema::text()},
                                   {"peer", schema::text()}});
  return schema::object(
      {{"stream", schema::text()}, {"subnetwork", schema::text()}, {"members", schema::list(row)}});
}

Reply show_subnetworks(Node& node) {
  const Membership& membership = *node.membership();
  std::map<wire::ResourceId, std::pair<uint64_t, uint64_t>> counts;  // hosts, members
  membership.member().view().for_each([&](const graph::EntryRef& entry) {
    if (!entry->is_live) return;
    for (const wire::Subscription& s : entry->record->said.resources) {
      auto& [hosts, members] = counts[s.resource];
      ++(s.is_host ? hosts : members);
    }
  });
  Json rows = Json::array();
  for (const auto& [resource, count] : counts) {
    rows.push_back({{"subnetwork", to_hex(resource.bytes)},
                    {"stream", membership.stream_of(resource)},
                    {"hosts", count.first},
                    {"members", count.second}});
  }
  return Json{{"subnetworks", rows}};
}

Reply show_suspicion(Node& node) {
  Json rows = Json::array();
  node.membership()->member().view().for_each([&](const graph::EntryRef& entry) {
    if (entry->accusations.empty()) return;
    Json accusers = Json::array();
    for (const auto& accusation : entry->accusations) accusers.push_back(accusation->accuser.hex());
    rows.push_back({{"node", entry->id().hex()},
                    {"standing", standing_text(entry->standing)},
                    {"accused_by", accusers}});
  });
  Json liars = Json::array();
  for (const graph::Liar& liar : node.membership()->member().liars()) {
    liars.push_back({{"node", liar.node.hex()}, {"lie", lie_text(liar.lie)}});
  }
  std::set<NodeId> named;
  for (const FalseVoter& voter : node.carrier().false_voters().all()) {
    if (!named.insert(voter.node).second) continue;
    liars.push_back({{"node", voter.node.hex()}, {"lie", "false vote"}});
  }
  return Json{{"suspects", rows}, {"liars", liars}};
}

Json suspicion_schema() {
  const Json suspect = schema::object({{"node", schema::text()},
                                       {"standing", schema::text()},
                                       {"accused_by", schema::list(schema::text())}});
  const Json liar =
      schema::object({{"node", schema::text()},
                      {"lie", schema::one_of({"two records", "bad message", "false suspicion",
                                              "withholding", "false vote"})}});
  return schema::object({{"suspects", schema::list(suspect)}, {"liars", schema::list(liar)}});
}

using Handler = Reply (*)(Node&, const Arguments&);
using Plain = Reply (*)(Node&);

// Of a node that is in a network.
auto in_network(Node* node, Handler handler) {
  return [node, handler](const Arguments& a) -> Reply {
    if (node->membership() == nullptr) return no_membership();
    return handler(*node, a);
  };
}
auto in_network(Node* node, Plain handler) {
  return [node, handler](const Arguments&) -> Reply {
    if (node->membership() == nullptr) return no_membership();
    return handler(*node);
  };
}

Reply come_in(Node& node, StreamConfig stream, const char* what) {
  auto config = admit(std::move(stream), node.config());
  if (!config) return config.error();
  if (Status added = node.add_stream(*config); !added) return added.error();
  return Json{{what, config->name}};
}

Reply join(Node& node, const Arguments& arguments) {
  StreamConfig stream;
  stream.name = arguments.text("stream");
  return come_in(node, std::move(stream), "joined");
}

Reply host(Node& node, const Arguments& arguments) {
  StreamConfig stream;
  stream.name = arguments.text("stream");
  stream.secret_file = arguments.text("secret");
  stream.publish = true;
  return come_in(node, std::move(stream), "hosting");
}

Reply leave(Node& node, const Arguments& arguments) {
  const std::string stream = arguments.text("stream");
  if (Status removed = node.remove_stream(stream); !removed) return removed.error();
  return Json{{"left", stream}};
}

Reply set_degree(Node& node, const Arguments& arguments) {
  const auto links = static_cast<unsigned>(arguments.number("links"));
  node.membership()->set_degree(links, node.now_ns());
  node.config().membership.degree = links;
  return Json{{"degree", links}};
}

std::vector<Operation> change_operations(Node* node) {
  const auto name = ops::argument("stream", ArgumentType::word, "stream name");
  ops::Argument links = ops::argument("links", ArgumentType::number, "links to ask for");
  links.min = 2;
  links.max = degree_max;
  return {
      {"join",
       "membership",
       {name},
       Access::write,
       "Become a member of a stream's subnetwork; its members hand the secret over",
       in_network(node, join)},
      {"host",
       "membership",
       {name, ops::keyed(ops::argument("secret", ArgumentType::file, "file of its secret"))},
       Access::write,
       "Become a host of a stream: an origin in its subnetwork",
       in_network(node, host)},
      {"leave",
       "membership",
       {ops::argument("stream", ArgumentType::stream, "stream name")},
       Access::write,
       "Leave a stream's subnetwork and forget the stream",
       in_network(node, leave)},
      {"set degree",
       "membership",
       {links},
       Access::write,
       "Links that this node asks for; it accepts half as many more",
       in_network(node, set_degree)},
  };
}

}  // namespace

ops::Json network_links(const Membership& membership) {
  Json rows = Json::array();
  for (const graph::LinkStatus& link : membership.member().links()) {
    const auto data = membership.data_links().find(link.peer);
    const bool has_data = data != membership.data_links().end();
    rows.push_back({{"node", link.peer.hex()},
                    {"address", port::to_text(link.address)},
                    {"rtt_us", link.rtt_us},
                    {"random", link.is_random},
                    {"suspected", link.is_suspected},
                    {"peer", has_data && data->second.is_open ? data->second.name : ""},
                    {"problem", has_data ? data->second.problem : ""}});
  }
  return rows;
}

ops::Json network_link_schema() {
  return schema::object({{"node", schema::text()},
                         {"address", schema::text()},
                         {"rtt_us", schema::count()},
                         {"random", schema::flag()},
                         {"suspected", schema::flag()},
                         {"peer", schema::text()},
                         {"problem", schema::text()}});
}

std::vector<Operation> membership_operations(Node* node) {
  const Json subnetwork = schema::object({{"subnetwork", schema::text()},
                                          {"stream", schema::text()},
                                          {"hosts", schema::count()},
                                          {"members", schema::count()}});
  std::vector<Operation> operations = {
      {"show membership",
       "membership",
       {},
       Access::read,
       "This node in its network: state, sessions, what was sent and refused",
       in_network(node, show_membership),
       membership_schema()},
      {"show graph",
       "membership",
       {},
       Access::read,
       "All nodes of the network, and what hangs on what",
       in_network(node, show_graph),
       graph_schema()},
      {"show graph dot",
       "membership",
       {},
       Access::read,
       "The graph for Graphviz",
       in_network(node, show_graph_dot),
       schema::text()},
      {"show node",
       "membership",
       {ops::argument("node", ArgumentType::word, "node id, or how it starts")},
       Access::read,
       "What a node says of itself, and who accuses it",
       in_network(node, show_node),
       one_node_schema()},
      {"show subnetworks",
       "membership",
       {},
       Access::read,
       "Every subnetwork of the graph, with its hosts and members",
       in_network(node, show_subnetworks),
       schema::rows("subnetworks", subnetwork)},
      {"show members",
       "membership",
       {ops::argument("stream", ArgumentType::word, "stream name")},
       Access::read,
       "Who is in a stream's subnetwork",
       in_network(node,
                  [](Node& n, const Arguments& a) { return members_of(n, a.text("stream")); }),
       members_schema()},
      {"show suspicion",
       "membership",
       {},
       Access::read,
       "Nodes that are accused of not answering, and those that were caught lying",
       in_network(node, show_suspicion),
       suspicion_schema()},
  };
  operations.push_back(nat_operation(node));
  for (Operation& change : change_operations(node)) operations.push_back(std::move(change));
  return operations;
}

}  // namespace chaincast::node
