// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "console/terminal/reader.hpp"
#include "console/terminal/terminal.hpp"

// For the leak sanitizer: libedit 3.1 copies the name and the help of an added function (EL_ADDFN)
// and frees them nowhere, once per terminal.
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_suppressions() {
  return "leak:wcsdup\n";
}

namespace chaincast::console {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EchoService final : public cli::Service {
 public:
  ops::Reply run(std::string_view line) override {
    lines.emplace_back(line);
    return ops::Json{{"ran", line}};
  }
  std::vector<std::string> complete(std::string_view line) override {
    if (line == "sh") return {"show"};
    if (line == "show p") return {"peers", "port"};
    return {};
  }
  ops::Json status() override { return {}; }
  Result<cli::StreamInfo> stream(std::string_view) override {
    return error(ErrorCode::not_found, "");
  }
  cli::PublishResult publish(std::string_view, ByteSpan) override { return {}; }
  Result<cli::SubscriptionId> subscribe(std::string_view, cli::Subscriber*) override {
    return error(ErrorCode::not_found, "");
  }
  void unsubscribe(cli::SubscriptionId) override {}

  std::vector<std::string> lines;
};

// Runs the control side in the test's thread.
class TerminalTest : public testing::Test {
 protected:
  ~TerminalTest() override {
    terminal_.reset();
    for (const int fd : {input_, output_, ours_}) {
      if (fd >= 0) ::close(fd);
    }
  }
  void start(int input, int output) {
    TerminalOptions options;
    options.input_fd = input;
    options.output_fd = output;
    terminal_ = Terminal::start(options, service_, threads_);
  }
  void open_pipes() {
    int in[2];
    int out[2];
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    input_ = in[1];
    output_ = out[0];
    ours_ = in[0];
    start(in[0], out[1]);
    terminal_output_ = out[1];
  }
  // Serves until that many lines ran.
  void serve(size_t count) {
    while (service_.lines.size() < count) turn();
  }
  void turn() {
    std::vector<pollfd> fds;
    terminal_->add_poll_fds(fds);
    ASSERT_GT(::poll(fds.data(), fds.size(), 10'000), 0) << "the terminal asked nothing";
    terminal_->on_ready(fds, 0);
  }
  void type(std::string_view text) {
    ASSERT_EQ(::write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Serves questions and reads output until it holds `wanted`, and `then` behind it.
  std::string read_until(std::string_view wanted, std::string_view then = "") {
    std::string out;
    const auto is_there = [&] {
      const size_t at = out.find(wanted);
      return at != std::string::npos && out.find(then, at + wanted.size()) != std::string::npos;
    };
    while (!is_there()) {
      std::vector<pollfd> fds;
      terminal_->add_poll_fds(fds);
      fds.push_back({output_, POLLIN, 0});
      if (::poll(fds.data(), fds.size(), 10'000) <= 0) {
        ADD_FAILURE() << "never printed: " << wanted << "; but: " << out;
        break;
      }
      terminal_->on_ready(std::span(fds).first(1), 0);
      char chunk[512];
      if (fds[1].revents == 0) continue;
      const ssize_t got = ::read(output_, chunk, sizeof chunk);
      if (got <= 0) break;
      out.append(chunk, static_cast<size_t>(got));
    }
    return out;
  }

  // libedit sets its mode behind the prompt; before that an end of file is no key, and is lost.
  void wait_for_keys() {
    const MonotonicClock clock;
    const TimeNs end_ns = clock.now_ns() + 10 * ns_per_s;
    termios mode{};
    do {
      ASSERT_LT(clock.now_ns(), end_ns) << "the terminal reads no keys";
      sched_yield();
      ASSERT_EQ(::tcgetattr(ours_, &mode), 0);
    } while ((mode.c_lflag & ICANON) != 0);
  }

  EchoService service_;
  base::ThreadStarter threads_;
  std::unique_ptr<Terminal> terminal_;
  int input_ = -1;
  int output_ = -1;
  int ours_ = -1;
  int terminal_output_ = -1;
};

TEST_F(TerminalTest, PipedLinesRunAndTheEndQuits) {
  open_pipes();
  type("show peers\n# note\n\nstop");
  ::close(input_);
  input_ = -1;
  serve(3);
  EXPECT_THAT(service_.lines, ElementsAre("show peers", "stop", "quit"));
  EXPECT_THAT(read_until("ran: quit\n"), HasSubstr("ran: show peers\nran: stop\n"));
}

TEST_F(TerminalTest, LongLinesAreRefusedAndTheNextOneRuns) {
  open_pipes();
  std::jthread writer([this] { type(std::string(70'000, 'x') + "\nstop\n"); });
  EXPECT_THAT(read_until("ran: stop\n"), HasSubstr("longer than 65536"));
  EXPECT_THAT(service_.lines, ElementsAre("stop"));
}

TEST_F(TerminalTest, AnEndWhileWaitingForInputOrForAnAnswer) {
  open_pipes();
  terminal_.reset();
  ::close(input_);
  ::close(output_);
  ::close(ours_);
  open_pipes();
  type("never answered\n");
  std::vector<pollfd> fds;
  terminal_->add_poll_fds(fds);
  ASSERT_EQ(::poll(fds.data(), fds.size(), 10'000), 1);
  terminal_.reset();
  EXPECT_TRUE(service_.lines.empty());
}

TEST_F(TerminalTest, ATerminalEditsCompletesAndRemembers) {
  input_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(input_, 0);
  ASSERT_EQ(::grantpt(input_), 0);
  ASSERT_EQ(::unlockpt(input_), 0);
  ours_ = ::open(::ptsname(input_), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(ours_, 0);
  output_ = ::dup(input_);
  ::setenv("TERM", "vt100", 1);
  start(ours_, ours_);
  read_until("chaincast> ");
  // One key at a time: what has been typed ahead libedit may draw in any order.
  type("sh\t");
  read_until("ow ");
  type("p\t");
  read_until("peers  port");
  type("eers\n");
  read_until("ran: show peers", "chaincast> ");
  // Up: the line before.
  type("\x1b[A\n");
  read_until("ran: show peers", "chaincast> ");
  wait_for_keys();
  type("\x04");
  read_until("ran: quit");
  EXPECT_THAT(service_.lines, ElementsAre("show peers", "show peers", "quit"));
}

TEST(Completion, AddsTheCommonPrefixAndABlankAfterTheOnlyOne) {
  EXPECT_EQ(completion_text("sh", {"show"}), "ow ");
  EXPECT_EQ(completion_text("show p", {"peers", "port"}), "");
  EXPECT_EQ(completion_text("show s", {"stream", "streams"}), "tream");
  EXPECT_EQ(completion_text("show ", {"peers"}), "peers ");
  EXPECT_EQ(completion_text("", {}), "");
  EXPECT_EQ(completion_text("x", {"show"}), "");
}

}  // namespace
}  // namespace chaincast::console
