// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/thread.hpp"
#include "cli/console.hpp"

// The prompt of `chaincast -i`: editing, history and completion by libedit on a thread of its own,
// which hands each line to the control thread and waits for the reply. Where input is no terminal
// (a pipe, a file), lines are read without prompt and editing. The end of input runs a line as
// well.
namespace chaincast::console {

// A line on its way from the terminal's thread to the control thread and back. One at a time.
class Handover {
 public:
  enum class Kind : uint8_t { run, complete };

  Handover();
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  // Terminal thread. Waits for the answer; empty once closed.
  std::vector<std::string> ask(Kind kind, std::string line);
  // Control thread. Readable: a question waits.
  int fd() const { return fd_; }
  // Answers the waiting question, if any, by `answer(kind, line)`, called without the lock held.
  template <typename Answer>
  bool serve(Answer answer) {
    Kind kind;
    std::string line;
    if (!take(kind, line)) return false;
    give(answer(kind, line));
    return true;
  }
  // Either thread: whoever asks gets nothing from now on.
  void close();

 private:
  enum class State : uint8_t { idle, asked, taken, answered, closed };
  bool take(Kind& kind, std::string& line);
  void give(std::vector<std::string> answer);

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  Kind kind_ = Kind::run;
  std::string line_;
  std::vector<std::string> answer_;
  int fd_;  // eventfd
};

struct TerminalOptions {
  std::string prompt = "chaincast> ";
  int input_fd = 0;
  int output_fd = 1;
  unsigned history_lines_max = 1000;
  // Where lines are kept from one prompt to the next (mode 0600, history_lines_max of them); empty:
  // nowhere.
  std::string history_file;
  std::string end_line = "quit";  // what the end of input runs
};

// $XDG_STATE_HOME/chaincast/history, else ~/.local/state/chaincast/history; its directory is made.
// Empty without a home.
std::string default_history_file();

// Owner: the node. The Console functions belong to the control thread.
class Terminal final : public cli::Console {
 public:
  static std::unique_ptr<Terminal> start(TerminalOptions options, cli::Commander& commander,
                                         const base::ThreadStarter& threads);
  // Ends the thread, wherever it waits, and puts the terminal back in order.
  ~Terminal() override;

  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override { return time_never; }
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;
  ops::Json describe() const override;

 private:
  Terminal(TerminalOptions options, cli::Commander& commander);

  TerminalOptions options_;
  cli::Commander& commander_;
  Handover handover_;
  int stop_fd_;  // eventfd: readable once the thread shall end
  uint64_t commands_ = 0;
  std::jthread thread_;
};

}  // namespace chaincast::console
