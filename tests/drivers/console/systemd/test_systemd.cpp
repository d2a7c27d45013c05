// SPDX-License-Identifier: BSD-3-Clause
#include "console/systemd/systemd.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace chaincast::console {
namespace {

// The other end: an abstract datagram socket, as sd_notify(3) describes the manager's.
class Manager : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT_GE(fd_, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string name = "chaincast-test-" + std::to_string(getpid());
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    ASSERT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(fd_);
  }

  std::vector<std::string> told() {
    std::vector<std::string> out;
    char text[1024];
    for (ssize_t n; (n = recv(fd_, text, sizeof text, 0)) >= 0;) {
      out.emplace_back(text, static_cast<size_t>(n));
    }
    return out;
  }
  std::unique_ptr<Systemd> open() {
    return Systemd::open({5 * ns_per_s, [this] { return is_stopping_; }, [this] { return line_; }},
                         1000);
  }

  int fd_ = -1;
  bool is_stopping_ = false;
  std::string line_ = "1 of 2 peers up";
};

using Told = std::vector<std::string>;

TEST_F(Manager, HearsThatTheNodeIsReadyAndHowItIs) {
  const auto systemd = open();
  EXPECT_EQ(told(), Told{});
  systemd->ready();
  EXPECT_EQ(told(), Told{"READY=1\nSTATUS=1 of 2 peers up"});
  systemd->on_ready({}, 1000);
  EXPECT_EQ(told(), Told{}) << "nothing is new";
  line_ = "2 of 2 peers up";
  systemd->on_ready({}, systemd->wake_at_ns() - 1);
  EXPECT_EQ(told(), Told{}) << "not due";
  systemd->on_ready({}, systemd->wake_at_ns());
  EXPECT_EQ(told(), Told{"STATUS=2 of 2 peers up"});
}

TEST_F(Manager, WaitsAsLongAsTheNodeMayDrain) {
  const auto systemd = open();
  systemd->ready();
  told();
  is_stopping_ = true;
  systemd->on_ready({}, 1000);
  EXPECT_EQ(told(), Told{"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=15000000"});
  line_ = "0 of 2 peers up";
  systemd->on_ready({}, 100 * ns_per_s);
  EXPECT_EQ(told(), Told{}) << "told once, and the summary no longer counts";
}

TEST_F(Manager, HasItsWatchdogFedAtHalfTheInterval) {
  setenv("WATCHDOG_USEC", "600000", 1);
  const auto systemd = open();
  systemd->ready();
  told();
  systemd->on_ready({}, 1000);
  EXPECT_EQ(told(), Told{"WATCHDOG=1"});
  EXPECT_EQ(systemd->wake_at_ns(), 1000 + 300 * ns_per_ms);
  is_stopping_ = true;
  systemd->on_ready({}, systemd->wake_at_ns());
  EXPECT_EQ(told().back(), "WATCHDOG=1") << "a drain is no reason to be killed";
}

TEST_F(Manager, HasNoWatchdogForAnotherProcess) {
  setenv("WATCHDOG_USEC", "600000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  const auto systemd = open();
  systemd->ready();
  told();
  systemd->on_ready({}, 1000);
  EXPECT_EQ(told(), Told{});
}

TEST_F(Manager, IsNotSpokenToWhereThereIsNone) {
  unsetenv("NOTIFY_SOCKET");
  const auto systemd = open();
  systemd->ready();
  systemd->on_ready({}, 1000);
  EXPECT_EQ(systemd->wake_at_ns(), time_never);
  EXPECT_EQ(told(), Told{});
}

}  // namespace
}  // namespace chaincast::console
