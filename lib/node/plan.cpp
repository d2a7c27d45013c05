// SPDX-License-Identifier: BSD-3-Clause
#include "node/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace chaincast::node {

namespace {

using ops::Json;

std::string shown(const Json& value) {
  if (value.is_null()) return "unset";
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct KeyChange {
  std::string key;
  std::string text;  // "key: old -> new"
};

std::vector<KeyChange> differing(const Json& running, const Json& wanted) {
  std::vector<KeyChange> out;
  for (const auto& item : wanted.items()) {
    const Json& before = running.at(item.key());
    if (before == item.value()) continue;
    out.push_back(
        {item.key(), fmt::format("{}: {} -> {}", item.key(), shown(before), shown(item.value()))});
  }
  return out;
}

std::string joined(const std::vector<KeyChange>& keys) {
  std::string out;
  for (const KeyChange& key : keys) out += (out.empty() ? "" : ", ") + key.text;
  return out;
}

template <size_t n>
bool all_in(const std::vector<KeyChange>& keys, const std::array<std::string_view, n>& names) {
  return std::all_of(keys.begin(), keys.end(), [&](const KeyChange& key) {
    return std::find(names.begin(), names.end(), key.key) != names.end();
  });
}

constexpr std::array<std::string_view, 3> live_node_keys = {"idle", "log_level", "drain_timeout_s"};
constexpr std::array<std::string_view, 1> live_peer_keys = {"rate"};
constexpr std::array<std::string_view, 1> live_port_keys = {"promisc"};
constexpr std::array<std::string_view, 0> none_live = {};

const Json* find_named(const Json& list, const Json& name) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const Json& row) { return row["name"] == name; });
  return found == list.end() ? nullptr : &*found;
}

// A file of the same name that holds something else. What has not been read is not compared.
template <typename Content>
void compare_files(const std::string& key, const std::string& file,
                   const std::optional<Content>& before, const std::optional<Content>& after,
                   std::vector<KeyChange>& out) {
  if (!before || !after || *before == *after) return;
  if (std::any_of(out.begin(), out.end(), [&](const KeyChange& one) { return one.key == key; })) {
    return;
  }
  out.push_back({key, fmt::format("{}: {} holds another one", key, file)});
}

template <typename Section>
void compare_secrets(const std::vector<Section>& running, const std::vector<Section>& wanted,
                     const std::string& name, std::vector<KeyChange>& out) {
  for (const Section& before : running) {
    if (before.name != name) continue;
    for (const Section& after : wanted) {
      if (after.name != name) continue;
      compare_files("secret", after.secret_file, before.secret, after.secret, out);
    }
  }
}

class Planner {
 public:
  Planner(const Config& running, const Config& wanted)
      : running_config_(running),
        wanted_config_(wanted),
        running_(to_json(running)),
        wanted_(to_json(wanted)) {}

  std::vector<Change> run() {
    for (const auto& item : wanted_["node"].items()) {
      Json before = Json::object();
      Json after = Json::object();
      before[item.key()] = running_["node"][item.key()];
      after[item.key()] = item.value();
      auto keys = differing(before, after);
      if (item.key() == "key") {
        compare_files("key", wanted_config_.node.key_file, running_config_.node.public_key,
                      wanted_config_.node.public_key, keys);
      }
      const Effect effect = keys.empty()                   ? Effect::unchanged
                            : all_in(keys, live_node_keys) ? Effect::changed
                                                           : Effect::restart;
      out_.push_back({"node", item.key(), effect, joined(keys)});
    }
    compare_section("repair", Effect::changed);
    compare_section("metrics", Effect::restart);
    compare_section("rest", Effect::restart);
    compare_section("membership", Effect::restart);
    compare("port", "ports", live_port_keys);
    compare("stream", "streams", none_live);
    compare("peer", "peers", live_peer_keys);
    return std::move(out_);
  }

 private:
  void compare_section(const char* name, Effect effect) {
    const auto keys = differing(running_[name], wanted_[name]);
    out_.push_back({name, "", keys.empty() ? Effect::unchanged : effect, joined(keys)});
  }

  template <size_t n>
  void compare(const char* kind, const char* list,
               const std::array<std::string_view, n>& live_keys) {
    for (const Json& row : running_[list]) {
      const std::string name = row["name"].get<std::string>();
      const Json* after = find_named(wanted_[list], row["name"]);
      if (after == nullptr) {
        out_.push_back({kind, name, Effect::removed, ""});
        continue;
      }
      auto keys = differing(row, *after);
      if (std::string_view(kind) == "peer") {
        compare_secrets(running_config_.peers, wanted_config_.peers, name, keys);
      } else if (std::string_view(kind) == "stream") {
        compare_secrets(running_config_.streams, wanted_config_.streams, name, keys);
      }
      Effect effect = keys.empty()              ? Effect::unchanged
                      : all_in(keys, live_keys) ? Effect::changed
                                                : Effect::replaced;
      std::string detail = joined(keys);
      if (std::string_view(kind) == "peer" && is_port_replaced(row["port"])) {
        effect = Effect::replaced;
        detail += std::string(detail.empty() ? "" : ", ") + "with its port";
      }
      out_.push_back({kind, name, effect, detail});
    }
    for (const Json& row : wanted_[list]) {
      if (find_named(running_[list], row["name"]) != nullptr) continue;
      out_.push_back({kind, row["name"].get<std::string>(), Effect::added, ""});
    }
  }

  bool is_port_replaced(const Json& name) const {
    return std::any_of(out_.begin(), out_.end(), [&](const Change& change) {
      return change.kind == "port" && change.name == name && change.effect == Effect::replaced;
    });
  }

  const Config& running_config_;
  const Config& wanted_config_;
  Json running_;
  Json wanted_;
  std::vector<Change> out_;
};

}  // namespace

std::vector<Change> plan_change(const Config& running, const Config& wanted) {
  return Planner(running, wanted).run();
}

bool is_same(const std::vector<Change>& plan) {
  return std::all_of(plan.begin(), plan.end(),
                     [](const Change& change) { return change.effect == Effect::unchanged; });
}

const char* to_text(Effect effect) {
  switch (effect) {
    case Effect::unchanged:
      return "unchanged";
    case Effect::added:
      return "added";
    case Effect::removed:
      return "removed";
    case Effect::changed:
      return "changed";
    case Effect::replaced:
      return "replaced";
    case Effect::restart:
      return "needs a restart";
  }
  return "";
}

}  // namespace chaincast::node
