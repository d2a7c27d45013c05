// SPDX-License-Identifier: BSD-3-Clause
// libchaincast as a program sees it: the shared library, through its C and its C++ header, against
// a server with a fake node behind it.
#include <chaincast.h>
#include <gmock/gmock.h>
#include <poll.h>

#include <chaincast.hpp>

#include "drivers/console/unix/served.hpp"

namespace chaincast::console {
namespace {

using client::Connection;
using client::Milliseconds;
using testing::HasSubstr;

constexpr int patient_ms = 60'000;

class LibraryTest : public ServedTest {
 protected:
  ~LibraryTest() override { chaincast_close(connection_); }

  void open() {
    char error[CHAINCAST_ERROR_BYTES];
    ASSERT_EQ(chaincast_open(options_.path.c_str(), &connection_, error, sizeof error),
              CHAINCAST_OK)
        << error;
  }
  std::string error() const { return chaincast_error(connection_); }
  // Waits as a program would that has a poll loop of its own.
  bool becomes_readable() const {
    pollfd waiting{chaincast_fd(connection_), POLLIN, 0};
    return ::poll(&waiting, 1, patient_ms) == 1;
  }

  chaincast_connection* connection_ = nullptr;
};

TEST_F(LibraryTest, OpenNamesPathAndRemedyInTheSpaceGiven) {
  char error[CHAINCAST_ERROR_BYTES];
  EXPECT_EQ(chaincast_open(options_.path.c_str(), &connection_, error, sizeof error),
            CHAINCAST_ERROR_IO);
  EXPECT_EQ(connection_, nullptr);
  EXPECT_THAT(error, testing::AllOf(HasSubstr(options_.path), HasSubstr("is the node running")));
  char little[8];
  EXPECT_EQ(chaincast_open(options_.path.c_str(), &connection_, little, sizeof little),
            CHAINCAST_ERROR_IO);
  EXPECT_STREQ(little, "control");
  EXPECT_EQ(chaincast_open(nullptr, &connection_, nullptr, 0), CHAINCAST_ERROR_INVALID);
}

TEST_F(LibraryTest, NullIsAnErrorAndNotACrash) {
  EXPECT_EQ(chaincast_next(nullptr, nullptr, 0), CHAINCAST_ERROR_INVALID);
  EXPECT_EQ(chaincast_fd(nullptr), -1);
  EXPECT_EQ(chaincast_pending(nullptr), 0u);
  EXPECT_STREQ(chaincast_error(nullptr), "the connection is NULL");
  start();
  open();
  EXPECT_EQ(chaincast_next(connection_, nullptr, 0), CHAINCAST_ERROR_INVALID);
  EXPECT_EQ(chaincast_publish(connection_, "feed", nullptr, 1, 0, nullptr),
            CHAINCAST_ERROR_INVALID);
  EXPECT_THAT(error(), HasSubstr("NULL"));
  EXPECT_EQ(chaincast_subscribe(connection_, nullptr, nullptr), CHAINCAST_ERROR_INVALID);
}

TEST_F(LibraryTest, StreamsStatusAndCommandsAreAsked) {
  start();
  open();
  chaincast_stream_info info{};
  EXPECT_EQ(chaincast_stream(connection_, "feed", &info), CHAINCAST_OK);
  EXPECT_EQ(info.object_bytes_max, service_.object_bytes_max);
  EXPECT_EQ(info.can_publish, 1u);
  EXPECT_EQ(chaincast_stream(connection_, "nope", &info), CHAINCAST_ERROR_NOT_FOUND);
  EXPECT_THAT(error(), HasSubstr("nope"));
  const char* text = nullptr;
  int exit_code = -1;
  EXPECT_EQ(chaincast_command(connection_, "fail", 0, &text, &exit_code, patient_ms), CHAINCAST_OK);
  EXPECT_EQ(exit_code, 1);
  EXPECT_STREQ(text, "error: told to fail\n");
  EXPECT_EQ(error(), "");
  EXPECT_EQ(chaincast_status(connection_, &text), CHAINCAST_OK);
  EXPECT_EQ(ops::Json::parse(text)["name"], "fake");
}

TEST_F(LibraryTest, PublishWaitsForTheNodeAndSaysWhatIsUnderWay) {
  start();
  open();
  service_.busy = true;
  EXPECT_EQ(chaincast_publish(connection_, "feed", "abc", 3, 1, nullptr), CHAINCAST_ERROR_TIMEOUT);
  EXPECT_EQ(chaincast_pending(connection_), 1u);
  EXPECT_EQ(chaincast_publish(connection_, "feed", "abc", 3, 1, nullptr), CHAINCAST_ERROR_INVALID);
  EXPECT_THAT(error(), HasSubstr("take their receipts"));
  service_.busy = false;
  chaincast_receipt receipt{};
  EXPECT_EQ(chaincast_take_receipt(connection_, &receipt, patient_ms), CHAINCAST_OK);
  EXPECT_EQ(receipt.stream, 7u);
  EXPECT_EQ(chaincast_take_receipt(connection_, &receipt, 0), CHAINCAST_ERROR_INVALID);
  EXPECT_EQ(chaincast_publish(connection_, "nope", "abc", 3, patient_ms, &receipt),
            CHAINCAST_ERROR_REFUSED);
  EXPECT_THAT(error(), HasSubstr("stream nope: unknown"));
  EXPECT_EQ(chaincast_publish(connection_, "feed", nullptr, 0, patient_ms, &receipt), CHAINCAST_OK);
  EXPECT_EQ(receipt.first_seq, 1u);
  loop_->call([&] { EXPECT_EQ(service_.published.size(), 2u); });
}

// What submit takes arrives, in order; what it does not take, does not.
TEST_F(LibraryTest, SubmitIsFullAtSomePointAndGoesOnWhenTheFdSaysSo) {
  constexpr uint64_t objects = 300;
  service_.object_bytes_max = 1u << 20;
  start();
  open();
  service_.busy = true;
  uint64_t taken = 0;
  Bytes object(50'000);
  const auto submit = [&] {
    store_be64(object.data(), taken);
    return chaincast_submit(connection_, "feed", object.data(), object.size(), 0);
  };
  while (submit() == CHAINCAST_OK) ASSERT_LT(++taken, objects);
  EXPECT_GT(taken, 1u);
  EXPECT_EQ(chaincast_pending(connection_), taken);
  service_.busy = false;
  for (uint64_t settled = 0; settled < objects;) {
    ASSERT_TRUE(becomes_readable());
    while (taken < objects && submit() == CHAINCAST_OK) ++taken;
    int code = CHAINCAST_OK;
    while (settled < taken && code == CHAINCAST_OK) {
      code = chaincast_take_receipt(connection_, nullptr, 0);
      settled += code == CHAINCAST_OK;
    }
    ASSERT_EQ(code, settled < taken ? CHAINCAST_ERROR_TIMEOUT : code) << error();
  }
  loop_->call([&] {
    ASSERT_EQ(service_.published.size(), objects);
    for (uint64_t i = 0; i < objects; ++i) {
      EXPECT_EQ(load_be64(service_.published[i].data()), i);
    }
  });
}

TEST_F(LibraryTest, ObjectsThatMoreFollowLeaveBeforeAReceiptIsAwaited) {
  start();
  open();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(chaincast_submit_more(connection_, "feed", "x", 1, patient_ms), CHAINCAST_OK);
  }
  EXPECT_EQ(chaincast_pending(connection_), 10u);
  loop_->call([&] { EXPECT_EQ(service_.published.size(), 0u); });
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(chaincast_take_receipt(connection_, nullptr, patient_ms), CHAINCAST_OK) << error();
  }
  ASSERT_EQ(chaincast_submit_more(connection_, "feed", "y", 1, patient_ms), CHAINCAST_OK);
  ASSERT_EQ(chaincast_submit(connection_, "feed", "z", 1, patient_ms), CHAINCAST_OK);
  loop_->until([&] { return service_.published.size() == 12; });
}

TEST_F(LibraryTest, NoMoreThanTheBoundIsUnderWay) {
  start();
  open();
  for (int i = 0; i < CHAINCAST_PENDING_MAX; ++i) {
    ASSERT_EQ(chaincast_submit(connection_, "feed", "x", 1, patient_ms), CHAINCAST_OK) << error();
  }
  EXPECT_EQ(chaincast_submit(connection_, "feed", "x", 1, patient_ms), CHAINCAST_ERROR_REFUSED);
  EXPECT_THAT(error(), HasSubstr("take their replies"));
}

TEST_F(LibraryTest, EventsAreObjectsLossesAndTheEnd) {
  options_.output_bytes_max = 64;  // one object at a time: the node's queue overflows soon
  start();
  open();
  uint32_t subscription = 99;
  ASSERT_EQ(chaincast_subscribe(connection_, "feed", &subscription), CHAINCAST_OK) << error();
  EXPECT_EQ(chaincast_subscribe(connection_, "nope", nullptr), CHAINCAST_ERROR_REFUSED);
  chaincast_event event{};
  EXPECT_EQ(chaincast_next(connection_, &event, 0), CHAINCAST_ERROR_TIMEOUT);
  constexpr uint64_t offered = 2'000;
  loop_->call([&] {
    for (uint64_t i = 0; i < offered; ++i) service_.deliver(Bytes(1'000, static_cast<uint8_t>(i)));
  });
  EXPECT_TRUE(becomes_readable());
  uint64_t expected = 0;
  uint64_t lost = 0;
  while (expected < offered) {
    ASSERT_EQ(chaincast_next(connection_, &event, patient_ms), CHAINCAST_OK) << error();
    ASSERT_EQ(event.first_seq, expected);
    ASSERT_EQ(event.subscription, subscription);
    ASSERT_EQ(event.stream, 7u);
    expected = event.last_seq + 1;
    if (event.kind == CHAINCAST_LOST) lost += event.last_seq - event.first_seq + 1;
    if (event.kind != CHAINCAST_OBJECT) continue;
    ASSERT_EQ(event.object_bytes, 1'000u);
    ASSERT_EQ(static_cast<const uint8_t*>(event.object)[999],
              static_cast<uint8_t>(event.first_seq));
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(lost, service_.lost);
  loop_->call([&] { service_.close_all(); });
  ASSERT_EQ(chaincast_next(connection_, &event, patient_ms), CHAINCAST_OK) << error();
  EXPECT_EQ(event.kind, uint32_t{CHAINCAST_CLOSED});
  EXPECT_STREQ(event.reason, "removed");
  loop_.reset();
  server_.reset();
  EXPECT_EQ(chaincast_next(connection_, &event, patient_ms), CHAINCAST_ERROR_IO);
  EXPECT_THAT(error(), HasSubstr("has the node stopped?"));
}

// Through the socket and a ring alike, to those alone who asked before they subscribed.
TEST_F(LibraryTest, OriginsAreToldToWhoWatchesThem) {
  start();
  open();
  uint32_t deaf = 99, socket = 99, ring = 99;
  ASSERT_EQ(chaincast_subscribe(connection_, "feed", &deaf), CHAINCAST_OK) << error();
  ASSERT_EQ(chaincast_watch_origins(connection_), CHAINCAST_OK) << error();
  ASSERT_EQ(chaincast_subscribe(connection_, "feed", &socket), CHAINCAST_OK) << error();
  ASSERT_EQ(chaincast_subscribe_ring(connection_, "feed", 0, &ring), CHAINCAST_OK) << error();
  loop_->call([&] {
    service_.deliver({1});
    service_.tell_of_origin(true);
  });
  loop_->call([&] { service_.tell_of_origin(false); });
  loop_->call([&] { service_.close_all(); });
  std::map<uint32_t, std::vector<uint32_t>> kinds;
  chaincast_event event{};
  for (size_t ended = 0; ended < 3;) {
    ASSERT_EQ(chaincast_next(connection_, &event, patient_ms), CHAINCAST_OK) << error();
    kinds[event.subscription].push_back(event.kind);
    ended += event.kind == CHAINCAST_CLOSED ? 1u : 0u;
    EXPECT_EQ(event.stream, event.kind == CHAINCAST_CLOSED ? 0u : 7u);
  }
  // What a client has not read when it changes is told as it is then.
  const std::vector<uint32_t> both{CHAINCAST_OBJECT, CHAINCAST_ORIGIN_LOST, CHAINCAST_ORIGIN_BACK,
                                   CHAINCAST_CLOSED};
  const std::vector<uint32_t> newest{CHAINCAST_OBJECT, CHAINCAST_ORIGIN_BACK, CHAINCAST_CLOSED};
  EXPECT_THAT(kinds[socket], testing::AnyOf(both, newest));
  EXPECT_THAT(kinds[ring], testing::AnyOf(both, newest));
  EXPECT_EQ(kinds[deaf], (std::vector<uint32_t>{CHAINCAST_OBJECT, CHAINCAST_CLOSED}));
}

TEST_F(LibraryTest, ALostOriginIsToldWithNothingElseOnItsWay) {
  start();
  Connection connection(options_.path);
  ASSERT_TRUE(connection.watch_origins());
  const auto socket = connection.subscribe("feed");
  connection.subscribe_ring("feed");
  for (const bool is_lost : {true, false, true}) {
    loop_->call([&] { service_.tell_of_origin(is_lost); });
    unsigned of_socket = 0;
    for (unsigned i = 0; i < 2; ++i) {
      const auto event = connection.next(Milliseconds(patient_ms));
      ASSERT_TRUE(event);
      EXPECT_EQ(event->is_origin_lost(), is_lost);
      EXPECT_EQ(event->is_origin_back(), !is_lost);
      of_socket += event->subscription() == socket ? 1u : 0u;
    }
    EXPECT_EQ(of_socket, 1u);
  }
}

// A reply that was given up comes late, and must not be taken for the next one.
TEST_F(LibraryTest, ALateReplyIsNotMistakenForAnother) {
  start();
  open();
  service_.busy = true;
  ASSERT_EQ(chaincast_submit(connection_, "feed", "x", 1, 0), CHAINCAST_OK);
  const char* text = nullptr;
  EXPECT_EQ(chaincast_command(connection_, "first", 0, &text, nullptr, 1), CHAINCAST_ERROR_TIMEOUT);
  service_.busy = false;
  ASSERT_EQ(chaincast_command(connection_, "second", 0, &text, nullptr, patient_ms), CHAINCAST_OK);
  EXPECT_STREQ(text, "line: second\n");
  EXPECT_EQ(chaincast_take_receipt(connection_, nullptr, patient_ms), CHAINCAST_OK);
}

TEST_F(LibraryTest, TheCxxHeaderSaysTheSame) {
  service_.on_published = [this](const Bytes& object) { service_.deliver(object); };
  start();
  Connection connection(options_.path);
  EXPECT_EQ(connection.stream("feed").object_bytes_max, 1000u);
  EXPECT_THAT(connection.status(), HasSubstr("fake"));
  connection.subscribe("feed");
  EXPECT_FALSE(connection.next(Milliseconds(0)));
  EXPECT_EQ(connection.publish("feed", "hello")->first_seq, 0u);
  Connection moved = std::move(connection);
  EXPECT_TRUE(moved.submit("feed", "world"));
  EXPECT_EQ(moved.next()->text(), "hello");
  EXPECT_EQ(moved.next()->text(), "world");
  EXPECT_EQ(moved.pending(), 1u);
  EXPECT_EQ(moved.take_receipt()->first_seq, 1u);
  try {
    moved.subscribe("nope");
    FAIL() << "subscribed to a stream that is not there";
  } catch (const client::Error& failure) {
    EXPECT_EQ(failure.code(), CHAINCAST_ERROR_REFUSED);
    EXPECT_THAT(failure.what(), HasSubstr("nope"));
  }
}

}  // namespace
}  // namespace chaincast::console
