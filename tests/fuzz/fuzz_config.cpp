// SPDX-License-Identifier: BSD-3-Clause
// The TOML configuration: whatever is accepted must survive saving and loading unchanged.
#include "fuzz.hpp"
#include "node/config.hpp"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = node::parse_config(text, "fuzz", "/etc/chaincast");
  if (!config) {
    CC_ASSERT(!config.error().message.empty());
    return 0;
  }
  const auto again = node::parse_config(node::save_config(*config), "saved", "/");
  CC_ASSERT(again.ok());
  CC_ASSERT(node::to_json(*again) == node::to_json(*config));
  return 0;
}
