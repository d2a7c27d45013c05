// SPDX-License-Identifier: BSD-3-Clause
#include "console/signals/signals.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chaincast::console {

namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

void Signals::block() {
  const sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

Result<std::unique_ptr<Signals>> Signals::open(std::function<void()> on_stop,
                                               std::function<void()> on_reload) {
  const sigset_t set = handled_signals();
  const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) {
    return error(ErrorCode::io, std::string("signalfd: ") + std::strerror(errno) +
                                    "; raise the limit of open files (ulimit -n)");
  }
  return std::unique_ptr<Signals>(new Signals(fd, std::move(on_stop), std::move(on_reload)));
}

Signals::~Signals() {
  close(fd_);
}

void Signals::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({fd_, POLLIN, 0});
}

void Signals::on_ready(std::span<const pollfd>, TimeNs) {
  signalfd_siginfo info;
  while (read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    info.ssi_signo == SIGHUP ? on_reload_() : on_stop_();
  }
}

ops::Json Signals::describe() const {
  return {{"console", "signals"}};
}

}  // namespace chaincast::console
