// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "ctl.hpp"

namespace chaincast::ctl {

namespace {

constexpr size_t default_object_bytes = 64 * 1024;
constexpr unsigned under_way_max = 64;

struct Progress {
  StreamId stream;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  unsigned under_way = 0;
};

// Takes one reply. Nothing, or the exit code.
int settle(console::Client& client, Progress& progress) {
  const auto result = client.receive_published();
  if (!result) return report(result.error());
  if (result->state != cli::PublishState::accepted) {
    fmt::print(stderr, "error: object {}: {}\n", progress.objects, result->message);
    return exit_failed;
  }
  progress.stream = result->stream;
  --progress.under_way;
  ++progress.objects;
  return exit_ok;
}

// Reading more of it never waits, as it may with a pipe.
bool is_regular(FILE* file) {
  struct stat found {};
  return ::fstat(::fileno(file), &found) == 0 && S_ISREG(found.st_mode);
}

int send_all(console::Client& client, FILE* file, const PublishOptions& options,
             size_t object_bytes, Progress& progress) {
  const bool more = is_regular(file);
  Bytes object(object_bytes);
  for (;;) {
    const size_t got = std::fread(object.data(), 1, object.size(), file);
    if (got == 0) break;
    const Status sent = client.send_publish(options.stream, ByteSpan(object).first(got),
                                            console::Client::for_ever, more);
    if (!sent) return report(sent.error());
    progress.bytes += got;
    ++progress.under_way;
    if (progress.under_way < under_way_max) continue;
    if (const int code = settle(client, progress); code != exit_ok) return code;
  }
  while (progress.under_way > 0) {
    if (const int code = settle(client, progress); code != exit_ok) return code;
  }
  if (std::ferror(file) == 0) return exit_ok;
  fmt::print(stderr, "error: {}: {}; {} bytes of it were published\n", options.file,
             std::strerror(errno), progress.bytes);
  return exit_usage;
}

}  // namespace

int publish(console::Client& client, const PublishOptions& options) {
  const auto info = client.stream(options.stream);
  if (!info) return report(info.error());
  size_t object_bytes = options.object_bytes;
  if (object_bytes == 0) {
    object_bytes = std::min<size_t>(info->object_bytes_max, default_object_bytes);
  }
  if (object_bytes == 0 || object_bytes > info->object_bytes_max) {
    fmt::print(stderr, "error: --object-bytes {}: stream {} takes objects of at most {} bytes\n",
               object_bytes, options.stream, info->object_bytes_max);
    return exit_usage;
  }
  const bool standard = options.file == "-";
  const std::unique_ptr<FILE, int (*)(FILE*)> opened(
      standard ? nullptr : std::fopen(options.file.c_str(), "re"),
      [](FILE* file) { return file != nullptr ? std::fclose(file) : 0; });
  FILE* file = standard ? stdin : opened.get();
  if (file == nullptr) {
    fmt::print(stderr, "error: {}: {}; name a readable file, or - for stdin\n", options.file,
               std::strerror(errno));
    return exit_usage;
  }
  Progress progress;
  const int code = send_all(client, file, options, object_bytes, progress);
  if (options.json) {
    const ops::Json document{{"ok", code == exit_ok},
                             {"stream", progress.stream.hex()},
                             {"objects", progress.objects},
                             {"bytes", progress.bytes}};
    fmt::print("{}\n", document.dump());
  } else {
    fmt::print("published {} objects, {} bytes\n", progress.objects, progress.bytes);
  }
  return code;
}

}  // namespace chaincast::ctl
