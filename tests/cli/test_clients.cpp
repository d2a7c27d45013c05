// SPDX-License-Identifier: BSD-3-Clause
#include "cli/clients.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace chaincast::cli {
namespace {

struct FakeClient {
  pollfd poll_fd() const { return {fd, POLLOUT, 0}; }
  TimeNs wake_at_ns() const { return wake_ns; }
  void on_ready(short revents, TimeNs now_ns) {
    seen = revents;
    turned_ns = now_ns;
  }
  bool finished() const { return is_finished; }

  int fd = 0;
  TimeNs wake_ns = time_never;
  short seen = 0;
  TimeNs turned_ns = 0;
  bool is_finished = false;
};

class ClientsTest : public testing::Test {
 protected:
  FakeClient& add(int fd) {
    auto client = std::make_unique<FakeClient>();
    client->fd = fd;
    FakeClient& out = *client;
    clients_.add(std::move(client));
    return out;
  }
  std::vector<pollfd> polled() const {
    std::vector<pollfd> fds;
    clients_.add_poll_fds(fds);
    return fds;
  }
  // How often it asked for a client, with these answers and nobody after them.
  int accept(TimeNs now_ns, std::deque<Accepted> answers) {
    int asked = 0;
    clients_.accept({3, POLLIN, POLLIN}, now_ns, [&] {
      ++asked;
      if (answers.empty()) return Accepted::none;
      const Accepted next = answers.front();
      answers.pop_front();
      return next;
    });
    return asked;
  }

  Clients<FakeClient> clients_{3};
};

TEST_F(ClientsTest, EachIsServedWithWhatItsDescriptorIsReadyFor) {
  FakeClient& first = add(10);
  FakeClient& second = add(11);
  std::vector<pollfd> fds = polled();
  ASSERT_EQ(fds.size(), 3u);
  EXPECT_EQ(fds[0].fd, 3);
  EXPECT_EQ(fds[0].events, POLLIN);
  EXPECT_EQ(fds[2].fd, 11);
  EXPECT_EQ(fds[2].events, POLLOUT);
  fds[2].revents = POLLOUT;
  clients_.serve(fds, 7);
  EXPECT_EQ(first.seen, 0);
  EXPECT_EQ(second.seen, POLLOUT);
  EXPECT_EQ(first.turned_ns, 7u);
}

TEST_F(ClientsTest, WakesForTheFirstOfThemAndForgetsWhoIsFinished) {
  EXPECT_EQ(clients_.wake_at_ns(), time_never);
  add(10).wake_ns = 500;
  FakeClient& hasty = add(11);
  hasty.wake_ns = 300;
  EXPECT_EQ(clients_.wake_at_ns(), 300u);
  hasty.is_finished = true;
  clients_.sweep();
  EXPECT_EQ(clients_.size(), 1u);
  EXPECT_EQ(clients_.wake_at_ns(), 500u);
}

TEST_F(ClientsTest, AcceptsUntilNobodyWaitsButNotForEver) {
  EXPECT_EQ(accept(0, {Accepted::one, Accepted::one}), 3);
  EXPECT_EQ(accept(0, std::deque<Accepted>(1000, Accepted::one)), 64);
  clients_.accept({3, POLLIN, 0}, 0, [] {
    ADD_FAILURE() << "nobody is there";
    return Accepted::none;
  });
}

TEST_F(ClientsTest, AnExhaustedProcessPausesAndTriesAgain) {
  EXPECT_EQ(accept_failure(EMFILE), Accepted::exhausted);
  EXPECT_EQ(accept_failure(ECONNABORTED), Accepted::none);
  EXPECT_EQ(accept(1000, {Accepted::one, Accepted::exhausted}), 2);
  EXPECT_EQ(polled()[0].events, 0) << "poll would spin";
  const TimeNs again = 1000 + Clients<FakeClient>::accept_pause_ns;
  EXPECT_EQ(clients_.wake_at_ns(), again);
  clients_.accept({3, 0, 0}, again - 1, [] { return Accepted::none; });
  EXPECT_EQ(polled()[0].events, 0);
  clients_.accept({3, 0, 0}, again, [] { return Accepted::none; });
  EXPECT_EQ(polled()[0].events, POLLIN);
  EXPECT_EQ(clients_.wake_at_ns(), time_never);
}

}  // namespace
}  // namespace chaincast::cli
