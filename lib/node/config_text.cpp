// SPDX-License-Identifier: BSD-3-Clause
// Values to text: saving, the commented example, JSON, the reference of docs/configuration.md.
#include <fmt/format.h>

#include <algorithm>

#include "node/config_fields.hpp"

namespace chaincast::node {

namespace {

std::string toml_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string choice_name(unsigned value, std::span<const Choice> choices) {
  const auto found = std::find_if(choices.begin(), choices.end(),
                                  [&](const Choice& choice) { return choice.value == value; });
  CC_ASSERT(found != choices.end());
  return std::string(found->name);
}

std::string choice_list(std::span<const Choice> choices) {
  std::string out;
  for (const Choice& choice : choices) {
    out += (out.empty() ? "" : ", ") + std::string(choice.name);
  }
  return out;
}

// Turns every field into (key, kind, TOML value); what is done with it differs.
class Formatter : public FieldVisitor {
 public:
  bool text(const Key& key, std::string& value) override {
    return put(key, "text", value.empty() ? "" : toml_text(value));
  }
  bool path(const Key& key, std::string& value) override {
    return put(key, "file", value.empty() ? "" : toml_text(value));
  }
  bool flag(const Key& key, bool& value) override {
    return put(key, "true or false", value ? "true" : "false");
  }
  bool number64(const Key& key, std::optional<uint64_t>& value, const Range& range) override {
    return put(key, range_text(range), value ? std::to_string(*value) : "");
  }
  bool real(const Key& key, double& value) override {
    // TOML tells floats from integers by the point.
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return put(key, "0..1", text);
  }
  bool choose(const Key& key, unsigned& value, std::span<const Choice> choices) override {
    return put(key, choice_list(choices), toml_text(choice_name(value, choices)));
  }
  bool texts(const Key& key, std::vector<std::string>& value, size_t max) override {
    std::vector<std::string> items;
    for (const std::string& text : value) items.push_back(toml_text(text));
    return put(key, fmt::format("array of at most {} texts", max),
               items.empty() ? "" : fmt::format("[{}]", fmt::join(items, ", ")));
  }
  bool numbers(const Key& key, std::vector<unsigned>& value, const Range& range) override {
    return put(key, "array of " + range_text(range),
               value.empty() ? "" : fmt::format("[{}]", fmt::join(value, ", ")));
  }
  bool mixed(const Key& key, std::string& value) override {
    const bool number = !value.empty() && std::all_of(value.begin(), value.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
    return put(key, "text or number", number ? value : toml_text(value));
  }
  void problem(const Key&, const std::string&) override {}

 protected:
  // `value` is empty where the key is not set. Always false: nothing was read.
  virtual bool put(const Key& key, const std::string& kind, const std::string& value) = 0;
};

// TOML lines; with comments, every key is explained and those not set stand commented out.
class Writer final : public Formatter {
 public:
  explicit Writer(bool comments) : comments_(comments) {}

  void section(const std::string& header) { out_ += (out_.empty() ? "" : "\n") + header + "\n"; }
  void comment(const std::string& text) { out_ += "# " + text + "\n"; }
  void top(std::string_view key, uint64_t value) { out_ += fmt::format("{} = {}\n", key, value); }
  std::string take() { return std::move(out_); }

  bool enter(const Key& key, bool present) override {
    if (comments_) comment(std::string(key.help));
    if (!present) {
      if (comments_) comment(fmt::format("{} = {{ delay_ms = 20, loss = 0.01 }}", key.name));
      return false;
    }
    out_ += fmt::format("{} = {{", key.name);
    inline_ = true;
    first_ = true;
    return true;
  }
  void leave() override {
    out_ += " }\n";
    inline_ = false;
  }

 private:
  bool put(const Key& key, const std::string& kind, const std::string& value) override {
    if (inline_) {
      out_ += fmt::format("{} {} = {}", first_ ? "" : ",", key.name, value);
      first_ = false;
      return false;
    }
    if (comments_) comment(fmt::format("{} ({})", key.help, kind));
    if (!value.empty()) {
      out_ += fmt::format("{} = {}\n", key.name, value);
    } else if (comments_) {
      comment(fmt::format("{} = ...", key.name));
    }
    return false;
  }

  bool comments_;
  bool inline_ = false;
  bool first_ = true;
  std::string out_;
};

class JsonVisitor final : public FieldVisitor {
 public:
  ops::Json take() { return std::move(levels_.front()); }

  bool text(const Key& key, std::string& value) override {
    return put(key, value.empty() ? ops::Json{} : ops::Json(value));
  }
  bool path(const Key& key, std::string& value) override { return text(key, value); }
  bool flag(const Key& key, bool& value) override { return put(key, value); }
  bool number64(const Key& key, std::optional<uint64_t>& value, const Range&) override {
    return put(key, value ? ops::Json(*value) : ops::Json{});
  }
  bool real(const Key& key, double& value) override { return put(key, value); }
  bool choose(const Key& key, unsigned& value, std::span<const Choice> choices) override {
    return put(key, choice_name(value, choices));
  }
  bool texts(const Key& key, std::vector<std::string>& value, size_t) override {
    return put(key, value);
  }
  bool numbers(const Key& key, std::vector<unsigned>& value, const Range&) override {
    return put(key, value);
  }
  bool mixed(const Key& key, std::string& value) override { return put(key, value); }
  bool enter(const Key& key, bool present) override {
    if (!present) return put(key, ops::Json{});
    names_.emplace_back(key.name);
    levels_.push_back(ops::Json::object());
    return true;
  }
  void leave() override {
    ops::Json inner = std::move(levels_.back());
    levels_.pop_back();
    levels_.back()[names_.back()] = std::move(inner);
    names_.pop_back();
  }
  void problem(const Key&, const std::string&) override {}

