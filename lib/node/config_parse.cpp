// SPDX-License-Identifier: BSD-3-Clause
// TOML to values. Every problem is collected with its line, so that one run names them all.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// toml++ 3.3 asserts that a table header starts with a key character, "[=]" breaks that, and its
// own error message stands right behind. Without assertions, and without NDEBUG, which would turn
// them into assumptions for the optimiser, that message is what the user gets.
#ifdef NDEBUG
#error "toml++ would assume what a malformed file can break"
#endif
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "node/config_fields.hpp"
#include "ops/nearest.hpp"

namespace chaincast::node {

namespace {

constexpr size_t problems_max = 20;

const char* type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

// How often text[i] stands there in a row, counted up to 5.
size_t run_at(std::string_view text, size_t i) {
  const std::string_view rest = text.substr(i, 5);
  return std::min(rest.find_first_not_of(rest.front()), rest.size());
}

// The line of the first character that TOML allows in quotes and comments only: anything but
// ASCII, and control characters. toml++ 3.3 has undefined behaviour on some of them elsewhere.
std::optional<uint32_t> misplaced_character(std::string_view text) {
  uint32_t line = 1;
  char quote = 0;  // of the text we are in
  bool triple = false;
  bool comment = false;
  for (size_t i = text.starts_with("\xef\xbb\xbf") ? 3 : 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool quotes = c == '"' || c == '\'';
    if (c == '\n') {
      ++line;
      comment = false;
      if (!triple) quote = 0;
    } else if (comment) {
      continue;
    } else if (quote == '"' && c == '\\') {
      if (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (quote != 0) {
      const size_t run = c == quote ? run_at(text, i) : 0;
      if (run < (triple ? 3 : 1)) continue;
      // A closing triple may have up to two quotes of the text in front of it.
      if (triple) i += run - 1;
      quote = 0;
      triple = false;
    } else if (quotes) {
      const size_t run = run_at(text, i);
      triple = run >= 3;
      quote = run == 2 ? '\0' : c;
      i += triple ? 2 : run - 1;
    } else if (c == '#') {
      comment = true;
    } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
      return line;
    }
  }
  return std::nullopt;
}

uint32_t line_of(const toml::node& node) {
  return node.source().begin.line;
}

// Problems of one file, in order of line.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  void add(uint32_t line, const std::string& message) {
    if (lines_.size() < problems_max) lines_.emplace(line, message);
  }
  bool empty() const { return lines_.empty(); }
  Error error() const {
    std::string out;
    for (const auto& [line, message] : lines_) {
      if (!out.empty()) out += "\n";
      out += fmt::format("{}:{}: {}", file_, line, message);
    }
    return chaincast::error(ErrorCode::invalid, out);
  }

 private:
  std::string file_;
  std::multimap<uint32_t, std::string> lines_;
};

// Reads the fields of one section out of its table; finish() refuses the keys nobody asked for.
class Reader final : public FieldVisitor {
 public:
  Reader(Problems& problems, const toml::table& table, std::string where, std::string directory)
      : problems_(problems), where_(std::move(where)), directory_(std::move(directory)) {
    levels_.push_back({&table, {}, ""});
  }

  bool text(const Key& key, std::string& value) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    const auto* given = node->as_string();
    if (given == nullptr) return wrong(key, *node, "a text in \"quotes\"");
    return keep_text(key, *node, given->get(), value);
  }

  bool path(const Key& key, std::string& value) override {
    if (!text(key, value)) return false;
    const std::filesystem::path given(value);
    if (given.is_relative() && !directory_.empty()) {
      value = (std::filesystem::path(directory_) / given).lexically_normal().string();
    }
    return true;
  }

