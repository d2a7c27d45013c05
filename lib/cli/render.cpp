// SPDX-License-Identifier: BSD-3-Clause
#include "cli/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace chaincast::cli {

namespace {

using ops::Json;

constexpr size_t table_width_max = 160;
constexpr size_t indent_step = 2;
constexpr size_t wrapped_min = 16;

struct Unit {
  std::string_view ending;  // of a key
  std::string_view text;
};
constexpr std::array<Unit, 8> units = {{
    {"ns", "ns"},
    {"us", "us"},
    {"ms", "ms"},
    {"s", "s"},
    {"bytes", "bytes"},
    {"percent", "percent"},
    {"bits_per_s", "bits/s"},
    {"frames_per_s", "frames/s"},
}};

std::string clean(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

// Columns a UTF-8 text takes, counting each code point as one.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string scalar(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return clean(value.get_ref<const std::string&>());
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  return value.dump();
}

bool is_nested(const Json& value) {
  return value.is_object() || value.is_array();
}

bool all_scalars(const Json& value) {
  return std::none_of(value.begin(), value.end(), [](const Json& e) { return is_nested(e); });
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& e) { return e.is_object(); });
}

bool fits_line(const Json& value) {
  return !is_nested(value) || value.empty() || (value.is_array() && all_scalars(value));
}

// A nested value on one line: "a=1 b=2", "x, y".
std::string inline_text(const Json& value) {
  if (!is_nested(value)) return scalar(value);
  if (value.empty()) return "-";
  std::string out;
  for (const auto& item : value.items()) {
    if (!out.empty()) out += value.is_object() ? " " : ", ";
    if (value.is_object()) out += item.key() + "=";
    out += inline_text(item.value());
  }
  return out;
}

struct Column {
  std::string key;
  size_t width = 0;
  bool numeric = true;
};

std::vector<Column> columns_of(const Json& rows) {
  std::vector<Column> out;
  for (const Json& row : rows) {
    for (const auto& item : row.items()) {
      auto found = std::find_if(out.begin(), out.end(),
                                [&](const Column& column) { return column.key == item.key(); });
      if (found == out.end()) {
        out.push_back({item.key(), columns(heading(item.key())), true});
        found = out.end() - 1;
      }
      found->width = std::max(found->width, columns(inline_text(item.value())));
      found->numeric = found->numeric && (item.value().is_number() || item.value().is_null());
    }
  }
  return out;
}

// Lines of at most `width` columns, broken at blanks where there are any.
std::vector<std::string> wrapped(const std::string& text, size_t width) {
  std::vector<std::string> out;
  std::string line;
  size_t used = 0;
  size_t blank = std::string::npos;  // the last one of the line
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (starts && used == width) {
      const bool at_blank = text[i] == ' ';
      const size_t keep = at_blank || blank == std::string::npos ? line.size() : blank;
      out.push_back(line.substr(0, keep));
      line = at_blank || keep == line.size() ? "" : line.substr(keep + 1);
      used = columns(line);
      blank = std::string::npos;
      if (at_blank) continue;
    }
    if (text[i] == ' ') blank = line.size();
    line += text[i];
    used += starts;
  }
  if (!line.empty() || out.empty()) out.push_back(line);
  return out;
}

class Renderer {
 public:
  explicit Renderer(size_t columns) : columns_(columns) {}
  std::string take() { return std::move(out_); }

  void put_value(const Json& value, size_t indent) {
    if (value.is_object()) return put_object(value, indent);
    if (is_table(value)) return put_rows(value, indent);
    if (!value.is_array()) {
      out_ += std::string(indent, ' ') + scalar(value) + "\n";
      return;
    }
    for (const Json& element : value) put_value(element, indent);
  }

 private:
  void put_object(const Json& object, size_t indent) {
    size_t width = 0;
    for (const auto& item : object.items()) {
      if (fits_line(item.value())) width = std::max(width, columns(heading(item.key())));
    }
    for (const auto& item : object.items()) {
      const std::string head = std::string(indent, ' ') + heading(item.key()) + ":";
      const Json& value = item.value();
      if (!fits_line(value)) {
        out_ += head + "\n";
        put_value(value, indent + indent_step);
        continue;
      }
      const std::string text = is_nested(value) && value.empty() ? "none" : inline_text(value);
      const size_t used = columns(head);
      const size_t column = indent + width + 2;
      out_ += head + std::string(used < column ? column - used : 1, ' ');
      put_continued(text, column);
    }
  }

