// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <set>

#include "console/unix/address.hpp"
#include "console/unix/client.hpp"
#include "drivers/console/unix/served.hpp"

namespace chaincast::console {
namespace {

using local::message;
using local::protocol_version;
using local::put_name;
using local::Type;
using testing::HasSubstr;

Bytes copy(ByteSpan bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

class ServerTest : public ServedTest {
 protected:
  std::string listen_failure() {
    const auto server = Server::listen(options_, service_);
    EXPECT_FALSE(server.ok());
    return server.ok() ? "" : server.error().message;
  }
  Client connect() {
    auto client = Client::connect(options_.path);
    EXPECT_TRUE(client.ok()) << client.error().message;
    return std::move(client).value();
  }
  size_t clients() {
    size_t count = 0;
    loop_->call([&] { count = server_->describe()["clients"]; });
    return count;
  }
  int raw_socket(bool listens) {
    const auto address = socket_address(options_.path);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* where = reinterpret_cast<const sockaddr*>(&*address);
    const int code =
        listens ? ::bind(fd, where, sizeof *address) : ::connect(fd, where, sizeof *address);
    EXPECT_EQ(code, 0);
    return fd;
  }
};

TEST_F(ServerTest, SocketIsPrivateAndRemovedAtTheEnd) {
  start();
  struct stat found {};
  ASSERT_EQ(::lstat(options_.path.c_str(), &found), 0);
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  loop_.reset();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(options_.path));
}

TEST_F(ServerTest, AStaleSocketIsReplacedAndALivingOneIsNot) {
  ::close(raw_socket(true));
  ASSERT_TRUE(std::filesystem::exists(options_.path));
  start();
  EXPECT_THAT(listen_failure(), testing::AllOf(HasSubstr(options_.path), HasSubstr("in use"),
                                               HasSubstr("[node] socket")));
  EXPECT_TRUE(connect().status().ok());
}

TEST_F(ServerTest, OtherFilesLongPathsAndMissingDirectoriesAreNamed) {
  std::ofstream(options_.path) << "precious";
  EXPECT_THAT(listen_failure(), HasSubstr("a file that is no socket"));
  EXPECT_TRUE(std::filesystem::exists(options_.path));
  options_.path = directory_ + "/a/b/node.sock";
  EXPECT_THAT(listen_failure(), HasSubstr("cannot bind"));
  options_.path = directory_ + "/" + std::string(120, 'x');
  EXPECT_THAT(listen_failure(), HasSubstr("shorter directory"));
}

TEST_F(ServerTest, CompletionIsOneWordALine) {
  start();
  Client client = connect();
  const auto words = client.complete("s");
  ASSERT_TRUE(words.ok());
  EXPECT_THAT(*words, testing::ElementsAre("show", "start"));
  EXPECT_TRUE(client.complete("none")->empty());
}

TEST_F(ServerTest, AConnectionIsASessionThatEndsWithIt) {
  start();
  {
    Client client = connect();
    ASSERT_TRUE(client.command("show", false).ok());
    ASSERT_TRUE(client.command("show", false, Client::reply_timeout_ms, true).ok());
    Client other = connect();
    ASSERT_TRUE(other.command("show", false).ok());
    loop_->call([&] {
      EXPECT_THAT(service_.ran_in, testing::ElementsAre(1, 0, 2)) << "0: detached";
      EXPECT_THAT(service_.closed, testing::IsEmpty());
    });
  }
  loop_->until([&] { return service_.closed.size() == 2; });
  loop_->call([&] { EXPECT_THAT(service_.closed, testing::UnorderedElementsAre(1, 2)); });
}

TEST_F(ServerTest, CommandsComeBackAsTextAndAsJson) {
  start();
  Client client = connect();
  const auto text = client.command("show peers", false);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->text, "line: show peers\n");
  EXPECT_EQ(text->exit_code, 0);
  EXPECT_EQ(client.command("show peers", true)->text, "{\"line\":\"show peers\"}\n");
  const auto failed = client.command("fail", false);
  EXPECT_EQ(failed->exit_code, 1);
  EXPECT_EQ(failed->text, "error: told to fail\n");
  const auto status = client.status();
  EXPECT_EQ((*status)["protocol"], protocol_version);
}

TEST_F(ServerTest, AReplyLongerThanTheOutputBoundArrivesWhole) {
  start();
  Client client = connect();
  EXPECT_EQ(client.command("big", true)->text.size(), 8'000'000 + 12u);
  EXPECT_TRUE(client.status().ok());
}

TEST_F(ServerTest, PublishIsWithheldUntilTheNodeAccepts) {
  start();
  Client client = connect();
  service_.busy = true;
  const Bytes object = {1, 2, 3};
  ASSERT_TRUE(client.send_publish("feed", object).ok());
  loop_->until([&] { return server_->counters().withheld == 1; });
  EXPECT_EQ(client.receive_published(20).error().code, ErrorCode::timeout);
  service_.busy = false;
  const auto result = client.receive_published();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->state, cli::PublishState::accepted);
  EXPECT_EQ(result->stream, StreamId{7});
  EXPECT_EQ(service_.published.size(), 1u);
  EXPECT_EQ(server_->counters().withheld, 1u);
}