  bool flag(const Key& key, bool& value) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    const auto* given = node->as_boolean();
    if (given == nullptr) return wrong(key, *node, "true or false");
    value = given->get();
    return true;
  }

  bool number64(const Key& key, std::optional<uint64_t>& value, const Range& range) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    return read_number(key, *node, value.emplace(), range);
  }

  bool real(const Key& key, double& value) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    const auto given = node->value<double>();
    // Written so that NaN is refused.
    if (!node->is_number() || !given || !(*given >= 0 && *given <= 1)) {
      return wrong(key, *node, "a probability, 0..1");
    }
    value = *given;
    return true;
  }

  bool choose(const Key& key, unsigned& value, std::span<const Choice> choices) override {
    return choose_by_name(*this, key, value, choices);
  }

  bool texts(const Key& key, std::vector<std::string>& value, size_t max) override {
    const toml::array* array = find_array(key, "an array of texts, [\"...\"]", max);
    if (array == nullptr) return false;
    value.clear();
    for (const toml::node& element : *array) {
      const auto* given = element.as_string();
      if (given == nullptr) return wrong(key, element, "texts only");
      std::string one;
      if (!keep_text(key, element, given->get(), one)) return false;
      value.push_back(std::move(one));
    }
    return true;
  }

  bool numbers(const Key& key, std::vector<unsigned>& value, const Range& range) override {
    const toml::array* array = find_array(key, "an array of whole numbers, [1, 2]", 1024);
    if (array == nullptr) return false;
    value.clear();
    for (const toml::node& element : *array) {
      uint64_t one = 0;
      if (!read_number(key, element, one, range)) return false;
      value.push_back(static_cast<unsigned>(one));
    }
    return true;
  }

  bool mixed(const Key& key, std::string& value) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    if (const auto* number = node->as_integer()) {
      value = std::to_string(number->get());
      return true;
    }
    const auto* given = node->as_string();
    if (given == nullptr) return wrong(key, *node, "a text or a whole number");
    return keep_text(key, *node, given->get(), value);
  }

  bool enter(const Key& key, bool) override {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    if (!node->is_table()) return wrong(key, *node, "a table, { key = value, ... }");
    levels_.push_back({node->as_table(), {}, std::string(key.name) + "."});
    return true;
  }

  void leave() override {
    refuse_unknown();
    levels_.pop_back();
  }

  void problem(const Key& key, const std::string& message) override {
    const toml::node* node = levels_.back().table->get(key.name);
    report(node != nullptr ? line_of(*node) : line_of(*levels_.back().table), key.name, message);
  }

  void finish() { refuse_unknown(); }

 private:
  struct Level {
    const toml::table* table;
    std::vector<std::string> known;
    std::string prefix;
  };

  void report(uint32_t line, std::string_view key, const std::string& message) {
    problems_.add(line, fmt::format("{} {}{}: {}", where_, levels_.back().prefix, key, message));
  }

  bool wrong(const Key& key, const toml::node& node, const std::string& expected) {
    report(line_of(node), key.name, fmt::format("is {}; it must be {}", type_text(node), expected));
    return false;
  }

  const toml::node* find(const Key& key) {
    Level& level = levels_.back();
    level.known.emplace_back(key.name);
    const toml::node* node = level.table->get(key.name);
    if (node == nullptr && key.required) {
      report(line_of(*level.table), key.name, fmt::format("is missing; set it: {}", key.help));
    }
    return node;
  }

  const toml::array* find_array(const Key& key, const char* expected, size_t max) {
    const toml::node* node = find(key);
    if (node == nullptr) return nullptr;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      wrong(key, *node, expected);
    } else if (array->size() > max) {
      problem(key, fmt::format("has {} entries; at most {} are taken", array->size(), max));
      return nullptr;
    }
    return array;
  }

  bool keep_text(const Key& key, const toml::node& node, const std::string& given,
                 std::string& value) {
    if (!is_clean_text(given)) {
      report(line_of(node), key.name, clean_text_rule());
      return false;
    }
    value = given;
    return true;
  }

  bool read_number(const Key& key, const toml::node& node, uint64_t& value, const Range& range) {
    const std::string allowed = range_text(range);
    const auto* given = node.as_integer();
    if (given == nullptr) return wrong(key, node, "a whole number, " + allowed);
    const int64_t number = given->get();
    const bool fits = number >= 0 && static_cast<uint64_t>(number) >= range.min &&
                      static_cast<uint64_t>(number) <= range.max;
    if (!fits) {
      report(line_of(node), key.name, fmt::format("{} must be {}", number, allowed));
      return false;
    }
    value = static_cast<uint64_t>(number);
    return true;
  }

  void refuse_unknown() {
    const Level& level = levels_.back();
    for (const auto& [name, node] : *level.table) {
      const std::string text(name.str());
      if (std::find(level.known.begin(), level.known.end(), text) != level.known.end()) continue;
      report(name.source().begin.line, text, "unknown key" + ops::suggestion(text, level.known));
    }
  }

  Problems& problems_;
  std::string where_;
  std::string directory_;
  std::vector<Level> levels_;
};

class Parser {
 public:
  Parser(const std::string& name, std::string directory)
      : problems_(name), directory_(std::move(directory)) {
    config_.file = name;
  }

  Result<Config> run(const toml::table& root) {
    if (!check_version(root)) return problems_.error();
    refuse_unknown(root);
    read_one(root, "node", config_.node, true);
    read_all(root, "port", config_.ports, ports_max);
    read_all(root, "peer", config_.peers, peers_max);
    read_all(root, "stream", config_.streams, streams_max);
    read_one(root, "repair", config_.repair, false);
    read_one(root, "metrics", config_.metrics, false);
    read_one(root, "rest", config_.rest, false);
    read_one(root, "membership", config_.membership, false);
    // Relations only make sense between values that were understood.
    if (!problems_.empty()) return problems_.error();
    if (config_.node.socket.empty()) {
      config_.node.socket = default_socket(config_.node.name, directory_);
    }
    report(root, resolve_config(config_));
    report(root, check_config(config_));
    if (!problems_.empty()) return problems_.error();
    return std::move(config_);
  }

