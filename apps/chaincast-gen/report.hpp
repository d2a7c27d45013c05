// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "ops/ops.hpp"

namespace chaincast::generator {

struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

// Empty path: no file. Errors name the path.
Result<File> open_output(const std::string& path);
// Writes all bytes, or says why not. No file: nothing to do.
Status write_all(const File& file, const std::string& path, ByteSpan bytes);
Status finish(const File& file, const std::string& path);

// Objects and bytes over a time: what both summaries start with.
struct Volume {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  TimeNs elapsed_ns = 0;
  double per_second(uint64_t amount) const;
  void put(ops::Json& document) const;
  std::string text() const;
};

// A line on stderr, rewritten once a second, where that is a terminal.
class Progress {
 public:
  explicit Progress(const char* verb);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const Volume& volume, TimeNs now_ns);

 private:
  const char* verb_;
  bool enabled_;
  bool shown_ = false;
  TimeNs next_ns_ = 0;
};

}  // namespace chaincast::generator
