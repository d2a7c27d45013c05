// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "manual/manual.hpp"

// Options of a CLI11 parser as items of a manual page.
namespace chaincast::manual {

inline void put_options(Page& page, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    const bool is_positional = !option->nonpositional();
    std::string term = is_positional ? option->get_name(true) : option->get_name(false, true);
    for (size_t at = term.find(','); at != std::string::npos; at = term.find(',', at + 2)) {
      term.insert(at + 1, " ");
    }
    // A flag takes no value.
    if (!is_positional && option->get_items_expected_max() > 0) {
      term += " " + option->get_type_name();
    }
    std::string text = option->get_description();
    if (const std::string initial = option->get_default_str(); !initial.empty()) {
      text += " (default `" + initial + "`)";
    }
    page.item(term, text);
  }
}

// The subcommand's own name and options, as a section of its own.
inline void put_subcommand(Page& page, const CLI::App& app) {
  page.section(app.get_name()).paragraph(app.get_description());
  put_options(page, app);
  // Option groups are nameless subcommands.
  for (const CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; })) {
    put_options(page, *group);
  }
  if (!app.get_footer().empty()) page.paragraph(app.get_footer());
}

}  // namespace chaincast::manual
