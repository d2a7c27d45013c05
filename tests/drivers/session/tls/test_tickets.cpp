// SPDX-License-Identifier: BSD-3-Clause
// Resumption: that it happens, and that it opens no door that is closed.
#include "rig.hpp"
#include "session/tls/context.hpp"

namespace chaincast::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class TicketsTest : public TlsTest {
 protected:
  TicketsTest() {
    session::Config config = rig.config();
    config.admits = [this](const PublicKey&) { return a_admits_; };
    a_ = &rig.add(1, config);
    config.admits = [this](const PublicKey&) { return b_admits_; };
    b_ = &rig.add(2, config);
  }
  void connect() {
    const size_t before = b_->heard.messages.size();
    ASSERT_TRUE(rig.send(*a_, *b_, text("hello")));
    ASSERT_TRUE(rig.until([&] { return b_->heard.messages.size() == before + 1; }));
    rig.settle();
  }
  void close() {
    a_->sessions->close(b_->id, "done", rig.now_ns);
    rig.settle();
  }

  bool a_admits_ = true, b_admits_ = true;
  SessionEnd* a_;
  SessionEnd* b_;
};

TEST_F(TicketsTest, ASecondSessionResumesTheFirst) {
  connect();
  EXPECT_FALSE(a_->sessions->sessions()[0].was_resumed);
  const auto first = a_->sessions->exported(b_->id, "k");
  for (unsigned resumed = 1; resumed <= 3; ++resumed) {
    close();
    connect();
    EXPECT_EQ(a_->counters().resumed, resumed);
    EXPECT_EQ(b_->counters().resumed, resumed);
    EXPECT_TRUE(a_->sessions->sessions()[0].was_resumed);
    EXPECT_TRUE(b_->sessions->sessions()[0].was_resumed);
    EXPECT_EQ(a_->heard.remotes.back().key, b_->signer->public_key());
    EXPECT_EQ(b_->heard.remotes.back().key, a_->signer->public_key());
    const auto exported = a_->sessions->exported(b_->id, "k");
    EXPECT_EQ(exported, b_->sessions->exported(a_->id, "k"));
    EXPECT_NE(exported, first);
  }
}

TEST_F(TicketsTest, AGoodTicketDoesNotReplaceAdmissionByTheServer) {
  connect();
  close();
  b_admits_ = false;
  ASSERT_TRUE(rig.send(*a_, *b_, text("again")));
  ASSERT_TRUE(rig.until([&] { return a_->heard.count("failed") == 1; }));
  EXPECT_THAT(a_->heard.whys.back(), HasSubstr("refused"));
  EXPECT_EQ(b_->counters().refused, 1u);
  EXPECT_EQ(b_->counters().opened, 1u);
  EXPECT_EQ(b_->heard.messages.size(), 1u);
}

TEST_F(TicketsTest, AGoodTicketDoesNotReplaceAdmissionByTheClient) {
  connect();
  close();
  a_admits_ = false;
  ASSERT_TRUE(rig.send(*a_, *b_, text("again")));
  ASSERT_TRUE(rig.until([&] { return a_->heard.count("failed") == 1; }));
  rig.settle();
  EXPECT_THAT(a_->heard.whys.back(), HasSubstr("admit"));
  EXPECT_EQ(a_->counters().refused, 1u);
  EXPECT_EQ(b_->counters().opened, 1u);
  EXPECT_EQ(b_->heard.messages.size(), 1u);
}

// The ticket of b is offered to whoever is at its address now.
TEST_F(TicketsTest, ATicketIsWorthNothingToAnotherNode) {
  connect();
  const Endpoint address = b_->address();
  b_->sessions.reset();
  rig.settle();
  session::Config config = rig.config();
  config.listen = address;
  SessionEnd& c = rig.add(3, config);
  ASSERT_TRUE(a_->sessions->send(b_->id, address, text("for b"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return a_->heard.count("failed") == 1; }));
  EXPECT_THAT(a_->heard.whys.back(), HasSubstr(c.id.hex()));
  EXPECT_THAT(c.heard.messages, IsEmpty());
}

TEST_F(TicketsTest, WhereTheServerForgotItsKeysTheHandshakeIsFull) {
  connect();
  const Endpoint address = b_->address();
  b_->sessions.reset();
  rig.settle();
  session::Config config = rig.config();
  config.listen = address;
  SessionEnd& again = rig.add(2, config);
  ASSERT_TRUE(rig.send(*a_, again, text("hello")));
  ASSERT_TRUE(rig.until([&] { return again.heard.messages.size() == 1; }));
  rig.settle();
  EXPECT_EQ(a_->counters().opened, 2u);
  EXPECT_EQ(a_->counters().resumed, 0u);
}

TEST(Tickets, AreBoundedAndTheOldestGoes) {
  session::tls::Tickets tickets;
  const auto id = [](size_t number) {
    NodeId out;
    store_be64(out.bytes.data(), number);
    return out;
  };
  const auto fresh = [] { return session::tls::SslSession(SSL_SESSION_new()); };
  const size_t max = session::tls::Tickets::tickets_max;
  for (size_t i = 0; i < max; ++i) tickets.put(id(i), fresh());
  tickets.put(id(0), fresh());  // is the newest now
  tickets.put(id(max), fresh());
  EXPECT_FALSE(tickets.take(id(1)));
  EXPECT_TRUE(tickets.take(id(0)));
  EXPECT_FALSE(tickets.take(id(0))) << "one use";
  EXPECT_TRUE(tickets.take(id(max)));
  EXPECT_TRUE(tickets.take(id(2)));
}

}  // namespace
}  // namespace chaincast::test
