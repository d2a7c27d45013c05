// SPDX-License-Identifier: BSD-3-Clause
// chaincast-sim: membership of many nodes in virtual time, by a scenario file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "sim/scenario.hpp"

namespace chaincast::simulator {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.good() && !in.eof()) {
    return error(ErrorCode::io, path + ": cannot be read; check the path");
  }
  return content;
}

int fail(const Error& failure) {
  std::fprintf(stderr, "chaincast-sim: %s\n", failure.message.c_str());
  return 2;
}

}  // namespace

int run(const std::string& path, uint64_t seed, bool check) {
  const auto text = read_file(path);
  if (!text) return fail(text.error());
  auto scenario = sim::parse_scenario(*text);
  if (!scenario) return fail(scenario.error());
  if (seed != 0) scenario->seed = seed;
  if (check) scenario->check_messages = true;
  sim::Surroundings surroundings;
  surroundings.read_file = read_file;
  surroundings.print = [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  };
  const auto done = sim::run_scenario(*scenario, surroundings);
  if (!done) return fail(done.error());
  std::printf("%s\n", *done ? "as expected" : "NOT as expected");
  return *done ? 0 : 1;
}

}  // namespace chaincast::simulator

int main(int argc, char** argv) {
  CLI::App app("Simulates the membership of a network by a scenario (docs/membership.md).");
  std::string path;
  uint64_t seed = 0;
  bool check = false;
  app.add_option("scenario", path, "file with the scenario")->required();
  app.add_option("--seed", seed, "instead of the scenario's");
  app.add_flag("--check-messages", check, "encode, decode and compare every message (slow)");
  CLI11_PARSE(app, argc, argv);
  return chaincast::simulator::run(path, seed, check);
}
