// SPDX-License-Identifier: BSD-3-Clause
// Arguments of commands to values.
#include "node/config_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "node/config_fields.hpp"

namespace chaincast::node {

namespace {

using ops::Argument;
using ops::ArgumentType;

template <typename Section>
struct Kind;
template <>
struct Kind<PortConfig> {
  static constexpr std::string_view name = "port";
  static constexpr auto list = &Config::ports;
  static constexpr size_t max = ports_max;
};
template <>
struct Kind<PeerConfig> {
  static constexpr std::string_view name = "peer";
  static constexpr auto list = &Config::peers;
  static constexpr size_t max = peers_max;
};
template <>
struct Kind<StreamConfig> {
  static constexpr std::string_view name = "stream";
  static constexpr auto list = &Config::streams;
  static constexpr size_t max = streams_max;
};

// Fields to arguments. Nothing is ever given.
class Lister final : public FieldVisitor {
 public:
  std::vector<Argument> take() { return std::move(out_); }

  bool text(const Key& key, std::string&) override { return add(key, ArgumentType::word); }
  bool path(const Key& key, std::string&) override { return add(key, ArgumentType::file); }
  bool mixed(const Key& key, std::string&) override { return add(key, ArgumentType::word); }
  bool flag(const Key& key, bool&) override {
    add(key, ArgumentType::choice);
    out_.back().choices = {"on", "off"};
    return false;
  }
  bool number64(const Key& key, std::optional<uint64_t>&, const Range& range) override {
    add(key, ArgumentType::number);
    out_.back().min = range.min;
    out_.back().max = range.max;
    out_.back().unit = range.unit;
    return false;
  }
  bool choose(const Key& key, unsigned&, std::span<const Choice> choices) override {
    add(key, ArgumentType::choice);
    for (const Choice& choice : choices) out_.back().choices.emplace_back(choice.name);
    return false;
  }
  bool texts(const Key& key, std::vector<std::string>&, size_t) override {
    add(key, ArgumentType::word);
    out_.back().help += " (with commas between)";
    return false;
  }
  bool real(const Key&, double&) override { return false; }  // in tables only
  bool numbers(const Key&, std::vector<unsigned>&, const Range&) override { return false; }
  bool enter(const Key&, bool) override { return false; }
  void leave() override {}
  void problem(const Key&, const std::string&) override {}

 private:
  bool add(const Key& key, ArgumentType type) {
    Argument made = ops::argument(std::string(key.name), type, std::string(key.help));
    out_.push_back(key.required ? made : ops::optional(std::move(made)));
    return false;
  }

  std::vector<Argument> out_;
};

// Arguments to fields. The operations table has looked at ranges and choices; whoever comes another
// way is told here.
class ArgumentReader final : public FieldVisitor {
 public:
  explicit ArgumentReader(const ops::Arguments& arguments) : arguments_(arguments) {}
  const std::string& problems() const { return problems_; }

