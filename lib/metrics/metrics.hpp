// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ops/ops.hpp"

// Replies of `show` as OpenMetrics text. A table says which numbers of a reply are metrics and what
// they are called; the numbers are those that the command shows, so that the two cannot differ.
// Pure; any thread; linear in the reply's size.
namespace chaincast::metrics {

inline constexpr std::string_view prefix = "chaincast_";
inline constexpr std::string_view content_type =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

enum class Type : uint8_t {
  counter,  // only grows, but for a restart and `clear`
  gauge,
  info,       // always 1: its labels are what it says
  unknown,    // of a device, which does not say whether it only grows
  histogram,  // {"buckets": [how many up to each bound], "count": all, "sum": of the values}
};

// Samples of one metric in one row that has many; what is beyond is left out.
inline constexpr size_t elements_max = 256;

// One key of a reply's rows. A row in which the key is absent or null has no sample.
struct Metric {
  std::string_view key;  // info: unused
  Type type = Type::counter;
  std::string_view name;  // without the prefix and `_total`; ends in the unit where there is one
  std::string_view unit;  // a base unit, "bytes" or "seconds", or empty
  std::string_view help;
  double scale = 1;             // from what is shown to the unit
  std::string_view state = "";  // not empty: 1 where the key's text is this, else 0
  // Not empty: the key holds numbers by index or name, which this label takes: a sample each.
  std::string_view each = "";
};

struct Label {
  std::string_view name;
  std::string_view key;  // of the row
};

// What one command shows.
struct Table {
  std::string_view command;
  std::string_view rows;  // key of the rows, an array, or of the only row; empty: the reply is it
  std::span<const Label> labels;  // tell rows apart; an absent key is an empty label
  std::span<const Metric> metrics;
  std::string_view only_while = "";  // key of the reply; where it is not true nothing has samples
  std::string_view bounds = "";      // key of the reply: upper bounds of histograms, scaled as they
};

// A page in the making: add(...) for each table, each once, then finish().
class Page {
 public:
  void add(const Table& table, const ops::Json& reply);
  std::string finish();

 private:
  void add_row(const Table& table, const Metric& metric, const ops::Json& reply,
               const ops::Json& row);
  void add_elements(const Metric& metric, const std::string& labels, const ops::Json& values);
  void add_histogram(const Metric& metric, const std::string& labels, const ops::Json& bounds,
                     const ops::Json& value);
  void add_sample(const Metric& metric, std::string_view suffix, const std::string& labels,
                  const std::string& value);

  std::string out_;
};

}  // namespace chaincast::metrics
