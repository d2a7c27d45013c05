// SPDX-License-Identifier: BSD-3-Clause
#include "node/features.hpp"

#include <array>

#include "node/commands.hpp"

namespace chaincast::node {

std::span<const Feature> features() {
  static constexpr std::array<Feature, 6> list = {{
      {"control", control_operations},
      {"display", display_operations},
      {"config", config_operations},
      {"ports", port_operations},
      {"peers", peer_operations},
      {"streams", stream_operations},
  }};
  return list;
}

void fill_table(ops::Table& table, Node* node) {
  ops::add_help(table);
  for (const Feature& feature : features()) table.add(feature.operations(node));
}

}  // namespace chaincast::node
