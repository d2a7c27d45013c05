// SPDX-License-Identifier: BSD-3-Clause
// chaincastctl as a process of its own against a server in this one.
#include <gmock/gmock.h>

#include "drivers/console/unix/served.hpp"

namespace chaincast::console {
namespace {

using testing::HasSubstr;

class CtlTest : public ProgramTest {
 protected:
  CtlTest() { start(); }

  // Leaves its output in out_ and err_.
  int ctl(const std::string& arguments) {
    const Run done = run(std::string(CHAINCASTCTL_PATH) + " " + arguments);
    out_ = done.out;
    err_ = done.err;
    return done.code;
  }
  // Delivers as soon as a subscriber is there; runs `work` on the loop.
  std::jthread when_subscribed(std::function<void()> work) {
    return std::jthread([this, work = std::move(work)](const std::stop_token& stop) {
      loop_->until([&] { return service_.subscribed > 0 || stop.stop_requested(); });
      loop_->call(work);
    });
  }

  std::string out_;
  std::string err_;
};

TEST_F(CtlTest, CommandsExitWithZeroOrOne) {
  EXPECT_EQ(ctl("show peers all"), 0);
  EXPECT_EQ(out_, "line: show peers all\n");
  EXPECT_EQ(ctl("ping b"), 0);
  EXPECT_EQ(out_, "line: ping b\n");
  EXPECT_EQ(ctl("set 'a b' 'c\"d'"), 0);
  EXPECT_EQ(out_, "line: set \"a b\" \"c\\\"d\"\n");
  EXPECT_EQ(ctl("fail now"), 1);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_, "error: told to fail\n");
}

TEST_F(CtlTest, JsonIsOneDocumentOnStdout) {
  EXPECT_EQ(ctl("--json show peers"), 0);
  EXPECT_EQ(out_, "{\"line\":\"show peers\"}\n");
  EXPECT_EQ(ctl("show peers --json"), 0);
  EXPECT_EQ(out_, "{\"line\":\"show peers\"}\n");
  EXPECT_EQ(ctl("--json fail"), 1);
  EXPECT_EQ(ops::Json::parse(out_)["error"]["message"], "told to fail");
  EXPECT_EQ(ctl("--json status"), 0);
  EXPECT_EQ(ops::Json::parse(out_)["name"], "fake");
  EXPECT_EQ(ctl("status"), 0);
  EXPECT_THAT(out_, HasSubstr("name:     fake\n"));
}

TEST_F(CtlTest, UsageAndConnectionErrorsExitWithTwo) {
  EXPECT_EQ(ctl(""), 2);
  EXPECT_THAT(err_, HasSubstr("usage: chaincastctl"));
  EXPECT_EQ(ctl("--nonsense show"), 2);
  EXPECT_EQ(ctl("--socket"), 2);
  EXPECT_EQ(ctl("publish feed"), 2);
  EXPECT_EQ(ctl("publish feed x y"), 2);
  EXPECT_THAT(err_, HasSubstr("unexpected 'y'"));
  EXPECT_EQ(ctl("subscribe feed --count none"), 2);
  EXPECT_THAT(err_, HasSubstr("--count none: must be a whole number"));
  EXPECT_EQ(ctl("subscribe feed --count"), 2);
  EXPECT_EQ(ctl("publish feed /nonexistent"), 2);
  EXPECT_THAT(err_, HasSubstr("/nonexistent: No such file"));
  EXPECT_EQ(ctl("--socket " + file("none.sock") + " status"), 2);
  EXPECT_THAT(err_, testing::AllOf(HasSubstr("none.sock"), HasSubstr("is the node running")));
  EXPECT_EQ(ctl("--help"), 0);
}

TEST_F(CtlTest, PublishCutsTheFileIntoObjects) {
  std::string content;
  for (int i = 0; i < 2500; ++i) content += static_cast<char>(i * 7);
  std::ofstream(file("in")) << content;
  EXPECT_EQ(ctl("publish feed " + file("in")), 0);
  EXPECT_EQ(out_, "published 3 objects, 2500 bytes\n");
  EXPECT_EQ(ctl("--json publish feed - --object-bytes 10 <" + file("in")), 0);
  EXPECT_EQ(ops::Json::parse(out_)["objects"], 250);
  ASSERT_EQ(service_.published.size(), 253u);
  std::string joined;
  for (size_t i = 0; i < 3; ++i) {
    joined.append(service_.published[i].begin(), service_.published[i].end());
  }
  EXPECT_EQ(joined, content);
  EXPECT_EQ(service_.published[0].size(), 1000u);
  EXPECT_EQ(ctl("publish feed " + file("in") + " --object-bytes 1001"), 2);
  EXPECT_THAT(err_, HasSubstr("at most 1000 bytes"));
  EXPECT_EQ(ctl("publish nope " + file("in")), 1);
  EXPECT_THAT(err_, HasSubstr("stream nope: unknown"));
}

TEST_F(CtlTest, SubscribeWritesTheBytes) {
  const auto deliver = [this] {
    for (uint8_t i = 0; i < 5; ++i) service_.deliver(Bytes(3, static_cast<uint8_t>('a' + i)));
  };
  auto feeder = when_subscribed(deliver);
  EXPECT_EQ(ctl("subscribe feed --count 4 --output " + file("got")), 0);
  EXPECT_EQ(read(file("got")), "aaabbbcccddd");
  feeder = {};
  service_.subscribed = 0;
  feeder = when_subscribed(deliver);
  EXPECT_EQ(ctl("subscribe feed --bytes 15 --raw"), 0);
  EXPECT_EQ(out_, "aaabbbcccdddeee");
  feeder = {};
  service_.subscribed = 0;
  feeder = when_subscribed(deliver);
  EXPECT_EQ(ctl("subscribe feed --count 1"), 0);
  EXPECT_THAT(out_, HasSubstr("stream 0000000000000007 frames 10..10 3 bytes"));
}

TEST_F(CtlTest, ALossExitsWithThreeAndIsPrinted) {
  service_.queue_max = 0;
  auto feeder = when_subscribed([this] {
    service_.deliver({1});
    service_.queue_max = 8;
    service_.deliver({2});
  });
  EXPECT_EQ(ctl("subscribe feed --count 1 --output " + file("got")), 3);
  EXPECT_THAT(err_, HasSubstr("lost: stream 0000000000000007 frames 0..0\n"));
  EXPECT_EQ(read(file("got")), "\x02");
}

TEST_F(CtlTest, SubscribeEndsInTimeWithTheStreamOrWithTheNode) {
  EXPECT_EQ(ctl("subscribe feed --timeout 1 --count 1"), 1);
  EXPECT_EQ(ctl("subscribe feed --timeout 1"), 0);
  service_.subscribed = 0;
  auto feeder = when_subscribed([this] { service_.close_all(); });
  EXPECT_EQ(ctl("subscribe feed"), 0);
  EXPECT_THAT(err_, HasSubstr("closed: removed"));
  EXPECT_EQ(ctl("subscribe nope"), 1);
}

}  // namespace
}  // namespace chaincast::console
