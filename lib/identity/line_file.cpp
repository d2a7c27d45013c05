// SPDX-License-Identifier: BSD-3-Clause
#include "identity/line_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace chaincast::identity {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  const int fd_;
};

std::string reason(int code) {
  return std::generic_category().message(code);
}

Error cannot_open(const std::string& path, int code) {
  if (code == ENOENT || code == ENOTDIR) {
    return error(ErrorCode::not_found,
                 fmt::format("{}: no such file; create it with `chaincast keygen`, or correct the "
                             "path",
                             path));
  }
  return error(ErrorCode::io, fmt::format("{}: cannot be opened ({}); run as its owner, or correct "
                                          "its directories' modes",
                                          path, reason(code)));
}

Status check_kind_and_mode(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) {
    return error(
        ErrorCode::refused,
        fmt::format("{}: not a regular file; name a file that `chaincast keygen` made", path));
  }
  if ((info.st_mode & 077) != 0) {
    return error(ErrorCode::refused,
                 fmt::format("{}: open to others than its owner (mode {:o}); run `chmod 600 {}`",
                             path, info.st_mode & 07777, path));
  }
  return {};
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// A new name is on disk only once its directory is.
bool sync_directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const Descriptor directory(
      open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory.ok() && fsync(directory.get()) == 0;
}

}  // namespace

Result<std::string> read_private_line(const std::string& path) {
  // Not to hang on a FIFO.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok()) return cannot_open(path, errno);
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return cannot_open(path, errno);
  if (Status status = check_kind_and_mode(path, info); !status.ok()) return status.error();

  char text[line_bytes_max + 2];
  size_t length = 0;
  for (;;) {
    const ssize_t n = read(file.get(), text + length, sizeof text - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return error(ErrorCode::io,
                   fmt::format("{}: cannot be read ({}); check the disk", path, reason(errno)));
    }
    length += static_cast<size_t>(n);
    if (n == 0 || length == sizeof text) break;
  }
  std::string line(text, length);
  explicit_bzero(text, sizeof text);
  if (line.ends_with('\n')) line.pop_back();
  if (line.size() > line_bytes_max || line.find('\n') != std::string::npos) {
    explicit_bzero(line.data(), line.size());
    return error(ErrorCode::invalid,
                 fmt::format("{}: more than one line of at most {} characters; name a file that "
                             "`chaincast keygen` made",
                             path, line_bytes_max));
  }
  return line;
}

Status write_private_line(const std::string& path, std::string_view line) {
  std::string text = std::string(line) + "\n";
  const Status written = write_new_file(path, text, 0600);
  explicit_bzero(text.data(), text.size());
  return written;
}

Status write_new_file(const std::string& path, std::string_view text, unsigned mode) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file.ok()) {
    if (errno == EEXIST) {
      return error(ErrorCode::exists,
                   fmt::format("{}: exists and is never overwritten; choose another name, or move "
                               "it away first",
                               path));
    }
    const int code = errno;
    return error(code == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 fmt::format("{}: cannot be created ({}); make its directory, and writable to you",
                             path, reason(code)));
  }
  if (write_all(file.get(), text) && fsync(file.get()) == 0 && sync_directory_of(path)) {
    return {};
  }
  const int code = errno;
  unlink(path.c_str());
  return error(ErrorCode::io, fmt::format("{}: cannot be written ({}); free some space or check "
                                          "the disk",
                                          path, reason(code)));
}

}  // namespace chaincast::identity
