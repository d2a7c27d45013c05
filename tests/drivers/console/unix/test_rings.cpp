// SPDX-License-Identifier: BSD-3-Clause
// Subscriptions through shared memory: what readers are told, and what a bad one can do.
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <filesystem>

#include "console/unix/address.hpp"
#include "console/unix/channel.hpp"
#include "console/unix/client.hpp"
#include "console/unix/shared_ring.hpp"
#include "drivers/console/unix/served.hpp"

namespace chaincast::console {
namespace {

using testing::HasSubstr;

constexpr int patient_ms = 60'000;

Bytes copy(ByteSpan bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

class RingsTest : public ServedTest {
 protected:
  Client connect() {
    auto client = Client::connect(options_.path);
    EXPECT_TRUE(client.ok()) << client.error().message;
    return std::move(client).value();
  }
  Client subscribed(uint32_t ring_bytes = local::ring_bytes_min) {
    Client client = connect();
    const auto index = client.subscribe_ring("feed", ring_bytes);
    EXPECT_TRUE(index.ok()) << index.error().message;
    return client;
  }
  // A subscriber that reads its ring by hand.
  SharedRing raw_ring(Channel& channel) {
    ByteWriter body;
    body.be32(local::ring_bytes_min);
    local::put_name(body, "feed");
    channel.send(local::Type::subscribe_ring, body.buffer());
    for (;;) {
      auto message = channel.take();
      if (!message.ok() || message->has_value()) break;
      EXPECT_TRUE(channel.wait(time_never).ok());
    }
    auto ring = SharedRing::adopt(channel.take_descriptor(), local::ring_bytes_min);
    EXPECT_TRUE(ring.ok()) << ring.error().message;
    return std::move(ring).value();
  }
  uint64_t described(const char* what) {
    uint64_t out = 0;
    loop_->call([&] { out = server_->describe()[what]; });
    return out;
  }
  void deliver(size_t objects, size_t bytes) {
    for (size_t i = 0; i < objects; ++i) {
      loop_->call([&] { service_.deliver(Bytes(bytes, static_cast<uint8_t>(i))); });
    }
  }
  // Objects and losses together are exactly 0..offered, in order. Returns what was lost.
  static Seq read_all(Client& client, Seq offered, size_t bytes) {
    Seq lost = 0;
    for (Seq expected = 0; expected < offered;) {
      const auto event = client.next_event(patient_ms);
      EXPECT_TRUE(event.ok()) << event.error().message;
      if (!event) return lost;
      EXPECT_EQ(event->first_seq, expected);
      if (event->kind == Client::EventKind::lost) {
        lost += event->last_seq - event->first_seq + 1;
      } else {
        EXPECT_EQ(copy(event->object), Bytes(bytes, static_cast<uint8_t>(expected)));
      }
      expected = event->last_seq + 1;
    }
    return lost;
  }
};

TEST_F(RingsTest, ReadersGetObjectsAndTheEnd) {
  start();
  Client client = connect();
  EXPECT_THAT(client.subscribe_ring("nope").error().message, HasSubstr("unknown"));
  ASSERT_TRUE(client.subscribe_ring("feed").ok());
  EXPECT_EQ(client.next_event(0).error().code, ErrorCode::timeout);
  loop_->call([&] {
    service_.deliver({1, 2});
    service_.deliver({});
    service_.close_all();
  });
  EXPECT_EQ(client.command("x", false)->text, "line: x\n");
  EXPECT_EQ(copy(client.next_event(patient_ms)->object), (Bytes{1, 2}));
  EXPECT_TRUE(client.next_event(patient_ms)->object.empty());
  const auto end = client.next_event(patient_ms);
  EXPECT_EQ(end->kind, Client::EventKind::closed);
  EXPECT_EQ(end->reason, "removed");
}

TEST_F(RingsTest, ManyReadersOfBothKindsEachGetAll) {
  constexpr Seq objects = 3'000;
  service_.queue_max = SIZE_MAX;
  start();
  Client first = subscribed();
  Client second = subscribed();
  Client third = connect();
  ASSERT_TRUE(third.subscribe("feed").ok());
  std::vector<std::jthread> readers;
  for (Client* client : {&first, &second, &third}) {
    readers.emplace_back([client] { EXPECT_EQ(read_all(*client, objects, 700), 0u); });
  }
  deliver(objects, 700);
}

// Two rings and the socket on one connection: none starves the others.
TEST_F(RingsTest, OneConnectionMayHaveSeveral) {
  start();
  Client client = subscribed();
  ASSERT_TRUE(client.subscribe_ring("feed", 1).ok());
  ASSERT_TRUE(client.subscribe("feed").ok());
  deliver(4, 10);
  unsigned counts[3] = {};
  for (int i = 0; i < 12; ++i) {
    const auto event = client.next_event(patient_ms);
    ASSERT_TRUE(event.ok());
    ASSERT_LT(event->subscription, 3u);
    EXPECT_EQ(event->first_seq, counts[event->subscription]++);
  }
  EXPECT_EQ(described("rings"), 2u);
}

// As through the socket: what a slow reader does not get, it is told of.
TEST_F(RingsTest, ASlowReaderIsToldItsLosses) {
  constexpr Seq offered = 2'000;
  start();
  Client client = subscribed();
  deliver(offered, 1'000);
  EXPECT_GT(service_.lost, 0u);
  const Seq lost = read_all(client, offered, 1'000);
  EXPECT_EQ(lost, service_.lost);
  EXPECT_LE((offered - lost) * 1'000, local::ring_bytes_min + service_.queue_max * 1'000);
  EXPECT_GT(described("output_full"), 0u);
  EXPECT_LT(described("loss_notices"), lost);
}

TEST_F(RingsTest, AnObjectThatNoRingHoldsIsALoss) {
  start();
  Client client = subscribed();
  loop_->call([&] {
    service_.deliver(Bytes(local::ring_bytes_min, 1));
    service_.deliver({2});
  });
  const auto loss = client.next_event(patient_ms);
  EXPECT_EQ(loss->kind, Client::EventKind::lost);
  EXPECT_EQ(loss->last_seq, 0u);
  EXPECT_EQ(copy(client.next_event(patient_ms)->object), Bytes{2});
  EXPECT_EQ(described("too_long"), 1u);
}

TEST_F(RingsTest, ALeavingReaderLeavesNothingBehind) {
  start();
  { EXPECT_EQ(described("rings"), 0u); }
  const size_t before = open_descriptors();
  for (int round = 0; round < 20; ++round) {
    Client client = subscribed();
    deliver(100, 1'000);
    EXPECT_EQ(client.next_event(patient_ms)->first_seq, static_cast<Seq>(round) * 100);
  }
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(described("rings"), 0u);
  EXPECT_EQ(described("ring_bytes"), 0u);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(service_.unsubscribed, 20u);
}

TEST_F(RingsTest, AReaderThatBreaksItsRingIsDismissedAlone) {
  start();
  Client good = subscribed();
  auto channel = Channel::connect(options_.path);
  ASSERT_TRUE(channel.ok());
  const SharedRing ring = raw_ring(*channel);
  ring.control().head.store(~uint64_t{0} - 5);
  deliver(200, 1'000);
  loop_->until([&] { return server_->describe()["clients"] == 1; });
  EXPECT_EQ(described("dismissed"), 1u);
  EXPECT_GT(read_all(good, 200, 1'000), 0u);
}

// The size is sealed: the node's memory cannot be taken away under it.
TEST_F(RingsTest, TheMemoryCannotBeTruncated) {
  start();
  auto channel = Channel::connect(options_.path);
  ASSERT_TRUE(channel.ok());
  const SharedRing ring = raw_ring(*channel);
  EXPECT_EQ(::ftruncate(ring.fd(), 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(ring.fd(), 1 << 30), -1);
}

TEST_F(RingsTest, RingsAreBoundedAndSizedForTheirStream) {
  service_.object_bytes_max = 1'000'000;
  options_.rings_bytes_max = 8u << 20;
  start();
  Client client = subscribed(1);
  EXPECT_EQ(described("ring_bytes"), 2u << 20);
  EXPECT_THAT(client.subscribe_ring("feed", local::ring_bytes_max + 1).error().message,
              HasSubstr("at most"));
  EXPECT_THAT(client.subscribe_ring("feed", 8u << 20).error().message,
              HasSubstr("have 2097152 of at most"));
  ASSERT_TRUE(client.subscribe_ring("feed", 4u << 20).ok());
  EXPECT_EQ(described("rings"), 2u);
}

TEST_F(RingsTest, AStalledReaderIsDismissed) {
  options_.stall_ns = 20 * ns_per_ms;
  start();
  const Client client = subscribed();
  deliver(300, 1'000);
  loop_->until([&] { return server_->describe()["clients"] == 0; });
  EXPECT_EQ(described("dismissed"), 1u);
}

// What the node wrote before it stopped is read, and then the end is told.
TEST_F(RingsTest, TheRingOutlivesItsNode) {
  start();
  Client client = subscribed();
  deliver(50, 100);
  loop_.reset();
  server_.reset();
  EXPECT_EQ(read_all(client, 50, 100), 0u);
  EXPECT_EQ(client.next_event(patient_ms).error().code, ErrorCode::io);
}

TEST_F(RingsTest, MemoryThatIsNoRingIsRefused) {
  const auto failure = [](int fd, uint32_t bytes) {
    const auto ring = SharedRing::adopt(fd, bytes);
    return ring.ok() ? "" : ring.error().message;
  };
  EXPECT_THAT(failure(-1, local::ring_bytes_min), HasSubstr("no sealed ring"));
  const auto real = SharedRing::create(local::ring_bytes_min);
  ASSERT_TRUE(real.ok());
  EXPECT_THAT(failure(::dup(real->fd()), 2 * local::ring_bytes_min), HasSubstr("no sealed ring"));
  EXPECT_THAT(failure(::dup(real->fd()), 3), HasSubstr("no sealed ring"));
  EXPECT_THAT(failure(::dup(real->fd()), local::ring_bytes_min), HasSubstr("first page"));
  EXPECT_THAT(failure(::open("/dev/zero", O_RDWR | O_CLOEXEC), local::ring_bytes_min),
              HasSubstr("no sealed ring"));
}

// A node that speaks protocol 1 is asked nothing that it does not know.
TEST_F(RingsTest, AnOlderNodeIsNotAskedForOne) {
  const auto address = socket_address(options_.path);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&*address), sizeof *address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const std::jthread node([&] {
    const int fd = ::accept(listener, nullptr, nullptr);
    uint8_t request[5];
    EXPECT_EQ(::recv(fd, request, sizeof request, MSG_WAITALL), 5);
    EXPECT_EQ(request[0], static_cast<uint8_t>(local::Type::status));
    const std::string text = "{\"protocol\":1}";
    const ByteSpan body(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    const Bytes reply = local::message(local::Type::status_reply, body);
    EXPECT_EQ(::send(fd, reply.data(), reply.size(), 0), static_cast<ssize_t>(reply.size()));
    ::close(fd);
  });
  Client client = connect();
  const auto refused = client.subscribe_ring("feed");
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("upgrade the node"));
  ::close(listener);
}

}  // namespace
}  // namespace chaincast::console
