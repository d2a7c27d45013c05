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

using Row = Json (*)(const Node::PortRecord& record);

std::vector<schema::Field> summary_fields() {
  return {{"port", schema::count()},
          {"name", schema::text()},
          {"driver", schema::text()},
          {"device", schema::text()},
          {"role", schema::one_of({"fabric", "edge"})},
          {"state", schema::one_of({"gone", "stopped", "up", "link down"})}};
}

std::vector<schema::Field> info_fields() {
  auto fields = summary_fields();
  for (const schema::Field& field :
       std::vector<schema::Field>{{"mac", schema::text()},
                                  {"addresses", schema::list(schema::text())},
                                  {"udp_port", schema::count()},
                                  {"mtu_bytes", schema::count()},
                                  {"mtu_max_bytes", schema::count()},
                                  {"vlan", schema::count()},
                                  {"promisc", schema::flag()},
                                  {"rx_queues", schema::count()},
                                  {"tx_queues", schema::count()},
                                  {"steers_ports", schema::flag()},
                                  {"control_queue", schema::one_of({"shared", "hashed", "own"})},
                                  {"copy", schema::one_of({"shared", "linear"})},
                                  {"copybreak_bytes", schema::count()},
                                  {"udp_checksum", schema::one_of({"hardware", "software"})},
                                  {"ipv4_checksum", schema::one_of({"hardware", "software"})},
                                  {"numa_node", schema::integer()},
                                  {"pool", schema::text()},
                                  {"pool_mbufs", schema::count()}}) {
    fields.push_back(field);
  }
  return fields;
}

// What else the driver says of its device has names of its own.
Json info_schema() {
  Json row = schema::object(info_fields());
  row["additionalProperties"] = schema::text();
  return row;
}

std::vector<schema::Field> stats_fields() {
  std::vector<schema::Field> fields = {{"port", schema::count()}, {"name", schema::text()}};
  for (const char* name :
       {"rx_packets", "rx_bytes", "rx_missed", "tx_packets", "tx_bytes", "tx_full"}) {
    fields.push_back({name, schema::count()});
  }
  return fields;
}

Json summary_row(const Node::PortRecord& record) {
  const port::Info info = record.port->info();
  return {{"port", record.id},
          {"name", record.config.name},
          {"driver", info.driver},
          {"device", info.device},
          {"role", info.role == port::Role::fabric ? "fabric" : "edge"},
          {"state", !info.is_present     ? "gone"
                    : !record.is_started ? "stopped"
                    : info.is_up         ? "up"
                                         : "link down"}};
}

const char* control_queue_name(port::ControlQueue queue) {
  switch (queue) {
    case port::ControlQueue::shared:
      return "shared";
    case port::ControlQueue::hashed:
      return "hashed";
    case port::ControlQueue::own:
      return "own";
  }
  return "?";
}

Json info_row(const Node::PortRecord& record) {
  const port::Info info = record.port->info();
  const port::Capabilities c = record.port->capabilities();
  Json addresses = Json::array();
  for (const Endpoint& address : info.addresses) addresses.push_back(port::to_text(address));
  Json row = summary_row(record);
  row.update({{"mac", info.mac},
              {"addresses", addresses},
              {"udp_port", info.udp_port},
              {"mtu_bytes", c.mtu_bytes},
              {"mtu_max_bytes", info.mtu_max_bytes},
              {"vlan", record.config.vlan},
              {"promisc", info.is_promiscuous},
              {"rx_queues", c.rx_queues},
              {"tx_queues", c.tx_queues},
              {"steers_ports", c.steers_ports},
              {"control_queue", control_queue_name(c.control_queue)},
              {"copy", c.shared_segments ? "shared" : "linear"},
              {"copybreak_bytes", c.copybreak_bytes},
              {"udp_checksum", c.udp_checksum ? "hardware" : "software"},
              {"ipv4_checksum", c.ipv4_checksum ? "hardware" : "software"},
              {"numa_node", info.numa_node},
              {"pool", record.pool->name},
              {"pool_mbufs", record.pool->size}});
  for (const auto& [name, value] : info.details) {
    if (!row.contains(name)) row[name] = value;
  }
  return row;
}

