// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "node/commands.hpp"
#include "node/config_arguments.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Argument;
using ops::Arguments;
using ops::ArgumentType;
using ops::Json;
using ops::Operation;
using ops::Reply;

using Row = Json (*)(const Node::PortRecord& record);

Json summary_row(const Node::PortRecord& record) {
  const port::Info info = record.port->info();
  return {{"port", record.id},
          {"name", record.config.name},
          {"driver", info.driver},
          {"device", info.device},
          {"role", info.role == port::Role::fabric ? "fabric" : "edge"},
          {"state", !record.is_started ? "stopped"
                    : info.is_up       ? "up"
                                       : "link down"}};
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
              {"rx_queues", c.rx_queues},
              {"tx_queues", c.tx_queues},
              {"steers_ports", c.steers_ports},
              {"copy", c.shared_segments ? "shared" : "linear"},
              {"copybreak_bytes", c.copybreak_bytes},
              {"udp_checksum", c.udp_checksum ? "hardware" : "software"},
              {"ipv4_checksum", c.ipv4_checksum ? "hardware" : "software"},
              {"numa_node", info.numa_node}});
  return row;
}

Json stats_row(const Node::PortRecord& record) {
  const port::Counters c = record.port->counters();
  return {{"port", record.id},      {"name", record.config.name}, {"rx_packets", c.rx_packets},
          {"rx_bytes", c.rx_bytes}, {"rx_missed", c.rx_missed},   {"tx_packets", c.tx_packets},
          {"tx_bytes", c.tx_bytes}, {"tx_full", c.tx_full}};
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

Reply change_ports(Node& node, const Arguments& arguments, bool started) {
  const std::string which = arguments.text("port");
  Json done = Json::array();
  for (const auto& record : node.ports()) {
    if (which != "all" && which != record->config.name && which != std::to_string(record->id)) {
      continue;
    }
    if (Status changed = node.set_port_started(*record, started); !changed) return changed.error();
    done.push_back(record->config.name);
  }
  if (done.empty()) return node.find_port(which).error();
  return Json{{started ? "started" : "stopped", done}};
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

}  // namespace

std::vector<Operation> port_operations(Node* node) {
  const auto one = ops::argument("port", ArgumentType::port, "port id or name");
  const auto any = ops::or_all(ops::argument("port", ArgumentType::port, "port id, name or all"));
  return {
      {"show port info",
       "ports",
       {any},
       Access::read,
       "Driver, addresses, offloads and queues",
       [node](const Arguments& a) { return show_ports(*node, a, info_row); }},
      {"show port summary",
       "ports",
       {any},
       Access::read,
       "One line per port",
       [node](const Arguments& a) { return show_ports(*node, a, summary_row); }},
      {"show port stats",
       "ports",
       {any},
       Access::read,
       "Packets and bytes of the port",
       [node](const Arguments& a) { return show_ports(*node, a, stats_row); }},
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
       [node](const Arguments& a) { return change_ports(*node, a, true); }},
      {"port stop",
       "ports",
       {any},
       Access::write,
       "Stop receiving and sending on a port",
       [node](const Arguments& a) { return change_ports(*node, a, false); }},
      {"port reset",
       "ports",
       {any},
       Access::write,
       "Stop a port and start it again",
       [node](const Arguments& a) -> Reply {
         if (Reply stopped = change_ports(*node, a, false); !stopped) return stopped;
         return change_ports(*node, a, true);
       }},
  };
}

}  // namespace chaincast::node
