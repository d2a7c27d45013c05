// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "node/config.hpp"

// Every key of the configuration, once. A visitor walks the fields of a section; reading a file,
// saving it, showing it as JSON and documenting it are four visitors, so none can forget a key.
// Private to node/config*.cpp.
namespace chaincast::node {

struct Key {
  std::string_view name;
  std::string_view help;  // one line, units included
  bool required = false;
};

struct Range {
  uint64_t min = 0;
  uint64_t max = 0;
  std::string_view unit = "";
};

struct Choice {
  std::string_view name;
  unsigned value;
};

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  // Each gets the present value and may replace it. They return true if the value was given.
  virtual bool text(const Key& key, std::string& value) = 0;
  virtual bool path(const Key& key, std::string& value) = 0;
  virtual bool flag(const Key& key, bool& value) = 0;
  virtual bool number64(const Key& key, std::optional<uint64_t>& value, const Range& range) = 0;
  virtual bool real(const Key& key, double& value) = 0;  // 0..1
  virtual bool choose(const Key& key, unsigned& value, std::span<const Choice> choices) = 0;
  virtual bool texts(const Key& key, std::vector<std::string>& value, size_t max) = 0;
  virtual bool numbers(const Key& key, std::vector<unsigned>& value, const Range& range) = 0;
  // A text that may also be written as a bare number.
  virtual bool mixed(const Key& key, std::string& value) = 0;
  // An inline table; fields follow until leave() if it returns true.
  virtual bool enter(const Key& key, bool present) = 0;
  virtual void leave() = 0;
  // What is wrong with the value that `key` was just given.
  virtual void problem(const Key& key, const std::string& message) = 0;

  template <typename T>
  bool number(const Key& key, T& value, const Range& range) {
    std::optional<uint64_t> wide = value;
    const bool given = number64(key, wide, range);
    if (given) value = static_cast<T>(*wide);
    return given;
  }
  template <typename T>
  bool number(const Key& key, std::optional<T>& value, const Range& range) {
    std::optional<uint64_t> wide = value;
    const bool given = number64(key, wide, range);
    if (given) value = static_cast<T>(*wide);
    return given;
  }
  // Held in nanoseconds, written in milliseconds.
  bool milliseconds(const Key& key, TimeNs& value, const Range& range) {
    uint64_t ms = value / ns_per_ms;
    const bool given = number(key, ms, range);
    if (given) value = ms * ns_per_ms;
    return given;
  }
  template <typename Enum>
  bool choice(const Key& key, Enum& value, std::span<const Choice> choices) {
    auto index = static_cast<unsigned>(value);
    const bool given = choose(key, index, choices);
    if (given) value = static_cast<Enum>(index);
    return given;
  }
};

void visit(FieldVisitor& visitor, NodeConfig& node);
void visit(FieldVisitor& visitor, PortConfig& port);
void visit(FieldVisitor& visitor, PeerConfig& peer);
void visit(FieldVisitor& visitor, StreamConfig& stream);
void visit(FieldVisitor& visitor, repair::RepairConfig& repair);
void visit(FieldVisitor& visitor, MetricsConfig& metrics);
void visit(FieldVisitor& visitor, RestConfig& rest);
void visit(FieldVisitor& visitor, MembershipConfig& membership);

// A key as documents have it.
struct KeyText {
  std::string name;     // with its table's in front: "link.delay_ms"
  std::string values;   // "1..16 threads", "true or false", ...
  std::string initial;  // TOML; empty where it has no default
  std::string help;
  bool required = false;
};
struct SectionText {
  std::string header;  // "[[peer]]"
  std::vector<KeyText> keys;
};
std::vector<SectionText> describe_sections();

// "1..16 threads".
std::string range_text(const Range& range);
// FieldVisitor::choose() for visitors that read: takes the name as a text; the problem that
// `visitor` is told of names all choices.
bool choose_by_name(FieldVisitor& visitor, const Key& key, unsigned& value,
                    std::span<const Choice> choices);
// What every text of a configuration has to be, and the words for one that is not.
bool is_clean_text(const std::string& text);
std::string clean_text_rule();

std::string rate_text(uint64_t bits_per_s);
// "default", "lan", "jumbo" or a number of bytes.
Result<uint16_t> parse_payload(const std::string& text, bool has_ipv6);

}  // namespace chaincast::node