Json stats_row(const Node::PortRecord& record) {
  const port::Counters c = record.port->counters();
  return {{"port", record.id},      {"name", record.config.name}, {"rx_packets", c.rx_packets},
          {"rx_bytes", c.rx_bytes}, {"rx_missed", c.rx_missed},   {"tx_packets", c.tx_packets},
          {"tx_bytes", c.tx_bytes}, {"tx_full", c.tx_full}};
}

Json xstats_row(const Node::PortRecord& record) {
  Json row{{"port", record.id}, {"name", record.config.name}, {"xstats", Json::object()}};
  for (const auto& [name, value] : record.port->extended_counters()) row["xstats"][name] = value;
  row["count"] = row["xstats"].size();
  return row;
}

Reply show_ports(Node& node, const Arguments& arguments, Row row) {
  const std::string which = arguments.text("port", "all");
  Json rows = Json::array();
  if (which != "all") {
    auto found = node.find_port(which);
    if (!found) return found.error();
    rows.push_back(row(**found));
  } else {
    for (const auto& record : node.ports()) rows.push_back(row(*record));
  }
  return Json{{"ports", rows}};
}

using Change = std::function<Status(Node::PortRecord&)>;

Reply change_ports(Node& node, const Arguments& arguments, const char* done_key,
                   const Change& change) {
  const std::string which = arguments.text("port");
  Json done = Json::array();
  for (const auto& record : node.ports()) {
    if (which != "all" && which != record->config.name && which != std::to_string(record->id)) {
      continue;
    }
    if (Status changed = change(*record); !changed) return changed.error();
    done.push_back(record->config.name);
  }
  if (done.empty()) return node.find_port(which).error();
  return Json{{done_key, done}};
}

Reply start_ports(Node& node, const Arguments& arguments, bool started) {
  return change_ports(
      node, arguments, started ? "started" : "stopped",
      [&](Node::PortRecord& record) { return node.set_port_started(record, started); });
}

Reply reset_ports(Node& node, const Arguments& arguments) {
  return change_ports(node, arguments, "reset", [&](Node::PortRecord& record) {
    Status done = node.change_port(record, [](port::Port& port) { return port.reset(); });
    return done ? node.set_port_started(record, true) : done;
  });
}

Reply set_promiscuous(Node& node, const Arguments& arguments) {
  const bool is_on = arguments.text("state") == "on";
  return change_ports(
      node, arguments, is_on ? "promisc_on" : "promisc_off",
      [&](Node::PortRecord& record) { return node.set_port_promiscuous(record, is_on); });
}

Reply set_link(Node& node, const Arguments& arguments, bool is_up) {
  return change_ports(node, arguments, is_up ? "link_up" : "link_down",
                      [&](Node::PortRecord& record) { return record.port->set_link(is_up); });
}

Reply set_mtu(Node& node, const Arguments& arguments) {
  const auto mtu = static_cast<uint16_t>(arguments.number("mtu"));
  return change_ports(node, arguments, "mtu_set",
                      [&](Node::PortRecord& record) { return node.set_port_mtu(record, mtu); });
}

// udp:ADDRESS:PORT stands for the keys driver and address.
Reply attach(Node& node, Arguments arguments) {
  const std::string device = arguments.text("device");
  const bool is_udp = device.starts_with("udp:");
  arguments.set("driver", is_udp ? "udp" : "ethdev");
  if (is_udp) {
    arguments.set("address", device.substr(4));
    arguments.remove("device");
  }
  auto config = read_section<PortConfig>(arguments);
  if (config) config = admit(std::move(*config), node.config());
  if (!config) return config.error();
  if (Status added = node.add_port(*config); !added) return added.error();
  return Json{{"attached", config->name}, {"port", node.ports().back()->id}};
}