  bool text(const Key& key, std::string& value) override {
    const std::string name(key.name);
    if (!arguments_.has(name)) {
      if (key.required) problem(key, fmt::format("is missing; give it: {}", key.help));
      return false;
    }
    const std::string given = arguments_.text(name);
    if (!is_clean_text(given)) {
      problem(key, clean_text_rule());
      return false;
    }
    value = given;
    return true;
  }
  bool path(const Key& key, std::string& value) override {
    if (!text(key, value)) return false;
    // A configuration saved elsewhere must still find it.
    std::error_code code;
    const auto absolute = std::filesystem::absolute(value, code);
    if (!code) value = absolute.lexically_normal().string();
    return true;
  }
  bool mixed(const Key& key, std::string& value) override { return text(key, value); }
  bool flag(const Key& key, bool& value) override {
    std::string given;
    if (!text(key, given)) return false;
    if (given != "on" && given != "off") problem(key, fmt::format("'{}' must be on or off", given));
    value = given == "on";
    return true;
  }
  bool number64(const Key& key, std::optional<uint64_t>& value, const Range& range) override {
    std::string given;
    if (!text(key, given)) return false;
    uint64_t number = 0;
    const char* end = given.data() + given.size();
    const auto [stop, code] = std::from_chars(given.data(), end, number);
    if (code != std::errc() || stop != end || number < range.min || number > range.max) {
      problem(key, fmt::format("'{}' must be {}", given, range_text(range)));
      return false;
    }
    value = number;
    return true;
  }
  bool choose(const Key& key, unsigned& value, std::span<const Choice> choices) override {
    return choose_by_name(*this, key, value, choices);
  }
  bool texts(const Key& key, std::vector<std::string>& value, size_t max) override {
    std::string given;
    if (!text(key, given)) return false;
    value.clear();
    for (size_t start = 0; start <= given.size();) {
      const size_t end = std::min(given.find(',', start), given.size());
      const std::string part = given.substr(start, end - start);
      // Device strings have commas of their own: net_af_packet0,iface=eth1.
      if (!value.empty() && part.find('=') != std::string::npos) {
        value.back() += "," + part;
      } else {
        value.push_back(part);
      }
      start = end + 1;
    }
    if (value.size() > max) {
      problem(key, fmt::format("has {} entries; at most {} are taken", value.size(), max));
    }
    return true;
  }
  bool real(const Key&, double&) override { return false; }  // in tables only
  bool numbers(const Key&, std::vector<unsigned>&, const Range&) override { return false; }
  bool enter(const Key&, bool) override { return false; }
  void leave() override {}
  void problem(const Key& key, const std::string& message) override {
    problems_ += fmt::format("{}{}: {}", problems_.empty() ? "" : "\n", key.name, message);
  }

 private:
  const ops::Arguments& arguments_;
  std::string problems_;
};

}  // namespace

template <typename Section>
std::vector<Argument> section_arguments(std::initializer_list<std::string_view> positional) {
  Lister lister;
  Section section;
  visit(lister, section);
  std::vector<Argument> out = lister.take();
  for (Argument& argument : out) {
    const bool is_positional =
        std::find(positional.begin(), positional.end(), argument.name) != positional.end();
    if (!is_positional) argument = ops::keyed(std::move(argument));
  }
  const auto rank = [&](const Argument& argument) {
    return std::find(positional.begin(), positional.end(), argument.name) - positional.begin();
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const Argument& a, const Argument& b) { return rank(a) < rank(b); });
  return out;
}

template <typename Section>
Result<Section> read_section(const ops::Arguments& arguments) {
  Section section;
  ArgumentReader reader(arguments);
  visit(reader, section);
  if (!reader.problems().empty()) return error(ErrorCode::invalid, reader.problems());
  return section;
}

template <typename Section>
Result<Section> admit(Section section, const Config& running) {
  using Of = Kind<Section>;
  Config candidate = running;
  auto& list = candidate.*Of::list;
  if (list.size() >= Of::max) {
    return error(ErrorCode::refused, fmt::format("{} {}: there are {} already; remove one first",
                                                 Of::name, section.name, Of::max));
  }
  list.push_back(std::move(section));
  std::vector<Problem> problems = resolve_config(candidate);
  if (problems.empty()) problems = check_config(candidate);
  std::string text;
  for (const Problem& problem : problems) {
    if (problem.section != Of::name || problem.index + 1 != list.size()) continue;
    text += fmt::format("{}{} {}: {}: {}", text.empty() ? "" : "\n", Of::name, list.back().name,
                        problem.key, problem.message);
  }
  if (!text.empty()) return error(ErrorCode::invalid, text);
  return std::move(list.back());
}

template std::vector<Argument> section_arguments<PortConfig>(
    std::initializer_list<std::string_view>);
template std::vector<Argument> section_arguments<PeerConfig>(
    std::initializer_list<std::string_view>);
template std::vector<Argument> section_arguments<StreamConfig>(
    std::initializer_list<std::string_view>);
template Result<PortConfig> read_section(const ops::Arguments&);
template Result<PeerConfig> read_section(const ops::Arguments&);
template Result<StreamConfig> read_section(const ops::Arguments&);
template Result<PortConfig> admit(PortConfig, const Config&);
template Result<PeerConfig> admit(PeerConfig, const Config&);
template Result<StreamConfig> admit(StreamConfig, const Config&);

}  // namespace chaincast::node
