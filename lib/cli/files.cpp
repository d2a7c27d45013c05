// SPDX-License-Identifier: BSD-3-Clause
#include "cli/files.hpp"

#include <filesystem>

namespace chaincast::cli {

std::vector<std::string> files_with(std::string_view prefix) {
  namespace fs = std::filesystem;
  // npos + 1 is 0: no directory.
  const std::string directory(prefix.substr(0, prefix.rfind('/') + 1));
  const std::string_view name = prefix.substr(directory.size());
  std::vector<std::string> out;
  std::error_code code;
  fs::directory_iterator entry(directory.empty() ? "." : directory, code);
  for (size_t i = 0; !code && entry != fs::directory_iterator() && i < files_read_max; ++i) {
    const std::string found = entry->path().filename().string();
    const bool is_hidden = found.starts_with('.') && !name.starts_with('.');
    if (found.starts_with(name) && !is_hidden && out.size() < files_listed_max) {
      std::error_code unknown;
      out.push_back(directory + found + (entry->is_directory(unknown) ? "/" : ""));
    }
    entry.increment(code);
  }
  return out;
}

}  // namespace chaincast::cli
