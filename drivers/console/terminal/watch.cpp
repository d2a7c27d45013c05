// SPDX-License-Identifier: BSD-3-Clause
#include "console/terminal/watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.hpp"

namespace chaincast::console {

namespace {

// Keys one by one and unseen, Ctrl-C among them, as long as it lives.
class KeyMode {
 public:
  explicit KeyMode(int fd) : fd_(fd), is_set_(fd >= 0 && ::tcgetattr(fd, &before_) == 0) {
    if (!is_set_) return;
    termios mode = before_;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    ::tcsetattr(fd_, TCSANOW, &mode);
  }
  ~KeyMode() {
    if (is_set_) ::tcsetattr(fd_, TCSANOW, &before_);
  }
  KeyMode(const KeyMode&) = delete;
  KeyMode& operator=(const KeyMode&) = delete;

 private:
  int fd_;
  termios before_{};
  bool is_set_;
};

// The first `rows` lines.
std::string_view top_of(std::string_view text, size_t rows) {
  size_t end = 0;
  for (size_t row = 0; row < rows && end < text.size(); ++row) {
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
  }
  return text.substr(0, end);
}

// False: it is over.
bool wait(const Screen& screen, TimeNs until_ns) {
  const MonotonicClock clock;
  for (;;) {
    const TimeNs now = clock.now_ns();
    if (now >= until_ns) return true;
    pollfd fds[] = {{screen.stop_fd, POLLIN, 0}, {screen.input_fd, POLLIN, 0}};
    const int ready = ::poll(fds, 2, static_cast<int>((until_ns - now) / ns_per_ms + 1));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    if (fds[0].revents == 0 && fds[1].revents != 0) {
      char keys[64];
      [[maybe_unused]] const ssize_t got = ::read(screen.input_fd, keys, sizeof keys);
    }
    return false;
  }
}

}  // namespace

Size size_of(int fd) {
  winsize size{};
  if (::isatty(fd) == 0 || ::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

void print(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void repeat(const cli::Watch& watch, const Screen& screen,
            const std::function<std::string()>& reply) {
  const MonotonicClock clock;
  const KeyMode mode(screen.input_fd);
  TimeNs due_ns = clock.now_ns();
  do {
    const std::string text = reply();
    const size_t rows = size_of(screen.output_fd).rows;
    if (rows == 0) {
      print(screen.output_fd, text);
    } else {
      print(screen.output_fd,
            fmt::format("\x1b[H\x1b[2Jevery {} s: {}   (a key ends it)\n\n{}", watch.seconds,
                        watch.command, top_of(text, rows > 4 ? rows - 3 : 1)));
    }
    due_ns += watch.seconds * ns_per_s;
  } while (wait(screen, due_ns));
}

}  // namespace chaincast::console
