// SPDX-License-Identifier: BSD-3-Clause
// chaincast-sim: membership of many nodes in virtual time, by a scenario file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "manual/options.hpp"
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

std::string manual_page(const CLI::App& app) {
  manual::Page page("chaincast-sim", 1, "membership of many nodes in virtual time");
  page.section("synopsis")
      .lines("chaincast-sim [options] SCENARIO")
      .section("description")
      .paragraph(app.get_description())
      .section("options");
  manual::put_options(page, app);
  page.section("exit status").paragraph(app.get_footer());
  page.see_also({"chaincast(8)"});
  return page.text();
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
  CLI::App app(
      "Runs the members of a network in one process and in virtual time, by a scenario file: the "
      "machines are those of the daemon. The same file and seed give the same run, byte for byte. "
      "membership.md in the documentation has the steps of a scenario.",
      "chaincast-sim");
  app.footer("0: all as the scenario expects; 1: not so; 2: it could not be run, and why.");
  std::string path;
  uint64_t seed = 0;
  bool check = false;
  app.set_version_flag("--version", CHAINCAST_VERSION);
  app.add_option("scenario", path, "file with the scenario")->required();
  app.add_option("--seed", seed, "instead of the scenario's");
  app.add_flag("--check-messages", check, "encode, decode and compare every message (slow)");
  app.add_flag_callback(
      "--print-man",
      [&app] {
        std::fputs(chaincast::simulator::manual_page(app).c_str(), stdout);
        throw CLI::Success();
      },
      "print chaincast-sim(1)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? 0 : 2;
  }
  return chaincast::simulator::run(path, seed, check);
}
