// SPDX-License-Identifier: BSD-3-Clause
// Stands in for libFuzzer: runs a target over every file of the directories given, and over every
// prefix of small ones, each from a heap copy of exactly its size.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "fuzz.hpp"

namespace {

constexpr size_t prefixes_below_bytes = 2048;

void run(const chaincast::Bytes& bytes, size_t size) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  std::copy_n(bytes.begin(), size, exact.get());
  LLVMFuzzerTestOneInput(exact.get(), size);
}

size_t replay(const std::filesystem::path& directory) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const chaincast::Bytes bytes{std::istreambuf_iterator<char>(in),
                                 std::istreambuf_iterator<char>()};
    const size_t from = bytes.size() < prefixes_below_bytes ? 0 : bytes.size();
    for (size_t size = from; size <= bytes.size(); ++size) run(bytes, size);
    ++files;
  }
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  size_t files = 0;
  for (int i = 1; i < argc; ++i) files += replay(argv[i]);
  std::printf("%zu files\n", files);
  return files > 0 ? 0 : 1;
}
