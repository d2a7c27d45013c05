// SPDX-License-Identifier: BSD-3-Clause
#include "usage.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "manual/manual.hpp"

namespace chaincast::ctl {

namespace {

struct Entry {
  std::string_view usage;
  std::string_view help;
};

constexpr std::array<Entry, 5> options = {{
    {"--socket PATH", "control socket; else $CHAINCAST_SOCKET, else /run/chaincast/chaincast.sock"},
    {"--json", "one JSON document per command or event"},
    {"-i, --interactive", "a prompt: commands on one connection, until `exit`"},
    {"--print-man", "print chaincastctl(1)"},
    {"--help", "print this"},
}};

constexpr std::array<Entry, 12> commands = {{
    {"status", "name, version and state of the node"},
    {"publish STREAM FILE", "a file (- is stdin) as objects"},
    {"  --object-bytes N", "of so many bytes"},
    {"subscribe STREAM", "a line per object; losses and lost origins on standard error"},
    {"  --output FILE", "or their bytes to FILE"},
    {"  --raw", "or to standard output"},
    {"  --ring", "through memory shared with the node"},
    {"  --count N, --bytes N", "ends after so many objects or bytes"},
    {"  --timeout S", "ends after so many seconds"},
    {"watch SECONDS COMMAND", "a command again and again, until a key or Ctrl-C"},
    {"anything else", "a command of the node: help, show peers, ping PEER, ..."},
    {"help", "the sections of the node's commands; `help SECTION` lists one"},
}};

constexpr std::array<Entry, 4> exit_codes = {{
    {"0", "done"},
    {"1", "the command failed, or fewer than --count or --bytes came"},
    {"2", "wrong usage or no connection"},
    {"3", "a subscription lost something"},
}};

template <size_t n>
std::string listed(const std::array<Entry, n>& entries) {
  std::string out;
  for (const Entry& entry : entries) out += fmt::format("  {:<26}{}\n", entry.usage, entry.help);
  return out;
}

template <size_t n>
void put(manual::Page& page, const std::array<Entry, n>& entries) {
  for (const Entry& entry : entries) {
    const size_t first = entry.usage.find_first_not_of(' ');
    page.item(entry.usage.substr(first), entry.help);
  }
}

}  // namespace

std::string usage_text() {
  return fmt::format("usage: chaincastctl [options] COMMAND...\n\n{}\n{}\nexit codes\n{}",
                     listed(options), listed(commands), listed(exit_codes));
}

std::string program_manual() {
  manual::Page page("chaincastctl", 1, "command a chaincast node, publish and subscribe");
  page.section("synopsis").lines("chaincastctl [options] COMMAND...");
  page.section("description")
      .paragraph(
          "Runs a command on a running node through its control socket (mode 0600: as the user "
          "the node runs as) and prints the reply.");
  put(page.section("options"), options);
  put(page.section("commands"), commands);
  page.section("confirmed changes")
      .paragraph(
          "`commit confirm SECONDS` takes back what is changed after it unless `commit` comes in "
          "time. At a prompt (`-i`) it is taken back as well when the connection is cut, whatever "
          "cuts it; as a single command, whose connection ends at once, only the time counts.");
  put(page.section("exit status"), exit_codes);
  page.section("files").item("$XDG_STATE_HOME/chaincast/history",
                             "lines of earlier prompts, 1000 at most, mode 0600; else below "
                             "~/.local/state");
  page.see_also({"chaincast(8)", "chaincast-gen(1)", "chaincast-commands(7)"});
  return page.text();
}

}  // namespace chaincast::ctl
