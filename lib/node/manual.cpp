// SPDX-License-Identifier: BSD-3-Clause
#include "node/manual.hpp"

#include <fmt/format.h>

#include "manual/manual.hpp"
#include "node/config_fields.hpp"
#include "node/features.hpp"
#include "stage/drop.hpp"

namespace chaincast::node {

namespace {

const char* about_section(const std::string& header) {
  if (header == "[node]") return "The node itself. Required, once.";
  if (header == "[[port]]") return "A way onto the network; once for each.";
  if (header == "[[peer]]") return "A neighbour; once for each.";
  if (header == "[[stream]]") return "A stream that is carried here; once for each.";
  if (header == "[rest]") return "The commands over HTTP. Once, or left out.";
  if (header == "[metrics]") return "Where OpenMetrics are served. Once, or left out.";
  return "How missing frames are asked for. Once, or left out.";
}

}  // namespace

std::string commands_manual() {
  manual::Page page("chaincast-commands", 7, "commands of a chaincast node");
  page.section("description")
      .paragraph(
          "A node runs these commands at its own prompt (`chaincast -i`), from a file "
          "(`--cmdline-file`, `load`), and through its control socket (`chaincastctl`). "
          "A VALUE is in capitals, `[...]` may be left out, `a|b` is a choice. A value with blanks "
          "stands in \"double quotes\".")
      .paragraph(
          "A command ending in `--json`, or a `show` ending in `json`, replies with one JSON "
          "document on one line. `show schema COMMAND` prints the JSON Schema of what a command "
          "replies; one that fails replies {\"error\": {\"code\": ..., \"message\": ...}}.");
  ops::Table table;
  fill_table(table, nullptr);
  table.describe_in(page);
  page.section("reasons of drops")
      .paragraph("What `show drops` counts for a node and `show peer drops` for one peer.");
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const stage::DropText& text = stage::drop_text(static_cast<stage::Drop>(i));
    page.item(text.name, fmt::format("{}, counted by {}", text.help, text.unit));
  }
  page.see_also({"chaincast(8)", "chaincastctl(1)", "chaincast-gen(1)", "chaincast.toml(5)"});
  return page.text();
}

std::string config_manual() {
  manual::Page page("chaincast.toml", 5, "configuration of a chaincast node");
  page.section("description")
      .paragraph(
          "A TOML 1.0 file, named by `chaincast --config`. Relative paths in it start at its "
          "directory. Keys and secrets are files of their own, of mode 0600, made by "
          "`chaincast keygen`. Bad input is refused with file, line and remedy, before anything "
          "starts: `chaincast --check-config` only looks. `chaincast --example-config` prints a "
          "file with every key and its meaning.");
  page.section("top of the file")
      .item("version",
            fmt::format("of this format ({}); a file of a later version is refused whole "
                        "(default `{}`)",
                        config_version, config_version));
  for (const SectionText& section : describe_sections()) {
    page.section(section.header).paragraph(about_section(section.header));
    for (const KeyText& key : section.keys) {
      std::string values = key.values;
      if (key.required) values += "; required";
      if (!key.initial.empty()) values += "; default `" + key.initial + "`";
      page.item(key.name, fmt::format("{} ({})", key.help, values));
    }
  }
  page.see_also({"chaincast(8)", "chaincast-commands(7)"});
  return page.text();
}

}  // namespace chaincast::node
