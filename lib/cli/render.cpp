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

void put_cell(std::string& line, const Column& column, const std::string& text) {
  const std::string pad(column.width - std::min(column.width, columns(text)), ' ');
  if (!line.empty()) line += "  ";
  line += column.numeric ? pad + text : text + pad;
}

void end_line(std::string& out, std::string& line, size_t indent) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += std::string(indent, ' ') + line + "\n";
  line.clear();
}

void put_object(std::string& out, const Json& object, size_t indent);

void put_table(std::string& out, const Json& rows, const std::vector<Column>& shape,
               size_t indent) {
  std::string line;
  for (const Column& column : shape) put_cell(line, column, heading(column.key));
  end_line(out, line, indent);
  for (const Json& row : rows) {
    for (const Column& column : shape) {
      const auto cell = row.find(column.key);
      put_cell(line, column, cell == row.end() ? "-" : inline_text(*cell));
    }
    end_line(out, line, indent);
  }
}

void put_rows(std::string& out, const Json& rows, size_t indent) {
  const auto shape = columns_of(rows);
  size_t width = indent;
  bool holds_tables = false;
  for (const Column& column : shape) {
    width += column.width + 2;
    for (const Json& row : rows) {
      const auto cell = row.find(column.key);
      if (cell != row.end() && is_table(*cell)) holds_tables = true;
    }
  }
  if (width <= table_width_max && !holds_tables) return put_table(out, rows, shape, indent);
  bool first = true;
  for (const Json& row : rows) {
    if (!first) out += "\n";
    first = false;
    put_object(out, row, indent);
  }
}

void put_value(std::string& out, const Json& value, size_t indent) {
  if (value.is_object()) return put_object(out, value, indent);
  if (is_table(value)) return put_rows(out, value, indent);
  if (!value.is_array()) {
    out += std::string(indent, ' ') + scalar(value) + "\n";
    return;
  }
  for (const Json& element : value) put_value(out, element, indent);
}

void put_object(std::string& out, const Json& object, size_t indent) {
  size_t width = 0;
  for (const auto& item : object.items()) {
    if (fits_line(item.value())) width = std::max(width, columns(heading(item.key())));
  }
  for (const auto& item : object.items()) {
    const std::string head = std::string(indent, ' ') + heading(item.key()) + ":";
    const Json& value = item.value();
    if (!fits_line(value)) {
      out += head + "\n";
      put_value(out, value, indent + indent_step);
      continue;
    }
    const std::string text = is_nested(value) && value.empty() ? "none" : inline_text(value);
    const size_t used = columns(head);
    const size_t column = indent + width + 2;
    out += head + std::string(used < column ? column - used : 1, ' ') + text + "\n";
  }
}

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

std::string to_text(const ops::Json& reply) {
  if (reply.is_null()) return {};
  if (is_nested(reply) && reply.empty()) return "none\n";
  if (reply.is_string()) {
    // Whole texts (a configuration, help) keep their lines.
    std::string out = reply.get<std::string>();
    std::erase_if(out, [](char c) { return (c >= 0 && c < 0x20 && c != '\n' && c != '\t'); });
    if (!out.empty() && out.back() != '\n') out += "\n";
    return out;
  }
  std::string out;
  put_value(out, reply, 0);
  return out;
}

}  // namespace chaincast::cli
