// SPDX-License-Identifier: BSD-3-Clause
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
    if (level == names[i]) node.config().node.log_level = static_cast<LogLevel>(i);
  }
  node.log().set_level(node.config().node.log_level);
  return Json{{"log", level}};
}

}  // namespace

std::vector<Operation> config_operations(Node* node) {
  return {
      {"show config",
       "config",
       {},
       Access::read,
       "The running configuration",
       [node](const Arguments&) -> Reply { return to_json(node->config()); }},
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
         node->config().repair.enabled = a.text("state") == "on";
         node->carrier().set_repair(node->config().repair.enabled);
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

}  // namespace chaincast::node
