// SPDX-License-Identifier: BSD-3-Clause
#include "node/changer.hpp"
#include "node/commands.hpp"

namespace chaincast::node {

namespace {

using ops::Access;
using ops::Arguments;
using ops::choice;
using ops::Json;
using ops::Operation;
using ops::Reply;

Reply set_log(Node& node, const std::string& level) {
  static constexpr const char* names[] = {"trace", "debug", "info", "warning", "error"};
  for (size_t i = 0; i < std::size(names); ++i) {
    if (level == names[i]) node.set_log_level(static_cast<LogLevel>(i));
  }
  return Json{{"log", level}};
}

TimeNs seconds_of(const Arguments& arguments, const char* name) {
  return arguments.number(name) * ns_per_s;
}

ops::Argument seconds(const char* name) {
  ops::Argument out =
      ops::argument(name, ops::ArgumentType::number, "time until the change takes itself back");
  out.min = 1;
  out.max = 86'400;
  out.unit = std::string("s");
  return out;
}

std::vector<Operation> change_operations(Node* node) {
  return {
      {"reload",
       "config",
       {ops::optional(ops::keyed(seconds("confirm")))},
       Access::write,
       "Read the configuration file again and apply what differs, all of it or nothing",
       [node](const Arguments& a) { return node->changer().reload(seconds_of(a, "confirm")); },
       plan_schema()},
      {"reload check",
       "config",
       {},
       Access::read,
       "Say what reload would do",
       [node](const Arguments&) { return node->changer().check(); },
       plan_schema()},
      {"commit confirm",
       "config",
       {seconds("seconds")},
       Access::write,
       "Take back what is changed from now on unless commit comes in time; also when this "
       "connection is cut",
       [node](const Arguments& a) { return node->changer().begin(seconds_of(a, "seconds")); },
       commit_schema()},
      {"commit",
       "config",
       {},
       Access::write,
       "Keep what was changed since commit confirm",
       [node](const Arguments&) { return node->changer().commit(); },
       commit_schema()},
      {"rollback",
       "config",
       {},
       Access::write,
       "Take back what was changed since commit confirm",
       [node](const Arguments&) { return node->changer().rollback(); },
       commit_schema()},
      {"show commit",
       "config",
       {},
       Access::read,
       "The confirmed change that is open, what it changed, and how the last one ended",
       [node](const Arguments&) { return node->changer().show(); },
       commit_schema()},
  };
}

std::vector<Operation> value_operations(Node* node) {
  return {
      {"show config",
       "config",
       {},
       Access::read,
       "The running configuration",
       [node](const Arguments&) -> Reply { return to_json(node->config()); },
       config_schema()},
      {"set idle",
       "config",
       {choice("mode", {"sleep", "poll"}, "sleep when idle, or never")},
       Access::write,
       "What workers do when there is nothing to do",
       [node](const Arguments& a) -> Reply {
         node->set_idle(a.text("mode") == "poll" ? Idle::poll : Idle::sleep);
         return Json{{"idle", a.text("mode")}};
       }},
      {"set repair",
       "config",
       {choice("state", {"on", "off"}, "ask for missing frames, or not")},
       Access::write,
       "Repair of lost frames",
       [node](const Arguments& a) -> Reply {
         repair::RepairConfig repair = node->config().repair;
         repair.enabled = a.text("state") == "on";
         node->set_repair(repair);
         return Json{{"repair", a.text("state")}};
       }},
      {"set log",
       "config",
       {choice("level", {"trace", "debug", "info", "warning", "error"}, "least level written")},
       Access::write,
       "How much is logged",
       [node](const Arguments& a) { return set_log(*node, a.text("level")); }},
  };
}

}  // namespace

std::vector<Operation> config_operations(Node* node) {
  auto operations = value_operations(node);
  for (Operation& one : change_operations(node)) operations.push_back(std::move(one));
  return operations;
}

}  // namespace chaincast::node
