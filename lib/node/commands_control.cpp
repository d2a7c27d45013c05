// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

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

Reply set_forwarding(Node& node, bool on) {
  node.plane().is_forwarding.store(on, std::memory_order_relaxed);
  Json reply{{"forwarding", on}};
  if (on) return reply;
  // As testpmd: stop prints what was accumulated.
  uint64_t received = 0, kept = 0;
  for (const auto& line : node.lines()) {
    received += line->counters().frames.read();
    kept += line->counters().frames_kept.read();
  }
  reply["received_frames"] = received;
  reply["unique_frames"] = kept;
  Json drops = Json::object();
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    if (node.drops(reason) > 0) {
      drops[std::string(stage::drop_text(reason).name)] = node.drops(reason);
    }
  }
  reply["drops"] = drops;
  return reply;
}

// Written beside the target and renamed: a full disk leaves the old file as it was.
Reply save(Node& node, const std::string& path) {
  const std::string beside = path + ".new";
  {
    std::ofstream out(beside, std::ios::trunc);
    out << save_config(node.config());
    out.flush();
    if (!out) {
      return error(ErrorCode::io, fmt::format("{}: cannot be written; check directory, space and "
                                              "permissions",
                                              beside));
    }
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    return error(ErrorCode::io, fmt::format("{}: cannot be replaced: {}", path, strerror(errno)));
  }
  return Json{{"saved", path}};
}

// The sections whose names do not run yet.
template <typename Section>
Status add_missing(Node& node, const std::vector<Section>& wanted,
                   std::vector<Section> Config::*list, Status (Node::*add)(const Section&),
                   const char* kind, Json& done) {
  for (const Section& section : wanted) {
    const auto& running = node.config().*list;
    const bool runs = std::any_of(running.begin(), running.end(),
                                  [&](const Section& one) { return one.name == section.name; });
    if (runs) continue;
    auto admitted = admit(section, node.config());
    if (!admitted) return admitted.error();
    if (Status added = (node.*add)(*admitted); !added) return added;
    done.push_back(fmt::format("{} {}", kind, section.name));
  }
  return {};
}

Reply add_from(Node& node, const Config& config) {
  Json done = Json::array();
  Status added = add_missing(node, config.ports, &Config::ports, &Node::add_port, "port", done);
  if (added) {
    added = add_missing(node, config.streams, &Config::streams, &Node::add_stream, "stream", done);
  }
  if (added) {
    added = add_missing(node, config.peers, &Config::peers, &Node::add_peer, "peer", done);
  }
  if (!added) return added.error();
  return Json{{"loaded", config.file}, {"added", done}};
}

// A configuration file (TOML) or a file of commands, told apart by its ending.
Reply load(Node& node, const std::string& path) {
  if (path.ends_with(".toml")) {
    auto config = load_config(path);
    if (!config) return config.error();
    return add_from(node, *config);
  }
  std::ifstream in(path);
  if (!in) {
    return error(ErrorCode::io, fmt::format("{}: cannot be read: {}", path, strerror(errno)));
  }
  std::string line;
  unsigned number = 0, done = 0;
  while (std::getline(in, line)) {
    ++number;
    if (line.find_first_not_of(" \t") == std::string::npos || line[0] == '#') continue;
    if (line.starts_with("load ")) {
      return error(ErrorCode::refused,
                   fmt::format("{}:{}: a loaded file cannot load another", path, number));
    }
    if (Reply reply = node.run(line); !reply) {
      return error(reply.error().code,
                   fmt::format("{}:{}: {}", path, number, reply.error().message));
    }
    ++done;
  }
  return Json{{"loaded", path}, {"commands", done}};
}

Argument file(const char* help) {
  return ops::argument("file", ArgumentType::file, help);
}

}  // namespace

std::vector<Operation> control_operations(Node* node) {
  return {
      {"start",
       "control",
       {},
       Access::write,
       "Forward frames (the state after start-up)",
       [node](const Arguments&) { return set_forwarding(*node, true); }},
      {"stop",
       "control",
       {},
       Access::write,
       "Stop forwarding frames, keep the links; prints the accumulated statistics",
       [node](const Arguments&) { return set_forwarding(*node, false); }},
      {"load",
       "control",
       {file("a configuration (.toml) or a file of commands")},
       Access::write,
       "Add what a configuration names, or run the commands of a file",
       [node](const Arguments& a) { return load(*node, a.text("file")); }},
      {"save",
       "control",
       {file("where to write")},
       Access::write,
       "Write the running configuration; loading it gives the same configuration",
       [node](const Arguments& a) { return save(*node, a.text("file")); }},
      {"quit",
       "control",
       {},
       Access::write,
       "Drain, say goodbye to the peers and end the process",
       [node](const Arguments&) -> Reply {
         node->request_stop();
         return Json{{"quit", true}};
       }},
  };
}

}  // namespace chaincast::node