 private:
  bool put(const Key& key, ops::Json value) {
    levels_.back()[std::string(key.name)] = std::move(value);
    return false;
  }

  std::vector<ops::Json> levels_ = {ops::Json::object()};
  std::vector<std::string> names_;
};

// What documents say of each key.
class Describer final : public Formatter {
 public:
  std::vector<KeyText> take() { return std::move(out_); }
  bool enter(const Key& key, bool) override {
    prefix_ = std::string(key.name) + ".";
    return true;
  }
  void leave() override { prefix_.clear(); }

 private:
  bool put(const Key& key, const std::string& kind, const std::string& value) override {
    out_.push_back({fmt::format("{}{}", prefix_, key.name), kind, key.required ? "" : value,
                    std::string(key.help), key.required});
    return false;
  }

  std::string prefix_;
  std::vector<KeyText> out_;
};

// Visitors may change what they visit, so writers get a copy.
template <typename Section>
ops::Json json_of(Section section) {
  JsonVisitor visitor;
  visit(visitor, section);
  return visitor.take();
}

template <typename Section>
void write(Writer& writer, const std::string& header, Section section) {
  writer.section(header);
  visit(writer, section);
}

void write_all(Writer& writer, const Config& config) {
  writer.top("version", config_version);
  write(writer, "[node]", config.node);
  for (const PortConfig& port : config.ports) write(writer, "[[port]]", port);
  for (const PeerConfig& peer : config.peers) write(writer, "[[peer]]", peer);
  for (const StreamConfig& stream : config.streams) write(writer, "[[stream]]", stream);
  write(writer, "[repair]", config.repair);
  write(writer, "[metrics]", config.metrics);
  write(writer, "[rest]", config.rest);
  write(writer, "[membership]", config.membership);
}

template <typename Section>
SectionText describe_section(const char* header) {
  Describer describer;
  Section section;
  visit(describer, section);
  return {header, describer.take()};
}

}  // namespace

ops::Json to_json(const Config& config) {
  ops::Json out;
  out["node"] = json_of(config.node);
  out["ports"] = ops::Json::array();
  for (const PortConfig& port : config.ports) out["ports"].push_back(json_of(port));
  out["peers"] = ops::Json::array();
  for (const PeerConfig& peer : config.peers) out["peers"].push_back(json_of(peer));
  out["streams"] = ops::Json::array();
  for (const StreamConfig& stream : config.streams) {
    ops::Json entry = json_of(stream);
    entry["payload_bytes"] = stream.payload_bytes;
    out["streams"].push_back(std::move(entry));
  }
  out["repair"] = json_of(config.repair);
  out["metrics"] = json_of(config.metrics);
  out["rest"] = json_of(config.rest);
  out["membership"] = json_of(config.membership);
  return out;
}

std::string save_config(const Config& config) {
  Writer writer(false);
  write_all(writer, config);
  return writer.take();
}

std::string example_config() {
  Config config;
  config.node.name = "a";
  config.node.key_file = "a.key";
  config.node.network = "my first network";
  PortConfig port;
  port.name = "lo";
  port.address = Endpoint{{127, 0, 0, 1}, 7001, false};
  config.ports.push_back(port);
  PeerConfig peer;
  peer.name = "b";
  peer.address = Endpoint{{127, 0, 0, 1}, 7101, false};
  peer.port = "lo";
  peer.secret_file = "a-b.secret";
  config.peers.push_back(peer);
  StreamConfig stream;
  stream.name = "news";
  stream.secret_file = "news.secret";
  stream.publish = true;
  config.streams.push_back(stream);
  Writer writer(true);
  writer.comment("chaincast node configuration: every key, with its default or an example value.");
  writer.comment(
      "Relative paths are relative to this file. Secrets and keys are files of mode 0600.");
  writer.comment("version: of this format; a file of a later version is refused.");
  write_all(writer, config);
  return writer.take();
}

std::vector<SectionText> describe_sections() {
  return {describe_section<NodeConfig>("[node]"),
          describe_section<PortConfig>("[[port]]"),
          describe_section<PeerConfig>("[[peer]]"),
          describe_section<StreamConfig>("[[stream]]"),
          describe_section<repair::RepairConfig>("[repair]"),
          describe_section<MetricsConfig>("[metrics]"),
          describe_section<RestConfig>("[rest]"),
          describe_section<MembershipConfig>("[membership]")};
}

std::string config_reference_markdown() {
  std::string out;
  for (const SectionText& section : describe_sections()) {
    out += fmt::format("\n### `{}`\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                       section.header);
    for (const KeyText& key : section.keys) {
      const std::string initial = key.required          ? "required"
                                  : key.initial.empty() ? ""
                                                        : "`" + key.initial + "`";
      out += fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.values, initial, key.help);
    }
  }
  return out;
}

}  // namespace chaincast::node