std::vector<Argument> attach_arguments() {
  auto arguments = section_arguments<PortConfig>({"name", "device"});
  std::erase_if(arguments,
                [](const Argument& a) { return a.name == "driver" || a.name == "address"; });
  arguments[1].optional = false;
  arguments[1].help = "udp:ADDRESS:PORT, a PCI address, or a DPDK device string";
  return arguments;
}

// Named as testpmd does.
std::vector<Operation> setting_operations(Node* node) {
  Argument mtu = ops::argument("mtu", ArgumentType::number, "largest IP packet");
  mtu.min = 1280;
  mtu.max = 65'535;
  mtu.unit = "bytes";
  const auto any = ops::or_all(ops::argument("port", ArgumentType::port, "port id, name or all"));
  return {
      {"port config",
       "ports",
       {any, ops::keyed(std::move(mtu))},
       Access::write,
       "Set the largest IP packet of a port; its links come up anew",
       [node](const Arguments& a) { return set_mtu(*node, a); }},
      {"set promisc",
       "ports",
       {any, ops::choice("state", {"on", "off"}, "take packets for other MAC addresses, or not")},
       Access::write,
       "Promiscuous mode of a port",
       [node](const Arguments& a) { return set_promiscuous(*node, a); }},
      {"set link-up port",
       "ports",
       {any},
       Access::write,
       "Bring the link of a port up",
       [node](const Arguments& a) { return set_link(*node, a, true); }},
      {"set link-down port",
       "ports",
       {any},
       Access::write,
       "Take the link of a port down; its peers are lost at once",
       [node](const Arguments& a) { return set_link(*node, a, false); }},
  };
}

std::vector<Operation> life_operations(Node* node) {
  const auto one = ops::argument("port", ArgumentType::port, "port id or name");
  const auto any = ops::or_all(ops::argument("port", ArgumentType::port, "port id, name or all"));
  return {
      {"show port info",
       "ports",
       {any},
       Access::read,
       "Driver, addresses, offloads and queues",
       [node](const Arguments& a) { return show_ports(*node, a, info_row); },
       schema::rows("ports", info_schema())},
      {"show port summary",
       "ports",
       {any},
       Access::read,
       "One line per port",
       [node](const Arguments& a) { return show_ports(*node, a, summary_row); },
       schema::rows("ports", schema::object(summary_fields()))},
      {"show port stats",
       "ports",
       {any},
       Access::read,
       "Packets and bytes of the port",
       [node](const Arguments& a) { return show_ports(*node, a, stats_row); },
       schema::rows("ports", schema::object(stats_fields()))},
      {"show port xstats",
       "ports",
       {any},
       Access::read,
       "The driver's own counters",
       [node](const Arguments& a) { return show_ports(*node, a, xstats_row); },
       schema::rows("ports", schema::object({{"port", schema::count()},
                                             {"name", schema::text()},
                                             {"xstats", schema::map(schema::count())},
                                             {"count", schema::count()}}))},
      {"port attach", "ports", attach_arguments(), Access::write, "Add a port while traffic runs",
       [node](const Arguments& a) { return attach(*node, a); }},
      {"port detach",
       "ports",
       {one},
       Access::write,
       "Remove a port that no peer uses",
       [node](const Arguments& a) -> Reply {
         if (Status removed = node->remove_port(a.text("port")); !removed) return removed.error();
         return Json{{"detached", a.text("port")}};
       }},
      {"port start",
       "ports",
       {any},
       Access::write,
       "Start a stopped port",
       [node](const Arguments& a) { return start_ports(*node, a, true); }},
      {"port stop",
       "ports",
       {any},
       Access::write,
       "Stop receiving and sending on a port",
       [node](const Arguments& a) { return start_ports(*node, a, false); }},
      {"port reset",
       "ports",
       {any},
       Access::write,
       "Make the device of a port anew, and start it",
       [node](const Arguments& a) { return reset_ports(*node, a); }},
  };
}

}  // namespace

std::vector<Operation> port_operations(Node* node) {
  std::vector<Operation> all = life_operations(node);
  for (Operation& one : setting_operations(node)) all.push_back(std::move(one));
  return all;
}

}  // namespace chaincast::node
