// SPDX-License-Identifier: BSD-3-Clause
#include "cli/session.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/render.hpp"

namespace chaincast::cli {

namespace {

constexpr std::array<std::pair<ErrorCode, const char*>, 7> codes = {{
    {ErrorCode::invalid, "invalid"},
    {ErrorCode::not_found, "not_found"},
    {ErrorCode::exists, "exists"},
    {ErrorCode::refused, "refused"},
    {ErrorCode::unsupported, "unsupported"},
    {ErrorCode::io, "io"},
    {ErrorCode::timeout, "timeout"},
}};

const char* code_name(ErrorCode code) {
  for (const auto& [known, name] : codes) {
    if (known == code) return name;
  }
  return "";
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Cuts a trailing `word`; it must be a word of its own.
bool cut_suffix(std::string_view& line, std::string_view word) {
  if (!line.ends_with(word) || line.size() <= word.size()) return false;
  const char before = line[line.size() - word.size() - 1];
  if (before != ' ' && before != '\t') return false;
  line = trim(line.substr(0, line.size() - word.size()));
  return true;
}

Result<std::string> read_command_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) {
    return error(ErrorCode::io, fmt::format("command file {}: {}; check the path and its mode",
                                            path, std::strerror(errno)));
  }
  std::string text(command_file_bytes_max + 1, '\0');
  const size_t got = std::fread(text.data(), 1, text.size(), file.get());
  if (std::ferror(file.get()) != 0) {
    return error(ErrorCode::io,
                 fmt::format("command file {}: cannot be read; is it a directory?", path));
  }
  if (got > command_file_bytes_max) {
    return error(ErrorCode::refused, fmt::format("command file {}: longer than {} bytes; split it",
                                                 path, command_file_bytes_max));
  }
  text.resize(got);
  return text;
}

}  // namespace

Outcome render(const ops::Reply& reply, Format format, size_t columns) {
  if (format == Format::text) {
    if (reply) return {to_text(*reply, columns), 0};
    return {"error: " + reply.error().message + "\n", 1};
  }
  ops::Json document;
  if (!reply) {
    document["error"] = {{"code", code_name(reply.error().code)},
                         {"message", reply.error().message}};
  } else if (reply->is_null()) {
    document["ok"] = true;
  } else {
    document = *reply;
  }
  // Names from other nodes may hold bytes that are no UTF-8; they must not throw.
  const auto text = document.dump(-1, ' ', false, ops::Json::error_handler_t::replace);
  return {text + "\n", reply ? 0 : 1};
}

ops::Reply parse_reply(std::string_view document) {
  ops::Json json = ops::Json::parse(document, nullptr, false);
  if (json.is_discarded()) return error(ErrorCode::io, "the reply is no JSON document");
  if (json.is_object() && json.size() == 1 && json.contains("ok")) return ops::Json{};
  const auto failure = json.is_object() ? json.find("error") : json.end();
  if (failure == json.end() || !failure->is_object()) return json;
  ErrorCode code = ErrorCode::refused;
  for (const auto& [known, name] : codes) {
    if (failure->value("code", "") == name) code = known;
  }
  return error(code, failure->value("message", ""));
}

Outcome Session::line(std::string_view line) {
  line = trim(line);
  if (line.empty() || line.front() == '#') return {};
  Format format = options_.format;
  if (line.size() > line_bytes_max) {
    return render(error(ErrorCode::refused, fmt::format("command line: longer than {} bytes; use a "
                                                        "command file",
                                                        line_bytes_max)),
                  format);
  }
  const bool reads = line.starts_with("show ") || line.starts_with("help ");
  if (cut_suffix(line, "--json") || (reads && cut_suffix(line, "json"))) format = Format::json;
  return render(runner_(line), format, options_.columns);
}

int Session::file(const std::string& path, const Sink& sink) {
  if (depth_ == command_file_depth_max) {
    sink(render(error(ErrorCode::refused,
                      fmt::format("command file {}: {} files deep; does a file load itself?", path,
                                  command_file_depth_max)),
                options_.format));
    return 1;
  }
  const auto text = read_command_file(path);
  if (!text) {
    sink(render(text.error(), options_.format));
    return 1;
  }
  ++depth_;
  const int code = lines(path, *text, sink);
  --depth_;
  return code;
}

int Session::lines(const std::string& path, std::string_view text, const Sink& sink) {
  int code = 0;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view command = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (command.empty() || command.front() == '#') continue;
    Format format = options_.format;
    if (options_.echo && format == Format::text) sink({fmt::format("> {}\n", command), 0});
    Outcome outcome = line(command);
    if (outcome.exit_code != 0) {
      code = 1;
      // The same error again, with its place in front.
      if (outcome.output.starts_with("error: ")) {
        outcome.output.insert(7, fmt::format("{}:{}: ", path, number));
      }
    }
    sink(outcome);
    if (code != 0 && options_.stop_at_error) break;
  }
  return code;
}

}  // namespace chaincast::cli
