// SPDX-License-Identifier: BSD-3-Clause
#include "signals.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace chaincast::generator {

Signals::Signals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  sigprocmask(SIG_BLOCK, &set_, nullptr);
  fd_ = ::signalfd(-1, &set_, SFD_CLOEXEC);
  // Waits end within microseconds of what is asked, not within the default 50 us.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
}

Signals::~Signals() {
  ::close(fd_);
}

bool Signals::wait(int fd, short events, TimeNs deadline_ns) {
  while (!came_) {
    timespec left{};
    if (deadline_ns != time_never) {
      const TimeNs now = clock_.now_ns();
      const TimeNs left_ns = deadline_ns > now ? deadline_ns - now : 0;
      left.tv_sec = static_cast<time_t>(left_ns / ns_per_s);
      left.tv_nsec = static_cast<long>(left_ns % ns_per_s);
    }
    pollfd fds[] = {{fd, events, 0}, {fd_, POLLIN, 0}};
    const timespec* timeout = deadline_ns == time_never ? nullptr : &left;
    const int ready = ::ppoll(fds, 2, timeout, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    came_ = ready > 0 && fds[1].revents != 0;
    return ready > 0 && fds[0].revents != 0 && !came_;
  }
  return false;
}

}  // namespace chaincast::generator
