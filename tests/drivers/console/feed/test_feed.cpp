// SPDX-License-Identifier: BSD-3-Clause
#include "console/feed/feed.hpp"

#include <gtest/gtest.h>

#include "feed/rig.hpp"
#include "support/feed_socket.hpp"

namespace chaincast::console {
namespace {

class FeedDriver : public testing::Test {
 protected:
  void open(bool is_host) {
    auto opened = Feed::open({"s", is_host, 65'507}, node_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    feed_ = std::move(opened).value();
    application_ = std::make_unique<test::FeedSocket>(feed_->udp_port(), 0);
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
  std::unique_ptr<test::FeedSocket> application_;
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
