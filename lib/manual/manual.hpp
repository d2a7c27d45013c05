// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

// Manual pages, as text of man(7) macros. What goes in is plain: every character that roff would
// take for its own is escaped here, and `text in backquotes` is set in bold. Pure; any thread.
namespace chaincast::manual {

// One page. Parts appear in the order of the calls.
class Page {
 public:
  // `purpose` completes "NAME - " in one line, as whatis(1) shows it.
  Page(std::string_view name, unsigned section, std::string_view purpose);

  Page& section(std::string_view title);
  Page& subsection(std::string_view title);
  Page& paragraph(std::string_view text);
  // A term with its explanation, indented. The term is set in bold, hyphens as typed.
  Page& item(std::string_view term, std::string_view text);
  // Lines as they are, indented.
  Page& lines(std::string_view text);
  // The last section: "chaincast(8)", ...
  Page& see_also(const std::vector<std::string_view>& pages);

  const std::string& text() const { return out_; }

 private:
  std::string out_;
};

}  // namespace chaincast::manual