  // A value from `column` on; what does not fit stands below its beginning.
  void put_continued(const std::string& text, size_t column) {
    if (columns_ < column + wrapped_min) {
      out_ += text + "\n";
      return;
    }
    bool is_first = true;
    for (const std::string& line : wrapped(text, columns_ - column)) {
      out_ += is_first ? line + "\n" : std::string(column, ' ') + line + "\n";
      is_first = false;
    }
  }

  void put_rows(const Json& rows, size_t indent) {
    auto shape = columns_of(rows);
    bool holds_tables = false;
    for (const Column& column : shape) {
      for (const Json& row : rows) {
        const auto cell = row.find(column.key);
        if (cell != row.end() && is_table(*cell)) holds_tables = true;
      }
    }
    if (!holds_tables && fit(shape, indent)) return put_table(rows, shape, indent);
    bool first = true;
    for (const Json& row : rows) {
      if (!first) out_ += "\n";
      first = false;
      put_object(row, indent);
    }
  }

  // False if not even a narrower text column makes it fit.
  bool fit(std::vector<Column>& shape, size_t indent) const {
    size_t width = indent;
    Column* widest = nullptr;
    for (Column& column : shape) {
      width += column.width + 2;
      if (!column.numeric && (widest == nullptr || column.width > widest->width)) widest = &column;
    }
    // Behind the last column stand no blanks.
    const size_t limit = columns_ == 0 ? table_width_max : columns_ + 2;
    if (width <= limit) return true;
    const size_t excess = width - limit;
    if (columns_ == 0 || widest == nullptr || widest->width < excess + wrapped_min) return false;
    widest->width -= excess;
    return true;
  }

  void put_table(const Json& rows, const std::vector<Column>& shape, size_t indent) {
    std::vector<std::string> cells;
    for (const Column& column : shape) cells.push_back(heading(column.key));
    put_row(shape, cells, indent);
    for (const Json& row : rows) {
      cells.clear();
      for (const Column& column : shape) {
        const auto cell = row.find(column.key);
        cells.push_back(cell == row.end() ? "-" : inline_text(*cell));
      }
      put_row(shape, cells, indent);
    }
  }

  void put_row(const std::vector<Column>& shape, const std::vector<std::string>& cells,
               size_t indent) {
    std::vector<std::vector<std::string>> parts;
    size_t height = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      parts.push_back(wrapped(cells[i], std::max<size_t>(shape[i].width, 1)));
      height = std::max(height, parts.back().size());
    }
    for (size_t line_index = 0; line_index < height; ++line_index) {
      std::string line;
      for (size_t i = 0; i < shape.size(); ++i) {
        const bool there = line_index < parts[i].size();
        const std::string& text = there ? parts[i][line_index] : std::string();
        const std::string pad(shape[i].width - std::min(shape[i].width, columns(text)), ' ');
        if (i > 0) line += "  ";
        line += shape[i].numeric ? pad + text : text + pad;
      }
      while (!line.empty() && line.back() == ' ') line.pop_back();
      out_ += std::string(indent, ' ') + line + "\n";
    }
  }

  const size_t columns_;
  std::string out_;
};

}  // namespace

std::string heading(const std::string& key) {
  std::string name = clean(key);
  std::string qualifier;
  for (const std::string_view end : {"_max", "_min"}) {
    if (!name.ends_with(end)) continue;
    qualifier = end;
    name.resize(name.size() - end.size());
  }
  Unit best;
  for (const Unit& unit : units) {
    const size_t size = unit.ending.size();
    const bool ends = name.size() > size + 1 && name.ends_with(unit.ending) &&
                      name[name.size() - size - 1] == '_';
    if (ends && size > best.ending.size()) best = unit;
  }
  std::string unit_text;
  if (!best.ending.empty()) {
    unit_text = fmt::format(" ({})", best.text);
    name.resize(name.size() - best.ending.size() - 1);
  }
  name += qualifier;
  std::replace(name.begin(), name.end(), '_', ' ');
  return name + unit_text;
}

std::string to_text(const ops::Json& reply, size_t columns) {
  if (reply.is_null()) return {};
  if (is_nested(reply) && reply.empty()) return "none\n";
  if (reply.is_string()) {
    // Whole texts (a configuration, help) keep their lines.
    std::string out = reply.get<std::string>();
    std::erase_if(out, [](char c) { return (c >= 0 && c < 0x20 && c != '\n' && c != '\t'); });
    if (!out.empty() && out.back() != '\n') out += "\n";
    return out;
  }
  Renderer renderer(columns);
  renderer.put_value(reply, 0);
  return renderer.take();
}

}  // namespace chaincast::cli
