// SPDX-License-Identifier: BSD-3-Clause
// docs/wire.md prints the bytes that test_examples.cpp checks.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "samples.hpp"

namespace chaincast::wire {
namespace {

// Blocks of docs/wire.md that start with "```hex NAME".
std::map<std::string, std::string> documented_examples() {
  std::ifstream in(CHAINCAST_DOCS "/wire.md");
  std::map<std::string, std::string> blocks;
  std::string line, name;
  while (std::getline(in, line)) {
    if (line.rfind("```", 0) == 0) {
      name = line.rfind("```hex ", 0) == 0 ? line.substr(7) : "";
    } else if (!name.empty()) {
      blocks[name] += line.substr(0, line.find('#')) + '\n';
    }
  }
  return blocks;
}

TEST(Docs, print_the_same_bytes) {
  const auto blocks = documented_examples();
  std::vector<example::Example> all = {example::data_datagram,   example::hello_datagram,
                                       example::sealed_datagram, example::descriptor,
                                       example::statement,       example::route_update,
                                       example::packed_payload};
  for (const auto& [example, message] : sample::control_messages()) all.push_back(example);
  EXPECT_EQ(blocks.size(), all.size());
  for (const example::Example& example : all) {
    const auto block = blocks.find(std::string(example.name));
    ASSERT_NE(block, blocks.end()) << "docs/wire.md lacks a block: " << example.name;
    EXPECT_EQ(to_hex(unhex(block->second)), to_hex(unhex(example.hex))) << example.name;
  }
}

}  // namespace
}  // namespace chaincast::wire
