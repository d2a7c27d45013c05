// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "generator.hpp"

namespace chaincast::generator {

namespace {

Error write_failure(const std::string& path) {
  return error(ErrorCode::io, fmt::format("{}: {}; is the disk full?", path, std::strerror(errno)));
}

}  // namespace

int report(const Error& failure) {
  fmt::print(stderr, "error: {}\n", failure.message);
  // The node answered, and said no.
  const bool answered = failure.code == ErrorCode::not_found || failure.code == ErrorCode::refused;
  return answered ? exit_failed : exit_usage;
}

Result<File> open_output(const std::string& path) {
  if (path.empty()) return File();
  File file(std::fopen(path.c_str(), "we"));
  if (file) return file;
  return error(ErrorCode::io,
               fmt::format("{}: {}; name a file that can be written", path, std::strerror(errno)));
}

Status write_all(const File& file, const std::string& path, ByteSpan bytes) {
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size()) return {};
  return write_failure(path);
}

Status finish(const File& file, const std::string& path) {
  if (!file || std::fflush(file.get()) == 0) return {};
  return write_failure(path);
}

double Volume::per_second(uint64_t amount) const {
  if (elapsed_ns == 0) return 0;
  return static_cast<double>(amount) / static_cast<double>(elapsed_ns) * double{ns_per_s};
}

void Volume::put(ops::Json& document) const {
  document["objects"] = objects;
  document["bytes"] = bytes;
  document["seconds"] = static_cast<double>(elapsed_ns) / double{ns_per_s};
  document["objects_per_s"] = per_second(objects);
  document["bits_per_s"] = per_second(bytes) * 8;
}

std::string Volume::text() const {
  return fmt::format("{} objects, {} bytes in {:.3f} s: {:.0f} objects/s, {:.3f} Mbit/s", objects,
                     bytes, static_cast<double>(elapsed_ns) / double{ns_per_s}, per_second(objects),
                     per_second(bytes) * 8 / 1e6);
}

Progress::Progress(const char* verb) : verb_(verb), enabled_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputc('\n', stderr);
}

void Progress::show(const Volume& volume, TimeNs now_ns) {
  if (!enabled_ || now_ns < next_ns_) return;
  next_ns_ = now_ns + ns_per_s;
  shown_ = true;
  fmt::print(stderr, "\r{} {}\033[K", verb_, volume.text());
  std::fflush(stderr);
}

}  // namespace chaincast::generator
