// SPDX-License-Identifier: BSD-3-Clause
// chaincast-gen: traffic for a running node, and the check of what arrives.
#include "arguments.hpp"

int main(int argc, char** argv) {
  using namespace chaincast;
  generator::CommandLine line;
  if (const auto code = generator::parse_arguments(argc, argv, line)) return *code;
  auto client = console::Client::connect(line.socket);
  if (!client) return generator::report(client.error());
  return line.sends ? generator::send(*client, line.send)
                    : generator::receive(*client, line.receive);
}
