// SPDX-License-Identifier: BSD-3-Clause
#include "console/feed/feed.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "feed/rig.hpp"

namespace chaincast::console {
namespace {

// An application's socket, connected to a feed.
class Application {
 public:
  explicit Application(uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  ~Application() { ::close(fd_); }
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  void send(ByteSpan datagram) {
    EXPECT_EQ(::send(fd_, datagram.data(), datagram.size(), 0),
              static_cast<ssize_t>(datagram.size()));
  }
  std::optional<Bytes> receive() {
    std::array<uint8_t, 65536> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0) return std::nullopt;
    return Bytes(buffer.begin(), buffer.begin() + got);
  }

 private:
  const int fd_;
};

class FeedDriver : public testing::Test {
 protected:
  void open(bool is_host) {
    auto opened = Feed::open({"s", is_host, 65'507}, node_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    feed_ = std::move(opened).value();
    application_ = std::make_unique<Application>(feed_->udp_port());
  }
  void turn() {
    std::vector<pollfd> fds;
    feed_->add_poll_fds(fds);
    ::poll(fds.data(), fds.size(), feed_->wake_at_ns() <= now_ns_ ? 0 : 1);
    now_ns_ += ns_per_ms;
    feed_->on_ready(fds, now_ns_);
  }

  feed::test::FakeNode node_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<Application> application_;
  TimeNs now_ns_ = ns_per_s;
};

TEST_F(FeedDriver, ObjectsOfAnySizeReachTheStream) {
  open(true);
  for (const size_t size : {size_t{1}, size_t{1316}, feed::object_bytes_max}) {
    const Bytes object(size, 'x');
    application_->send(object);
    turn();
    ASSERT_FALSE(node_.published.empty());
    EXPECT_EQ(node_.published.back(), object);
  }
  Bytes last;
  while (auto got = application_->receive()) last = *got;
  EXPECT_EQ(feed::parse_answer(last)->taken, 3u);
}

// As much as a feeder may have on its way stays in the socket, however long the stream is full.
TEST_F(FeedDriver, AFullStreamHoldsTheSocketBack) {
  open(true);
  node_.state = cli::PublishState::busy;
  constexpr size_t window = 128 * 1024;  // docs/rest.md
  size_t count = 0;
  for (size_t used = 0; used + feed::weight(1316) <= window; used += feed::weight(1316)) {
    application_->send(Bytes(1316, static_cast<uint8_t>(count++)));
  }
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_TRUE(node_.published.empty());
  EXPECT_GT(feed_->wake_at_ns(), now_ns_);
  node_.state = cli::PublishState::accepted;
  for (int i = 0; i < 20; ++i) turn();
  ASSERT_EQ(node_.published.size(), count);
  for (size_t i = 0; i < count; ++i) EXPECT_EQ(node_.published[i][0], static_cast<uint8_t>(i));
  EXPECT_EQ(feed_->describe()["overrun"], 0u);
  EXPECT_EQ(feed_->describe()["withheld"], 1u);
}

TEST_F(FeedDriver, AMemberAnswersWithWhatItWasDelivered) {
  open(false);
  ASSERT_NE(node_.subscriber, nullptr);
  const Bytes object(feed::object_bytes_max, 'y');
  EXPECT_TRUE(node_.subscriber->on_object({StreamId{1}, 0, 0, object}));
  application_->send(feed::encode(feed::Request{1, 1, 200'000, 0, 100}));
  turn();
  EXPECT_EQ(application_->receive(), object);
  EXPECT_EQ(application_->receive(), Bytes());
  EXPECT_FALSE(application_->receive().has_value());
  application_->send(as_bytes("an object"));
  turn();
  EXPECT_EQ(feed_->describe()["malformed"], 1u);
  feed_.reset();
  EXPECT_EQ(node_.subscriber, nullptr);
}

TEST_F(FeedDriver, AStreamThatIsNotThereIsAnError) {
  auto opened = Feed::open({"t", true, 1}, node_);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace chaincast::console