TEST_F(ServerTest, PipelinedObjectsKeepTheirOrder) {
  start();
  Client client = connect();
  for (uint8_t i = 0; i < 200; ++i) {
    const Bytes object(500, i);
    ASSERT_TRUE(client.send_publish("feed", object).ok());
  }
  for (uint64_t i = 0; i < 200; ++i) EXPECT_EQ(client.receive_published()->first_seq, i);
  for (uint8_t i = 0; i < 200; ++i) EXPECT_EQ(service_.published[i], Bytes(500, i));
  EXPECT_THAT(client.publish("other", {})->message, HasSubstr("stream other: unknown"));
}

TEST_F(ServerTest, ObjectsThatMoreFollowGoTogether) {
  start();
  Client client = connect();
  const auto send = [&](uint8_t byte) {
    const Bytes object(1000, byte);
    return client.send_publish("feed", object, Client::for_ever, true).ok();
  };
  const auto taken = [&] {
    size_t count = 0;
    loop_->call([&] { count = service_.published.size(); });
    return count;
  };
  for (uint8_t i = 0; i < 3; ++i) ASSERT_TRUE(send(i));
  EXPECT_FALSE(client.output_waits());
  EXPECT_EQ(taken(), 0u);
  EXPECT_FALSE(client.has_event());  // as before a wait
  loop_->until([&] { return service_.published.size() == 3; });
  // What is too much to be kept leaves by itself.
  for (uint8_t i = 3; i < 80; ++i) ASSERT_TRUE(send(i));
  loop_->until([&] { return service_.published.size() > 60; });
  EXPECT_LT(taken(), 80u);
  for (uint64_t i = 0; i < 80; ++i) ASSERT_EQ(client.receive_published()->first_seq, i);
  for (uint8_t i = 0; i < 80; ++i) EXPECT_EQ(service_.published[i], Bytes(1000, i));
}

