// SPDX-License-Identifier: BSD-3-Clause
#include "node/features.hpp"

#include <fmt/core.h>

#include <array>

#include "node/commands.hpp"

namespace chaincast::node {

std::span<const Feature> features() {
  static constexpr std::array<Feature, 8> list = {{
      {"control", control_operations},
      {"display", display_operations},
      {"config", config_operations},
      {"ports", port_operations},
      {"peers", peer_operations},
      {"streams", stream_operations},
      {"membership", membership_operations},
      {"sight", sight_operations},
  }};
  return list;
}

void fill_table(ops::Table& table, Node* node) {
  ops::add_help(table);
  ops::add_schema(table);
  ops::add_watch(table);
  for (const Feature& feature : features()) table.add(feature.operations(node));
}

std::string commands_markdown() {
  ops::Table table;
  fill_table(table, nullptr);
  std::string out = table.reference_markdown();
  out +=
      "\n## Reasons of drops\n\n`show drops` counts what is lost in a node by these reasons, `show "
      "peer drops` the copies for one peer.\n\n| reason | counts | meaning |\n|---|---|---|\n";
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const stage::DropText& text = stage::drop_text(static_cast<stage::Drop>(i));
    out += fmt::format("| `{}` | {} | {} |\n", text.name, text.unit, text.help);
  }
  return out;
}

std::string schemas() {
  ops::Table table;
  fill_table(table, nullptr);
  return table.schemas().dump(2) + "\n";
}

}  // namespace chaincast::node
