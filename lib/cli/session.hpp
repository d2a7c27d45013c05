// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ops/ops.hpp"

// Lines in, replies out: what every console shares. Control thread; a line costs what its operation
// costs; nothing here keeps more than one reply.
namespace chaincast::cli {

inline constexpr size_t line_bytes_max = 64 * 1024;
inline constexpr size_t command_file_bytes_max = 1024 * 1024;
inline constexpr unsigned command_file_depth_max = 8;  // files that load files

enum class Format : uint8_t { text, json };

// A reply ready to print. `output` is text, or exactly one JSON document on one line; it ends in a
// newline unless empty. JSON errors read {"error":{"code":"...","message":"..."}}, a reply without
// content {"ok":true}.
struct Outcome {
  std::string output;
  int exit_code = 0;  // 0 done, 1 the command failed
};

// `columns`: as for to_text.
Outcome render(const ops::Reply& reply, Format format, size_t columns = 0);

// The reply that a document of render(reply, Format::json) came from; an `io` error where it is
// none.
ops::Reply parse_reply(std::string_view document);

// Line in, reply out: the same for every console. Control thread (it calls the runner).
class Session {
 public:
  using Runner = std::function<ops::Reply(std::string_view)>;
  // Where a command file's output goes, one call per command.
  using Sink = std::function<void(const Outcome&)>;

  struct Options {
    Format format = Format::text;
    size_t columns = 0;          // of the terminal; 0: none, see to_text
    bool echo = false;           // command files: print "> line" first; text format only
    bool stop_at_error = false;  // command files: leave at the first failed command
  };

  Session(Runner runner, Options options) : runner_(std::move(runner)), options_(options) {}

  // Blank lines and comments (first character #) yield nothing. A trailing word `json` after
  // `show ...` or `help ...`, or `--json` after any command, selects JSON for this line.
  Outcome line(std::string_view line);

  // Runs a command file line by line; errors name file and line. The exit code is 1 if any command
  // failed, or if the file cannot be read or is longer than command_file_bytes_max.
  int file(const std::string& path, const Sink& sink);

 private:
  int lines(const std::string& path, std::string_view text, const Sink& sink);

  Runner runner_;
  Options options_;
  unsigned depth_ = 0;
};

}  // namespace chaincast::cli