TEST_F(ServerTest, ABusyNodeStopsReadingItsClient) {
  start();
  service_.busy = true;
  Client client = connect();
  const Bytes object(100'000, 1);
  size_t sent = 0;
  while (client.send_publish("feed", object, 0).ok()) {
    ASSERT_LT(++sent, 100u) << "the server takes objects that the node does not";
  }
  EXPECT_TRUE(service_.published.empty());
}

TEST_F(ServerTest, StreamsAreDescribed) {
  start();
  Client client = connect();
  EXPECT_EQ(client.stream("feed")->object_bytes_max, 1000u);
  EXPECT_TRUE(client.stream("feed")->can_publish);
  EXPECT_THAT(client.stream("nope").error().message, HasSubstr("nope"));
}

TEST_F(ServerTest, SubscribersGetObjectsAndTheEnd) {
  start();
  Client client = connect();
  EXPECT_THAT(client.subscribe("nope").error().message, HasSubstr("unknown"));
  ASSERT_TRUE(client.subscribe("feed").ok());
  loop_->call([&] {
    service_.deliver({1, 2});
    service_.deliver({});
    service_.close_all();
  });
  // A command in between must not swallow events.
  EXPECT_EQ(client.command("x", false)->text, "line: x\n");
  EXPECT_EQ(copy(client.next_event()->object), (Bytes{1, 2}));
  EXPECT_TRUE(client.next_event()->object.empty());
  const auto end = client.next_event();
  EXPECT_EQ(end->kind, Client::EventKind::closed);
  EXPECT_EQ(end->reason, "removed");
  EXPECT_EQ(client.next_event(0).error().code, ErrorCode::timeout);
}

// Whatever a slow subscriber does not get, it is told of: objects and losses together are exactly
// what was offered, in order, and the server's memory stays within its bound.
TEST_F(ServerTest, ASlowSubscriberIsBoundedAndToldItsLosses) {
  constexpr Seq offered = 500;
  constexpr size_t object_bytes = 64 * 1024;
  options_.output_bytes_max = 1024 * 1024;
  start();
  Client client = connect();
  ASSERT_TRUE(client.subscribe("feed").ok());
  for (Seq seq = 0; seq < offered; ++seq) {
    loop_->call([&] { service_.deliver(Bytes(object_bytes, static_cast<uint8_t>(seq))); });
  }
  EXPECT_GT(service_.lost, 0u);
  Seq expected = 0;
  uint64_t lost = 0;
  uint64_t notices = 0;
  while (expected < offered) {
    const auto event = client.next_event(5000);
    ASSERT_TRUE(event.ok()) << event.error().message;
    ASSERT_EQ(event->first_seq, expected);
    if (event->kind == Client::EventKind::lost) {
      lost += event->last_seq - event->first_seq + 1;
      ++notices;
    } else {
      ASSERT_EQ(copy(event->object), Bytes(object_bytes, static_cast<uint8_t>(expected)));
    }
    expected = event->last_seq + 1;
  }
  EXPECT_EQ(lost, service_.lost);
  EXPECT_LT(notices, lost);
  EXPECT_GT(server_->counters().output_full, 0u);
  // Output, kernel buffers and the node's own queue hold all that was ever kept.
  EXPECT_LT((offered - lost) * object_bytes, 1024 * 1024 + 2'000'000u);
}

TEST_F(ServerTest, ADyingClientIsForgotten) {
  start();
  {
    Client subscriber = connect();
    ASSERT_TRUE(subscriber.subscribe("feed").ok());
    Client publisher = connect();
    service_.busy = true;
    ASSERT_TRUE(publisher.send_publish("feed", Bytes(10, 1)).ok());
    loop_->until([&] { return server_->counters().withheld == 1; });
    EXPECT_EQ(clients(), 2u);
  }
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(service_.unsubscribed, 1u);
  EXPECT_TRUE(service_.published.empty());
}

TEST_F(ServerTest, OversizedAndUnknownRequestsEndTheConnectionWithAReason) {
  start();
  Client client = connect();
  const auto line = client.command(std::string(70'000, 'x'), false);
  EXPECT_EQ(line.error().code, ErrorCode::refused);
  EXPECT_THAT(line.error().message, HasSubstr("at most 65537"));
  Client publisher = connect();
  const auto object = publisher.publish("feed", Bytes(options_.object_bytes_max + 300, 0));
  EXPECT_EQ(object.error().code, ErrorCode::refused) << object.error().message;
  const int fd = raw_socket(false);
  const uint8_t unknown[] = {0x77, 0, 0, 0, 0};
  ASSERT_EQ(::send(fd, unknown, sizeof unknown, 0), 5);
  char reply[200] = {};
  ASSERT_GT(::recv(fd, reply, sizeof reply, 0), 5);
  EXPECT_THAT(std::string(reply + 5), HasSubstr("0x77 is unknown"));
  EXPECT_EQ(::recv(fd, reply, sizeof reply, 0), 0);
  ::close(fd);
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(server_->counters().dismissed, 3u);
}

// Every prefix of every request, then a hang-up.
TEST_F(ServerTest, CutRequestsHarmNobody) {
  start();
  ByteWriter publish;
  put_name(publish, "feed");
  publish.text("object");
  ByteWriter command;
  command.u8(0).text("show");
  std::vector<Bytes> requests = {message(Type::publish, publish.buffer()),
                                 message(Type::command, command.buffer()),
                                 message(Type::subscribe, publish.buffer()),
                                 message(Type::status, {}), message(Type::stream, {})};
  // A name length beyond the body.
  requests.push_back(message(Type::publish, Bytes{200, 'a'}));
  for (const Bytes& request : requests) {
    for (size_t cut = 0; cut <= request.size(); ++cut) {
      const int fd = raw_socket(false);
      if (cut > 0) {
        ASSERT_EQ(::send(fd, request.data(), cut, 0), static_cast<ssize_t>(cut));
      }
      ::close(fd);
    }
  }
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(service_.published.size(), 1u);
  EXPECT_TRUE(connect().status().ok());
}

TEST_F(ServerTest, AHalfClosedClientStillGetsItsReplies) {
  start();
  const int fd = raw_socket(false);
  const Bytes request = message(Type::status, {});
  ASSERT_EQ(::send(fd, request.data(), request.size(), 0), 5);
  ::shutdown(fd, SHUT_WR);
  char reply[4096] = {};
  EXPECT_GT(::recv(fd, reply, sizeof reply, 0), 5);
  EXPECT_EQ(::recv(fd, reply, sizeof reply, 0), 0);
  ::close(fd);
}

TEST_F(ServerTest, ClientsAreBounded) {
  options_.clients_max = 2;
  start();
  Client first = connect();
  Client second = connect();
  ASSERT_TRUE(first.status().ok());
  ASSERT_TRUE(second.status().ok());
  const auto refused = connect().next_event(5000);
  EXPECT_THAT(refused.error().message, HasSubstr("2 clients already"));
  EXPECT_EQ(server_->counters().refused, 1u);
}

TEST_F(ServerTest, AStalledClientIsDismissed) {
  options_.stall_ns = 20 * ns_per_ms;
  start();
  Client client = connect();
  ASSERT_TRUE(client.subscribe("feed").ok());
  for (int i = 0; i < 100; ++i) loop_->call([&] { service_.deliver(Bytes(64 * 1024, 1)); });
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(server_->counters().dismissed, 1u);
  EXPECT_EQ(service_.unsubscribed, 1u);
}

TEST_F(ServerTest, ConnectionErrorsNamePathAndRemedy) {
  const auto missing = Client::connect(options_.path);
  EXPECT_THAT(missing.error().message,
              testing::AllOf(HasSubstr(options_.path), HasSubstr("is the node running")));
  ::close(raw_socket(true));
  EXPECT_THAT(Client::connect(options_.path).error().message, HasSubstr("start the node"));
  start();
  Client client = connect();
  loop_.reset();
  server_.reset();
  EXPECT_THAT(client.command("x", false).error().message, HasSubstr("has the node stopped?"));
}

}  // namespace
}  // namespace chaincast::console
