// SPDX-License-Identifier: BSD-3-Clause
#include "console/terminal/terminal.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "cli/session.hpp"
#include "console/terminal/reader.hpp"
#include "console/terminal/watch.hpp"

namespace chaincast::console {

namespace {

int make_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CC_ASSERT(fd >= 0);
  return fd;
}

void raise(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

Handover::Handover() : fd_(make_eventfd()) {}

Handover::~Handover() {
  ::close(fd_);
}

std::vector<std::string> Handover::ask(Kind kind, std::string line) {
  std::unique_lock lock(mutex_);
  if (state_ == State::closed) return {};
  CC_ASSERT(state_ == State::idle);
  kind_ = kind;
  line_ = std::move(line);
  state_ = State::asked;
  raise(fd_);
  changed_.wait(lock, [this] { return state_ == State::answered || state_ == State::closed; });
  if (state_ == State::closed) return {};
  state_ = State::idle;
  return std::move(answer_);
}

bool Handover::take(Kind& kind, std::string& line) {
  uint64_t ignored;
  [[maybe_unused]] const ssize_t got = ::read(fd_, &ignored, sizeof ignored);
  const std::lock_guard lock(mutex_);
  if (state_ != State::asked) return false;
  state_ = State::taken;
  kind = kind_;
  line = std::move(line_);
  return true;
}

void Handover::give(std::vector<std::string> answer) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::taken) return;
  answer_ = std::move(answer);
  state_ = State::answered;
  changed_.notify_all();
}

void Handover::close() {
  const std::lock_guard lock(mutex_);
  state_ = State::closed;
  changed_.notify_all();
}

std::unique_ptr<Terminal> Terminal::start(TerminalOptions options, cli::Commander& commander,
                                          const base::ThreadStarter& threads) {
  std::unique_ptr<Terminal> out(new Terminal(std::move(options), commander));
  out->thread_ = threads.start("terminal", [terminal = out.get()](const std::stop_token&) {
    read_lines(terminal->options_, terminal->handover_, terminal->stop_fd_);
  });
  return out;
}

Terminal::Terminal(TerminalOptions options, cli::Commander& commander)
    : options_(std::move(options)), commander_(commander), stop_fd_(make_eventfd()) {}

Terminal::~Terminal() {
  handover_.close();
  raise(stop_fd_);
  if (thread_.joinable()) thread_.join();
  ::close(stop_fd_);
}

void Terminal::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({handover_.fd(), POLLIN, 0});
}

void Terminal::on_ready(std::span<const pollfd> fds, TimeNs) {
  CC_ASSERT(fds.size() == 1);
  if (fds[0].revents == 0) return;
  handover_.serve([this](Handover::Kind kind, const std::string& line) {
    if (kind == Handover::Kind::complete) return commander_.complete(line);
    ++commands_;
    cli::Session session([this](std::string_view text) { return commander_.run(text); },
                         {.columns = size_of(options_.output_fd).columns});
    return std::vector<std::string>{session.line(line).output};
  });
}

ops::Json Terminal::describe() const {
  return ops::Json{{"kind", "terminal"}, {"commands", commands_}};
}

}  // namespace chaincast::console
