// SPDX-License-Identifier: BSD-3-Clause
#include "console/terminal/past.hpp"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "console/terminal/terminal.hpp"

namespace chaincast::console {

void load_past(History* past, const std::string& file) {
  struct stat found {};
  const bool is_ours = ::stat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode) &&
                       static_cast<size_t>(found.st_size) <= past_bytes_max;
  if (!is_ours) return;
  HistEvent event;
  ::history(past, &event, H_LOAD, file.c_str());
}

void save_past(History* past, const std::string& file) {
  std::string beside = file + ".XXXXXX";
  const int fd = ::mkstemp(beside.data());  // mode 0600
  if (fd < 0) return;
  const std::unique_ptr<FILE, int (*)(FILE*)> out(::fdopen(fd, "w"), &std::fclose);
  HistEvent event;
  const bool is_written =
      out && ::history(past, &event, H_SAVE_FP, out.get()) >= 0 && std::fflush(out.get()) == 0;
  if (!out) ::close(fd);
  if (!is_written || std::rename(beside.c_str(), file.c_str()) != 0) ::unlink(beside.c_str());
}

std::string default_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::string directory;
  if (state != nullptr && state[0] == '/') {
    directory = state;
  } else if (home != nullptr && home[0] == '/') {
    directory = std::string(home) + "/.local/state";
  } else {
    return {};
  }
  directory += "/chaincast";
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  return code ? std::string() : directory + "/history";
}

}  // namespace chaincast::console
