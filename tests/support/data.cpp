// SPDX-License-Identifier: BSD-3-Clause
#include "support/data.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/assert.hpp"

namespace chaincast::test {

std::optional<std::string> data_file(const std::string& relative) {
  const char* root = std::getenv("CHAINCAST_DATA");
  if (root == nullptr) return std::nullopt;
  const std::filesystem::path path = std::filesystem::absolute(root) / relative;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path.string();
}

Bytes read_file(const std::string& path) {
  const std::string command = (path.ends_with(".gz") ? "zcat -- '" : "cat -- '") + path + "'";
  FILE* pipe = popen(command.c_str(), "r");
  CC_ASSERT(pipe != nullptr);
  Bytes out;
  uint8_t chunk[65536];
  for (size_t n; (n = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;) {
    out.insert(out.end(), chunk, chunk + n);
  }
  CC_ASSERT(pclose(pipe) == 0);
  return out;
}

}  // namespace chaincast::test