 private:
  // What a later version means is not guessed at, so it is the only problem then.
  bool check_version(const toml::table& root) {
    const toml::node* node = root.get("version");
    if (node == nullptr) return true;
    const auto* given = node->as_integer();
    if (given != nullptr && given->get() == static_cast<int64_t>(config_version)) return true;
    const bool is_later = given != nullptr && given->get() > static_cast<int64_t>(config_version);
    problems_.add(
        line_of(*node),
        is_later ? fmt::format("version: {} is later than {}, which this chaincast ({}) reads; "
                               "upgrade chaincast, or write the file anew for version {}",
                               given->get(), config_version, CHAINCAST_VERSION, config_version)
                 : fmt::format("version: must be {}, a whole number; correct it or leave it out",
                               config_version));
    return false;
  }

  void refuse_unknown(const toml::table& root) {
    const std::vector<std::string> known = {"version", "node",    "port", "peer",      "stream",
                                            "repair",  "metrics", "rest", "membership"};
    for (const auto& [name, node] : root) {
      const std::string text(name.str());
      if (std::find(known.begin(), known.end(), text) != known.end()) continue;
      problems_.add(name.source().begin.line, fmt::format("unknown section or key '{}'{}", text,
                                                          ops::suggestion(text, known)));
    }
  }

  template <typename Section>
  void read_one(const toml::table& root, std::string_view name, Section& section, bool required) {
    const toml::node* node = root.get(name);
    if (node == nullptr) {
      if (required) problems_.add(1, fmt::format("section [{}] is missing; add it", name));
      return;
    }
    if (!node->is_table()) {
      problems_.add(line_of(*node), fmt::format("'{}' must be a section, [{}]", name, name));
      return;
    }
    Reader reader(problems_, *node->as_table(), fmt::format("[{}]", name), directory_);
    visit(reader, section);
    reader.finish();
  }

  template <typename Section>
  void read_all(const toml::table& root, std::string_view name, std::vector<Section>& sections,
                size_t max) {
    const toml::node* node = root.get(name);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr || !std::all_of(array->begin(), array->end(),
                                         [](const toml::node& e) { return e.is_table(); })) {
      problems_.add(line_of(*node), fmt::format("write [[{}]], in double brackets, once for each "
                                                "{}",
                                                name, name));
      return;
    }
    if (array->size() > max) {
      problems_.add(line_of(*node), fmt::format("{} [[{}]] sections; at most {} are taken",
                                                array->size(), name, max));
      return;
    }
    for (size_t i = 0; i < array->size(); ++i) {
      Reader reader(problems_, *array->get(i)->as_table(), title(root, name, i), directory_);
      visit(reader, sections.emplace_back());
      reader.finish();
    }
  }

  // "[[peer]] 'b'", or by number where the name is not readable.
  static std::string title(const toml::table& root, std::string_view section, size_t index) {
    const toml::array& array = *root.get(section)->as_array();
    const auto name = (*array.get(index)->as_table())["name"].value<std::string>();
    return name ? fmt::format("[[{}]] '{}'", section, *name)
                : fmt::format("[[{}]] {}", section, index + 1);
  }

  // Of the key, or of its section's header where the key is not written.
  static uint32_t line_at(const toml::table& root, const Problem& problem) {
    const toml::node* section = root.get(problem.section);
    if (section == nullptr) return 1;
    if (const toml::array* array = section->as_array()) section = array->get(problem.index);
    const toml::node* value = section->as_table()->get(problem.key);
    return line_of(value != nullptr ? *value : *section);
  }

  void report(const toml::table& root, const std::vector<Problem>& problems) {
    for (const Problem& problem : problems) {
      const toml::node* section = root.get(problem.section);
      const std::string where = section != nullptr && section->is_array()
                                    ? title(root, problem.section, problem.index)
                                    : fmt::format("[{}]", problem.section);
      problems_.add(line_at(root, problem),
                    fmt::format("{} {}: {}", where, problem.key, problem.message));
    }
  }

  Problems problems_;
  std::string directory_;
  Config config_;
};

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& name,
                            const std::string& directory) {
  if (text.size() > config_bytes_max) {
    return error(ErrorCode::refused, fmt::format("{}: {} bytes; a configuration has at most {}",
                                                 name, text.size(), config_bytes_max));
  }
  if (const auto line = misplaced_character(text)) {
    return error(ErrorCode::invalid,
                 fmt::format("{}:{}: not TOML: a character outside ASCII, or a control character, "
                             "outside of quotes; put it in quotes or remove it",
                             name, *line));
  }
  const toml::parse_result parsed = toml::parse(text, std::string_view(name));
  if (!parsed) {
    const toml::parse_error& failure = parsed.error();
    return error(ErrorCode::invalid,
                 fmt::format("{}:{}: not TOML: {}; correct the syntax (column {})", name,
                             failure.source().begin.line, failure.description(),
                             failure.source().begin.column));
  }
  return Parser(name, directory).run(parsed.table());
}

Result<Config> load_config(const std::string& path) {
  const auto failed = [&](const char* why) {
    return error(ErrorCode::io,
                 fmt::format("configuration {}: {}; check the path and its mode", path, why));
  };
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return failed(std::strerror(errno));
  std::string text(config_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed("cannot be read");
  std::error_code code;
  const auto absolute = std::filesystem::absolute(path, code);
  if (code) return failed(code.message().c_str());
  return parse_config(text, path, absolute.lexically_normal().parent_path().string());
}

}  // namespace chaincast::node
