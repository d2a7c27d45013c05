// SPDX-License-Identifier: BSD-3-Clause
#include "metrics/metrics.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace chaincast::metrics {

namespace {

using ops::Json;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

std::string_view type_text(Type type) {
  switch (type) {
    case Type::counter:
      return "counter";
    case Type::gauge:
      return "gauge";
    case Type::info:
      return "info";
    case Type::unknown:
      return "unknown";
    case Type::histogram:
      return "histogram";
  }
  return "unknown";
}

std::string_view suffix_of(Type type) {
  if (type == Type::counter) return "_total";
  return type == Type::info ? "_info" : "";
}

// What stands in labels: texts as they are, anything else as JSON writes it.
std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::optional<std::string> value_of(const Metric& metric, const Json& value) {
  if (!metric.state.empty()) {
    return value.is_string() && value.get<std::string>() == metric.state ? "1" : "0";
  }
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (!value.is_number()) return std::nullopt;
  if (metric.scale == 1 && value.is_number_integer()) return value.dump();
  return fmt::format("{}", value.get<double>() * metric.scale);
}

std::string with_label(const std::string& labels, std::string_view name, std::string_view value) {
  return fmt::format("{}{}{}=\"{}\"", labels, labels.empty() ? "" : ",", name, escaped(value));
}

std::string labels_of(const Table& table, const Json& row) {
  std::string labels;
  for (const Label& label : table.labels) {
    const auto found = row.find(label.key);
    labels = with_label(labels, label.name, found == row.end() ? "" : text_of(*found));
  }
  return labels;
}

}  // namespace

void Page::add_sample(const Metric& metric, std::string_view suffix, const std::string& labels,
                      const std::string& value) {
  const std::string braced = labels.empty() ? "" : "{" + labels + "}";
  out_ += fmt::format("{}{}{}{} {}\n", prefix, metric.name, suffix, braced, value);
}

void Page::add_elements(const Metric& metric, const std::string& labels, const Json& values) {
  size_t count = 0;
  for (const auto& item : values.items()) {
    if (count++ == elements_max) return;
    if (const auto value = value_of(metric, item.value())) {
      add_sample(metric, suffix_of(metric.type), with_label(labels, metric.each, item.key()),
                 *value);
    }
  }
}

void Page::add_histogram(const Metric& metric, const std::string& labels, const Json& bounds,
                         const Json& value) {
  const Json& buckets = value.at("buckets");
  for (size_t i = 0; i < bounds.size() && i < buckets.size(); ++i) {
    const std::string bound = fmt::format("{}", bounds[i].get<double>() * metric.scale);
    add_sample(metric, "_bucket", with_label(labels, "le", bound), buckets[i].dump());
  }
  const std::string all = value.at("count").dump();
  add_sample(metric, "_bucket", with_label(labels, "le", "+Inf"), all);
  add_sample(metric, "_count", labels, all);
  add_sample(metric, "_sum", labels,
             fmt::format("{}", value.at("sum").get<double>() * metric.scale));
}

void Page::add_row(const Table& table, const Metric& metric, const Json& reply, const Json& row) {
  const std::string labels = labels_of(table, row);
  if (metric.type == Type::info) return add_sample(metric, "_info", labels, "1");
  const auto found = row.find(metric.key);
  if (found == row.end() || found->is_null()) return;
  if (metric.type == Type::histogram) {
    add_histogram(metric, labels, reply.at(table.bounds), *found);
  } else if (!metric.each.empty()) {
    add_elements(metric, labels, *found);
  } else if (const auto value = value_of(metric, *found)) {
    add_sample(metric, suffix_of(metric.type), labels, *value);
  }
}

void Page::add(const Table& table, const Json& reply) {
  const Json nothing = Json::array();
  const Json* rows = &reply;
  if (!table.rows.empty()) {
    const auto found = reply.find(table.rows);
    if (found == reply.end()) return;
    rows = &*found;
  }
  if (!table.only_while.empty() && !reply.value(std::string(table.only_while), false)) {
    rows = &nothing;
  }
  for (const Metric& metric : table.metrics) {
    out_ += fmt::format("# TYPE {}{} {}\n", prefix, metric.name, type_text(metric.type));
    if (!metric.unit.empty())
      out_ += fmt::format("# UNIT {}{} {}\n", prefix, metric.name, metric.unit);
    out_ += fmt::format("# HELP {}{} {}\n", prefix, metric.name, escaped(metric.help));
    if (rows->is_array()) {
      for (const Json& row : *rows) add_row(table, metric, reply, row);
    } else {
      add_row(table, metric, reply, *rows);
    }
  }
}

std::string Page::finish() {
  out_ += "# EOF\n";
  return std::exchange(out_, {});
}

}  // namespace chaincast::metrics
