// SPDX-License-Identifier: BSD-3-Clause
// chaincastctl: commands, publishing and subscribing through a node's control socket.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "cli/render.hpp"
#include "cli/session.hpp"
#include "console/terminal/watch.hpp"
#include "ctl.hpp"
#include "usage.hpp"

namespace chaincast::ctl {

namespace {

int wrong_usage(const std::string& problem) {
  fmt::print(stderr, "error: {}\n\n{}", problem, usage_text());
  return exit_usage;
}

// Positional words and `--option value` pairs of one command.
class Words {
 public:
  explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}

  std::string next() {
    if (words_.empty()) return {};
    std::string out = std::move(words_.front());
    words_.erase(words_.begin());
    return out;
  }
  bool flag(const std::string& name) { return take(name, false).has_value(); }
  std::string value(const std::string& name) { return take(name, true).value_or(""); }
  uint64_t number(const std::string& name) {
    const auto text = take(name, true);
    uint64_t out = 0;
    if (!text) return 0;
    const char* end = text->data() + text->size();
    const auto [stop, code] = std::from_chars(text->data(), end, out);
    if (code != std::errc() || stop != end || out == 0) {
      problem_ = fmt::format("{} {}: must be a whole number from 1", name, *text);
    }
    return out;
  }
  // What was wrong, or words nobody took.
  std::string problem() const {
    if (!problem_.empty()) return problem_;
    return words_.empty() ? "" : fmt::format("unexpected '{}'", words_.front());
  }

 private:
  std::optional<std::string> take(const std::string& name, bool has_value) {
    for (size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] != name) continue;
      const auto at = words_.begin() + static_cast<ptrdiff_t>(i);
      if (has_value && i + 1 == words_.size()) {
        problem_ = fmt::format("{} needs a value", name);
        words_.erase(at);
        return std::nullopt;
      }
      std::string out = has_value ? words_[i + 1] : "";
      words_.erase(at, at + (has_value ? 2 : 1));
      return out;
    }
    return std::nullopt;
  }

  std::vector<std::string> words_;
  std::string problem_;
};

int run_publish(console::Client& client, Words words, bool json) {
  PublishOptions options;
  options.json = words.flag("--json") || json;
  options.object_bytes = words.number("--object-bytes");
  options.stream = words.next();
  options.file = words.next();
  if (!words.problem().empty()) return wrong_usage("publish: " + words.problem());
  if (options.file.empty()) return wrong_usage("publish: STREAM and FILE are needed");
  return publish(client, options);
}

int run_subscribe(console::Client& client, Words words, bool json) {
  SubscribeOptions options;
  options.json = words.flag("--json") || json;
  options.output = words.value("--output");
  options.raw = words.flag("--raw");
  options.ring = words.flag("--ring");
  options.count = words.number("--count");
  options.bytes = words.number("--bytes");
  options.timeout_s = static_cast<double>(words.number("--timeout"));
  options.stream = words.next();
  if (!words.problem().empty()) return wrong_usage("subscribe: " + words.problem());
  if (options.stream.empty()) return wrong_usage("subscribe: STREAM is needed");
  return subscribe(client, options);
}

int run_status(console::Client& client, bool json) {
  const auto status = client.status();
  if (!status) return report(status.error());
  fmt::print("{}", json ? status->dump() + "\n" : cli::to_text(*status));
  return exit_ok;
}

// The shell took the quotes away; words with blanks need them again.
std::string quoted_word(const std::string& word) {
  if (!word.empty() && word.find_first_of(" \t\"") == std::string::npos) return word;
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string line_of(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + quoted_word(word);
  return line;
}

int run_command(console::Client& client, const std::string& line, bool json) {
  const size_t columns = console::size_of(STDOUT_FILENO).columns;
  // For a terminal the reply is laid out here, where its width is known.
  const bool fits = columns > 0 && !json && !line.ends_with(" json") && !line.ends_with(" --json");
  const auto reply =
      client.command(line, json || fits, console::Client::reply_timeout_ms, /*detached=*/true);
  if (!reply) return report(reply.error());
  const std::string text =
      fits ? cli::render(cli::parse_reply(reply->text), cli::Format::text, columns).output
           : reply->text;
  // JSON goes to stdout whatever it says: one document per command.
  const bool is_document = !fits && !text.empty() && text.front() == '{';
  std::fputs(text.c_str(), reply->exit_code == 0 || is_document ? stdout : stderr);
  return reply->exit_code == 0 ? exit_ok : exit_failed;
}

std::string default_path() {
  const char* given = std::getenv("CHAINCAST_SOCKET");
  return given != nullptr && *given != '\0' ? given : "/run/chaincast/chaincast.sock";
}

struct Invocation {
  std::string path;
  bool json = false;
  bool prompts = false;
  bool completes = false;
  std::vector<std::string> words;
};

int dispatch(console::Client& client, const Invocation& asked) {
  if (asked.completes) return complete(client, asked.words.empty() ? "" : asked.words.front());
  if (asked.prompts) return prompt(client);
  const std::string& verb = asked.words.front();
  std::vector<std::string> rest(asked.words.begin() + 1, asked.words.end());
  if (verb == "publish") return run_publish(client, Words(std::move(rest)), asked.json);
  if (verb == "subscribe") return run_subscribe(client, Words(std::move(rest)), asked.json);
  const bool status = verb == "status" && (rest.empty() || rest.front() == "--json");
  if (status) return run_status(client, asked.json || !rest.empty());
  const std::string line = line_of(asked.words);
  if (const auto wanted = cli::parse_watch(line)) return watch(client, *wanted, asked.json);
  return run_command(client, line, asked.json);
}

}  // namespace

int run(std::vector<std::string> words) {
  Invocation asked;
  asked.path = default_path();
  while (!words.empty() && words.front().starts_with("-") && !asked.completes) {
    const std::string option = words.front();
    words.erase(words.begin());
    if (option == "--help" || option == "-h" || option == "--print-man") {
      fmt::print("{}", option == "--print-man" ? program_manual() : usage_text());
      return exit_ok;
    }
    if (option == "--json") {
      asked.json = true;
    } else if (option == "--complete") {
      asked.completes = true;
    } else if (option == "--interactive" || option == "-i") {
      asked.prompts = true;
    } else if (option == "--socket" && !words.empty()) {
      asked.path = words.front();
      words.erase(words.begin());
    } else {
      return wrong_usage(option == "--socket" ? "--socket needs a path"
                                              : fmt::format("unknown option {}", option));
    }
  }
  asked.words = std::move(words);
  const bool is_whole = asked.prompts || asked.completes || !asked.words.empty();
  if (!is_whole) return wrong_usage("a command is needed; -i gives a prompt");
  auto client = console::Client::connect(asked.path);
  if (!client) return asked.completes ? exit_usage : report(client.error());
  return dispatch(*client, asked);
}

int report(const Error& failure) {
  fmt::print(stderr, "error: {}\n", failure.message);
  // The node answered, and said no.
  const bool answered = failure.code == ErrorCode::not_found || failure.code == ErrorCode::refused;
  return answered ? exit_failed : exit_usage;
}

}  // namespace chaincast::ctl
