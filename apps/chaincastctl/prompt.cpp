// SPDX-License-Identifier: BSD-3-Clause
// A prompt here for a node at the other end of the socket: one connection for all commands, so that
// what one of them begins ends with it.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "cli/session.hpp"
#include "console/signals/signals.hpp"
#include "console/terminal/terminal.hpp"
#include "console/terminal/watch.hpp"
#include "ctl.hpp"

namespace chaincast::ctl {

namespace {

constexpr const char* leave = "exit";

class Remote final : public cli::Commander {
 public:
  explicit Remote(console::Client& client) : client_(client) {}

  ops::Reply run(std::string_view line) override {
    if (line == leave) {
      end(exit_ok);
      return ops::Json{};
    }
    const auto reply = client_.command(line, true);
    if (reply) {
      is_quitting_ = line == "quit" && reply->exit_code == 0;
      return cli::parse_reply(reply->text);
    }
    // Said here: the terminal's thread ends with the prompt.
    end(report(reply.error()));
    return ops::Json{};
  }
  std::vector<std::string> complete(std::string_view line) override {
    const auto words = client_.complete(line);
    return words ? *words : std::vector<std::string>{};
  }

  // The node went away.
  void on_closed() {
    if (is_quitting_) return end(exit_ok);
    fmt::print(stderr, "\nerror: the node closed the connection\n");
    end(exit_usage);
  }
  void end(int code) {
    is_over_ = true;
    exit_code_ = code;
  }
  bool is_over() const { return is_over_; }
  int exit_code() const { return exit_code_; }

 private:
  console::Client& client_;
  bool is_over_ = false;
  bool is_quitting_ = false;
  int exit_code_ = exit_ok;
};

}  // namespace

int prompt(console::Client& client) {
  console::Signals::block();
  Remote remote(client);
  auto signals = console::Signals::open([&remote] { remote.end(exit_ok); },
                                        [&remote] { remote.end(exit_ok); });
  if (!signals) return report(signals.error());
  base::ThreadStarter threads;
  console::TerminalOptions options;
  options.history_file = console::default_history_file();
  options.end_line = leave;
  const auto terminal = console::Terminal::start(options, remote, threads);
  while (!remote.is_over()) {
    std::vector<pollfd> fds;
    terminal->add_poll_fds(fds);
    (*signals)->add_poll_fds(fds);
    // Nothing comes between replies, so readable means closed.
    fds.push_back({client.fd(), POLLIN, 0});
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) break;
    if (fds[2].revents != 0) {
      remote.on_closed();
      break;
    }
    (*signals)->on_ready(std::span(fds).subspan(1, 1), 0);
    terminal->on_ready(std::span(fds).first(1), 0);
  }
  return remote.exit_code();
}

int watch(console::Client& client, const cli::Watch& wanted, bool json) {
  int exit_code = exit_ok;
  console::Signals::block();
  auto signals = console::Signals::open([] {}, [] {});
  if (!signals) return report(signals.error());
  std::vector<pollfd> fds;
  (*signals)->add_poll_fds(fds);
  const int keys = ::isatty(STDIN_FILENO) != 0 ? STDIN_FILENO : -1;
  console::repeat(wanted, {keys, STDOUT_FILENO, fds[0].fd}, [&]() -> std::string {
    const auto reply = client.command(wanted.command, true);
    if (!reply) {
      exit_code = report(reply.error());
      return {};
    }
    if (reply->exit_code != 0) exit_code = exit_failed;
    return cli::render(cli::parse_reply(reply->text), json ? cli::Format::json : cli::Format::text,
                       console::size_of(STDOUT_FILENO).columns)
        .output;
  });
  return exit_code;
}

int complete(console::Client& client, const std::string& line) {
  const bool is_stream = line.starts_with("publish ") || line.starts_with("subscribe ");
  const size_t blank = line.find(' ');
  // The verbs that are ours alone; their streams are the node's.
  const bool is_second = blank != std::string::npos && line.find(' ', blank + 1) == line.npos;
  const std::string asked = is_stream ? "remove stream " + line.substr(blank + 1) : line;
  if (is_stream && !is_second) return exit_ok;
  const auto words = client.complete(asked);
  if (!words) return exit_usage;
  for (const std::string& word : *words) fmt::print("{}\n", word);
  if (blank != std::string::npos) return exit_ok;
  for (const std::string verb : {"publish", "status", "subscribe"}) {
    if (verb.starts_with(line)) fmt::print("{}\n", verb);
  }
  return exit_ok;
}

}  // namespace chaincast::ctl
